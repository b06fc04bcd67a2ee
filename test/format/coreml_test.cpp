// SPDX-License-Identifier: Apache-2.0
// The Core ML reader where no whole model is needed: MIL text to a graph, blobs, manifests, coremldata.bin.
#include <doctest/doctest.h>

#include <cstring>

#include "base/error.h"
#include "format/coreml/blob.h"
#include "format/coreml/coremldata.h"
#include "format/coreml/mil_text.h"
#include "format/coreml/package.h"
#include "format/coreml/program.h"
#include "ir/mil.h"
#include "op/ops.h"

namespace tl::coreml {
namespace {

ModelFile lowered(const std::string& source) {
  ModelFile file;
  WeightFiles none("");
  MilProgram program = parse_mil(source);
  lower_program(program, {}, none, file);
  return file;
}

// A program of one function whose body is these statements; the last one gives y.
std::string program_of(std::string_view body, std::string_view opset = "ios17") {
  return "program(1.3)\n{\n  func main<" + std::string(opset) + ">(tensor<fp32, [2, 3]> x) {\n" +
         std::string(body) + "\n  } -> (y);\n}\n";
}

template <class Body> std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) { return error.what(); }
  return "no error";
}

TEST_CASE("both dialects of MIL text say the same") {
  ModelFile old = lowered(
      "program(1.0)\n{ func main<ios15>(tensor<fp32, [2, 3]> x) {"
      "tensor<fp32, []> a = const()[name = tensor<string, []>(\"a\"), val = tensor<fp32, []>(-0x1.8p-1)];"
      "tensor<fp32, []> b = const()[val = tensor<fp32, []>(2.5)];"
      "tensor<fp32, [2, 3]> y = clip(alpha = a, beta = b, x = x)[name = tensor<string, []>(\"c\")]; } -> "
      "(y); }");
  ModelFile late =
      lowered(program_of("fp32 a = const()[name = string(\"a\"), val = fp32(-0x1.8p-1)];\n"
                         "tensor<fp32, [2, 3]> y = clip(alpha = a, beta = fp32(0x1.4p+1), x = x);"));
  for (const ModelFile* file : {&old, &late}) {
    const Graph& graph = file->functions.at(0).graph.value();
    REQUIRE(graph.body.nodes.size() == 1);
    const Node& node = graph.body.nodes[0];
    CHECK(node.op == &ops::clip);
    CHECK(node.attrs.number("alpha") == -0.75);
    CHECK(node.attrs.number("beta") == 2.5);
    CHECK(graph.output_names == std::vector<std::string>{"y"});
  }
}

TEST_CASE("a program without a description has its interface from its functions") {
  ModelFile file = lowered(program_of("tensor<fp32, [2, 3]> y = relu(x = x);"));
  const Interface& interface = file.functions.at(0).interface;
  CHECK(interface.inputs.at(0).shape == Shape{2, 3});
  CHECK(interface.outputs.at(0).name == "y");
  CHECK(file.default_function == "main");
}

TEST_CASE("values of text: nested lists, escapes, infinities") {
  std::string source = program_of(
      "tensor<int32, [2, 2]> p = const()[val = tensor<int32, [2, 2]>([[1, 2], [3, -4]])];"
      "string s = const()[val = string(\"a\\\"b\")];"
      "tensor<fp16, [2]> f = const()[val = tensor<fp16, [2]>([-inf, 0x1p-24])];");
  MilProgram program = parse_mil(source);
  const auto& operations = program.functions.at(0).body.operations;
  auto value = [&](std::size_t i) { return std::get<Tensor>(operations.at(i).attribute("val")->content); };
  CHECK(to_integers(value(0)) == std::vector<std::int64_t>{1, 2, 3, -4});
  CHECK(value(1).as<std::string>()[0] == "a\"b");
  CHECK(value(2).as<Half>()[0].bits == 0xfc00);
  CHECK(value(2).as<Half>()[1].bits == 1);
}

