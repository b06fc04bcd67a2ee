// SPDX-License-Identifier: Apache-2.0
// The Core ML writer: what is written and read again is the same program, for the shipped models, for every
// operation and for blocks, lists and states; and what stood at the place is never lost.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "../op/sample.h"
#include "base/file.h"
#include "format/coreml/blob.h"
#include "format/coreml/mil_text.h"
#include "format/coreml/model.h"
#include "format/coreml/package_write.h"
#include "format/coreml/program.h"
#include "ir/mil.h"
#include "model/convert_file.h"
#include "model/model.h"
#include "model/program_form.h"
#include "op/ops.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class Folder {  // that is gone after the test
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "tl_write_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string of(const std::string& name) const { return path_ + "/" + name; }
  std::size_t entries() const { return list_folder(path_).size(); }

 private:
  std::string path_;
};

std::string content(const std::string& path) {
  StoragePtr file = map_file(path);
  return std::string(as_text({file->data(), file->size()}));
}

std::string model_of(const std::string& package) {
  return content(package + "/Data/com.apple.CoreML/model.mlmodel");
}

template <class Body> std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) { return error.what(); }
  return "no error";
}

// ---- comparing programs

class Comparison {
 public:
  Comparison(const Graph& a, const Graph& b) : a_(a), b_(b) {}

  std::string run() {
    for (std::size_t i = 0; i < a_.body.inputs.size(); ++i)
      if (a_.value(a_.body.inputs[i]).name != b_.value(b_.body.inputs[i]).name) differ("inputs");
    block(a_.body, b_.body);
    if (a_.output_names != b_.output_names) differ("the names of outputs");
    return wrong_;
  }

 private:
  void differ(const std::string& what) {
    if (wrong_.empty()) wrong_ = what + " differ";
  }

  void values(ValueId a, ValueId b, const std::string& where) {
    if (a == no_value || b == no_value) return a == b ? void() : differ(where);
    const Value &x = a_.value(a), &y = b_.value(b);
    if (x.is_constant() != y.is_constant()) return differ(where);
    if (x.is_constant()) return same(x.constant, y.constant) ? void() : differ("constants of " + where);
    if (x.type.dtype != y.type.dtype || x.type.kind != y.type.kind || x.type.rank() != y.type.rank())
      differ("types of " + where);
    auto [known, fresh] = pairs_.try_emplace(a, b);
    if (!fresh && known->second != b) differ(where);
  }

  static bool equal(const AttrValue& x, const AttrValue& y) {
    const double *a = std::get_if<double>(&x), *b = std::get_if<double>(&y);
    return x == y || (a && b && std::fabs(*a - *b) <= 1e-6 * std::fabs(*a) + 1e-7);
  }

  void attrs(const Node& x, const Node& y) {
    for (const auto& [name, value] : x.attrs)
      if (const AttrValue* other = y.attrs.find(name); !other || !equal(value, *other))
        differ(text("attribute {} of {}", name, x.op->name));
    bool typed = y.attrs.has("dtype") && !x.attrs.has("dtype");  // files say it by the type of a number
    if (x.attrs.size() + typed != y.attrs.size()) differ(text("attributes of {}", x.op->name));
  }

  void block(const Block& a, const Block& b) {
    if (a.nodes.size() != b.nodes.size() || a.inputs.size() != b.inputs.size()) return differ("blocks");
    for (std::size_t i = 0; i < a.inputs.size(); ++i) values(a.inputs[i], b.inputs[i], "inputs");
    for (std::size_t n = 0; n < a.nodes.size(); ++n) {
      const Node &x = a.nodes[n], &y = b.nodes[n];
      std::string where = text("inputs of {}", x.op->name);
      if (x.op != y.op || x.inputs.size() != y.inputs.size() || x.blocks.size() != y.blocks.size())
        return differ(text("{} and {}", x.op->name, y.op->name));
      for (std::size_t i = 0; i < x.inputs.size(); ++i) values(x.inputs[i], y.inputs[i], where);
      attrs(x, y);
      for (std::size_t k = 0; k < x.blocks.size(); ++k) block(x.blocks[k], y.blocks[k]);
      for (std::size_t i = 0; i < std::min(x.outputs.size(), y.outputs.size()); ++i)
        values(x.outputs[i], y.outputs[i], text("outputs of {}", x.op->name));
    }
    for (std::size_t i = 0; i < a.outputs.size(); ++i) values(a.outputs[i], b.outputs[i], "outputs");
  }