TEST_CASE("an operation that is not known leaves a function without a graph, and says why") {
  ModelFile file = lowered(program_of("tensor<fp32, [2, 3]> y = frobnicate(x = x);"));
  CHECK(!file.functions.at(0).graph);
  CHECK(file.functions.at(0).why_not == "frobnicate 'y': there is no operation of this name (opset ios17)");
  CHECK(file.layers == std::vector<std::pair<std::string, std::int64_t>>{{"frobnicate", 1}});
}

TEST_CASE("an input that an operation does not have is named") {
  ModelFile file = lowered(program_of("tensor<fp32, [2, 3]> y = relu(x = x, slope = fp32(1));"));
  CHECK(file.functions.at(0).why_not.find("it has no input 'slope'") != std::string::npos);
}

TEST_CASE("errors of text begin with the line") {
  CHECK(message_of([] { parse_mil(program_of("tensor<fp32, [2, 3]> y = relu(x = x)")); }) ==
        "line 5: expected ';' instead of '}'");
}

TEST_CASE("an attribute may be the cast of a constant") {
  ModelFile file =
      lowered(program_of("fp16 h = const()[val = fp16(0x1p-1)];"
                         "fp32 a = cast(dtype = string(\"fp32\"), x = h);"
                         "tensor<fp32, [2, 3]> y = leaky_relu(alpha = a, x = x);"));
  REQUIRE(file.functions.at(0).graph);
  CHECK(file.functions.at(0).graph->body.nodes.back().attrs.number("alpha") == 0.5);
}

StoragePtr weights(std::uint32_t dtype, std::uint64_t size, std::string_view data) {
  StoragePtr file = allocate(128 + data.size());
  std::memset(file->data(), 0, 128);
  std::uint32_t head[] = {1, 2}, record[] = {0xdeadbeef, dtype};
  std::uint64_t place[] = {size, 128};
  std::memcpy(file->data(), head, sizeof head);
  std::memcpy(file->data() + 64, record, sizeof record);
  std::memcpy(file->data() + 72, place, sizeof place);
  std::memcpy(file->data() + 128, data.data(), data.size());
  return file;
}

TEST_CASE("a blob is a view, and sub-byte elements stay packed") {
  StoragePtr file = weights(10, 2, "\x6c\x03");  // uint2: 0, 3, 2, 1, 3
  Tensor t = read_blob(file, 64, Type(DType::u2, {5})).tensor;
  CHECK(t.data() == file->data() + 128);
  CHECK(to_integers(t) == std::vector<std::int64_t>{0, 3, 2, 1, 3});
  CHECK(message_of([&] { read_blob(file, 64, Type(DType::u4, {4})); }) ==
        "the blob at offset 64 holds uint2, the program says uint4");
}

TEST_CASE("the manifest leads to the root model") {
  std::string items =
      R"({"A": {"path": "c/w", "name": "w", "author": "c", "description": ""},)"
      R"("B": {"path": "c/m.mlmodel", "name": "m.mlmodel", "author": "c", "description": ""}})";
  std::string head = R"({"fileFormatVersion": "1.0.0", "itemInfoEntries": )" + items;
  CHECK(root_item(as_bytes(head + R"(, "rootModelIdentifier": "B"})")) == "c/m.mlmodel");
  CHECK(root_item(as_bytes(head + "}")) == "c/m.mlmodel");
}

TEST_CASE("coremldata.bin in the layouts of old and new compilers") {
  auto u32 = [](std::uint32_t n) { return std::string(reinterpret_cast<const char*>(&n), 4); };
  auto u64 = [](std::uint64_t n) { return std::string(reinterpret_cast<const char*>(&n), 8); };
  std::string target = u64(7) + "generic", version = u32(6) + std::string(28, '\0'), other(24, '\0');
  for (const std::string& bytes : {u32(502) + other + target + version + u64(2) + "ab",
                                   u32(502) + version + other + target + u64(2) + "ab"}) {
    CompiledData data = read_coremldata(as_bytes(bytes));
    CHECK(data.type == 502);
    CHECK(data.version == 6);
    CHECK(data.description == "ab");
  }
}

}  // namespace
}  // namespace tl::coreml