  const Graph &a_, &b_;
  std::map<ValueId, ValueId> pairs_ = {};
  std::string wrong_ = {};
};

std::string difference(const ModelFile& a, const ModelFile& b) {
  if (a.functions.size() != b.functions.size()) return "the number of functions differs";
  for (std::size_t i = 0; i < a.functions.size(); ++i) {
    if (!b.functions[i].graph) return b.functions[i].why_not;
    std::string wrong = Comparison(*a.functions[i].graph, *b.functions[i].graph).run();
    if (!wrong.empty()) return wrong;
  }
  return a.user == b.user && a.author == b.author && a.default_function == b.default_function
             ? ""
             : "metadata differs";
}

ModelFile written_and_read(const ModelFile& file, const Folder& folder) {
  std::string path = folder.of("written.mlpackage");
  write_package(file, path);
  return read_coreml(path);
}

// ---- the shipped models

const char* const shipped[] = {"examples/digits/digits.mlpackage", "examples/guide/model.mlpackage",
                               "examples/guide/model.mlmodelc"};

TEST_CASE("shipped models are written as they were read") {
  Folder folder;
  for (const char* path : shipped) {
    CAPTURE(path);
    ModelFile before = read_coreml(path), after = written_and_read(before, folder);
    CHECK(difference(before, after) == "");
    CHECK(after.functions.at(0).opset == (before.functions.at(0).opset.substr(0, 3) == "ios"
                                              ? after.functions.at(0).opset
                                              : before.functions.at(0).opset));
    REQUIRE(after.tensors.size() >= before.tensors.size());
  }
}

TEST_CASE("of what was read only weights are used again") {
  Folder folder;
  std::string copy = folder.of("copy.mlpackage");
  fs::copy("examples/digits/digits.mlpackage", copy, fs::copy_options::recursive);
  ModelFile file = read_coreml(copy);
  write_package(file, folder.of("first.mlpackage"));
  for (const char* name : {"/Manifest.json", "/Data/com.apple.CoreML/model.mlmodel"})
    fs::resize_file(copy + name, 0);
  write_package(file, folder.of("second.mlpackage"));
  CHECK(model_of(folder.of("first.mlpackage")) == model_of(folder.of("second.mlpackage")));
  CHECK(model_of(folder.of("first.mlpackage")) != model_of("examples/digits/digits.mlpackage"));
}

// ---- every operation

// Floats are inputs of the graph; what is often needed when a graph is read is constant.
ModelFile model_of_case(const test::Case& c) {
  Function f;
  Graph g;
  std::vector<ValueId> inputs;
  bool fixed = has(c.op->traits, Traits::dequantize);
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const Tensor& t = c.inputs[i];
    std::string name = text("in{}", i);
    bool input = t && !fixed && t.rank() > 0 && is_float(t.dtype());
    if (input) {
      Feature feature;
      feature.name = name, feature.dtype = t.dtype(), feature.shape = t.shape();
      f.interface.inputs.push_back(feature);
    }
    inputs.push_back(!t ? no_value : input ? g.add_input(t.type(), name) : g.add_constant(t, name));
  }
  const Node node = g.add_node(g.body, *c.op, inputs, c.attrs, {"op"});
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    g.value(node.outputs[i]).name = text("out{}", i);
    if (i > 0 && g.type(node.outputs[i]).dtype == DType::i32) continue;
    g.add_output(node.outputs[i], text("out{}", i));
  }
  f.graph = std::move(g);
  ModelFile file;
  file.type = "mlProgram";
  file.functions.push_back(std::move(f));
  return file;
}

TEST_CASE("every operation is written and read again") {
  Folder folder;
  int written = 0;
  for (const OpDef* op : all_ops()) {
    if (op->mil.name.empty()) continue;
    for (const test::Case& c : test::cases_of(*op)) {
      std::string what = test::text_of_case(c);
      CAPTURE(what);
      ModelFile before = model_of_case(c);
      std::string wrong;
      std::string error = message_of([&] { wrong = difference(before, written_and_read(before, folder)); });
      CHECK(error == "no error");
      CHECK(wrong == "");
      ++written;
    }
  }
  CHECK(written > 300);
}

TEST_CASE("operations that Core ML lacks are written as others") {
  Folder folder;
  ModelFile file =
      model_of_case({&ops::asinh, {}, {from_doubles(std::vector<double>{1, 2}, DType::f32, {2})}});
  ModelFile after = written_and_read(file, folder);
  CHECK(after.functions.at(0).graph->body.nodes.size() > 1);
  CHECK(after.functions.at(0).graph->output_names == std::vector<std::string>{"out0"});
  ModelFile never = model_of_case(test::cases_of(ops::conv_weight_gradient).at(0));
  CHECK(message_of([&] { write_package(never, folder.of("never.mlpackage")); }).find("Core ML has no such") !=
        std::string::npos);
}

// ---- blocks, lists, states, opsets

ModelFile lowered(const std::string& source) {
  ModelFile file;
  coreml::WeightFiles none("");
  coreml::MilProgram program = coreml::parse_mil(source);
  coreml::lower_program(program, {}, none, file);
  return file;
}

TEST_CASE("blocks, lists and states") {
  Folder folder;
  const char* sources[] = {
      "program(1.3)\n{ func main<ios15>(tensor<fp32, [2]> x) {"
      "list<tensor<fp32, [2]>, 3> l = make_list(init_length = int32(3), dtype = string(\"fp32\"),"
      " elem_shape = (int32(2)), dynamic_length = bool(false));"
      "list<tensor<fp32, [2]>, 3> m = list_write(ls = l, index = int32(1), value = x);"
      "tensor<fp32, [2]> y = list_read(ls = m, index = int32(1)); } -> (y); }",
      "program(1.3)\n{ func main<ios15>(tensor<fp32, [2]> x) {"
      "fp32 s = reduce_sum(x = x, keep_dims = bool(false));"
      "bool p = greater(x = s, y = fp32(0x0p+0));"
      "tensor<fp32, [2]> y = cond(pred = p) { tensor<fp32, [2]> a = relu(x = x); } -> (a);"
      " { tensor<fp32, [2]> b = abs(x = x); } -> (b); } -> (y); }",
      "program(1.3)\n{ func main<ios18>(tensor<fp16, [2]> x, state<tensor<fp16, [2]>> s) {"
      "tensor<fp16, [2]> old = read_state(input = s);"
      "tensor<fp16, [2]> sum = add(x = old, y = x);"
      "write_state(input = s, data = sum);"
      "tensor<fp16, [2]> y = read_state(input = s); } -> (y); }"};
  for (const char* source : sources) {
    CAPTURE(source);
    std::string wrong = message_of([&] {
      ModelFile before = lowered(source);
      REQUIRE(before.functions.at(0).graph);
      CHECK(difference(before, written_and_read(before, folder)) == "");
    });
    CHECK(wrong == "no error");
  }
}

TEST_CASE("the opset is the file's own, or the oldest that can say it") {
  Folder folder;
  auto opset = [&](const char* op, std::size_t which) {
    ModelFile file = model_of_case(test::cases_of(find_op(op)).at(which));
    return written_and_read(file, folder).functions.at(0).opset;
  };
  CHECK(opset("relu", 2) == "CoreML5");
  CHECK(opset("gather", 3) == "CoreML6");  // batch_dims
  CHECK(opset("resize", 0) == "CoreML7");
  CHECK(opset("non_maximum_suppression", 0) == "CoreML7");
  CHECK(opset("non_maximum_suppression", 1) == "CoreML5");
  CHECK(opset("constexpr_lut_to_dense", 0) == "CoreML8");
  CHECK(opset("scaled_dot_product_attention", 0) == "CoreML8");
}

// ---- places

TEST_CASE("what stands at the place is replaced whole or not at all") {
  Folder folder;
  ModelFile file = read_coreml(shipped[0]);
  std::string path = folder.of("model.mlpackage");
  write_package(file, path);
  std::string before = model_of(path);
  write_package(file, path);  // a package is replaced
  CHECK(folder.entries() == 1);
  fs::create_directory(folder.of("notes"));
  write_file(folder.of("notes/text"), as_bytes("mine"));
  CHECK(message_of([&] { write_package(file, folder.of("notes")); }).find("is no package") !=
        std::string::npos);
  CHECK(content(folder.of("notes/text")) == "mine");
  CHECK(message_of([&] { write_package(file, folder.of("nowhere/model.mlpackage")); }) != "no error");

  struct rlimit was {};
  getrlimit(RLIMIT_FSIZE, &was);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit little = was;
  little.rlim_cur = 1000;  // as a full disk would
  setrlimit(RLIMIT_FSIZE, &little);
  std::string wrong = message_of([&] { write_package(file, path); });
  setrlimit(RLIMIT_FSIZE, &was);
  std::signal(SIGXFSZ, handler);
  CHECK(wrong.find("cannot be written") != std::string::npos);
  CHECK(model_of(path) == before);
  CHECK(folder.entries() == 2);
}

// ---- conversions

Graph converted_graph(const Folder& folder, const FileConversion& how) {
  Runtime runtime({.threads = 1});
  convert_file(shipped[0], folder.of("out.mlpackage"), how, runtime);
  return *read_coreml(folder.of("out.mlpackage")).functions.at(0).graph;
}

TEST_CASE("precision changes what is computed, not the interface") {
  Folder folder;
  for (const char* precision : {"fp32", "fp16"}) {
    Graph graph = converted_graph(folder, {.precision = precision});
    for (const Node& node : graph.body.nodes)
      if (node.op == &ops::conv)
        CHECK(name_of(graph.type(node.outputs[0]).dtype) == std::string_view(precision));
    CHECK(graph.type(graph.body.inputs[0]).dtype == DType::f32);
  }
}

TEST_CASE("names of features become names that programs may have") {
  ModelFile file = model_of_case(test::cases_of(ops::exp).at(4));
  Function& f = file.functions.at(0);
  f.graph->value(f.graph->body.inputs.at(0)).name = f.interface.inputs.at(0).name = "data/0:a";
  f.graph->output_names.at(0) = "1 b";
  f.interface.outputs.push_back({.name = "1 b"});
  auto changed = give_plain_names(f);
  REQUIRE(changed.size() == 2);
  CHECK(f.interface.inputs[0].name == "data_0_a");
  CHECK(f.graph->value(f.graph->body.inputs[0]).name == "data_0_a");
  CHECK(f.graph->output_names[0] == "_1_b");
}

TEST_CASE("a batch is fixed") {
  Folder folder;
  Runtime runtime({.threads = 1});
  convert_file("examples/guide/model.mlpackage", folder.of("b.mlpackage"), {.batch = 1}, runtime);
  CHECK(message_of([&] {
          convert_file("examples/guide/model.mlpackage", folder.of("c.mlpackage"), {.shapes = {"nothing=1"}},
                       runtime);
        }).find("there is no input 'nothing'") != std::string::npos);
}

}  // namespace
}  // namespace tl
