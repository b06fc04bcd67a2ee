// SPDX-License-Identifier: Apache-2.0
// GGUF files that tool/make_weight_cases.py wrote: values bit for bit as the gguf package gives them,
// metadata of every type, and types that are shown but not read. What is wrong with a file is in
// test/format/bad/gguf.
#include "format/gguf/gguf.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "base/text.h"
#include "format/gguf/block.h"

namespace tl::gguf {
namespace {

std::string good(std::string_view name) { return text("{}/test/format/good/{}", TL_SOURCE_DIR, name); }

const NamedTensor& tensor(const ModelFile& model, std::string_view name) {
  for (const NamedTensor& t : model.tensors)
    if (t.name == name) return t;
  throw Error(Code::bad_use, text("no tensor {}", name));
}

const MetaValue& meta(const ModelFile& model, std::string_view key) {
  for (const auto& item : model.meta)
    if (item.first == key) return item.second;
  throw Error(Code::bad_use, text("no key {}", key));
}

template <class T> T meta_as(const ModelFile& model, std::string_view key) {
  return std::get<T>(meta(model, key).value);
}

std::string refusal(const ModelFile& model, const NamedTensor& t) {
  try {
    model.read_tensor(t);
  } catch (const Error& e) { return e.what(); }
  return "";
}

TEST_CASE("gguf: every readable type gives the values of the gguf package, to the last bit") {
  ModelFile model = read_gguf(good("quants.gguf"));
  StoragePtr expected = map_file(good("quants.f32"));
  CHECK(model.tensors.size() == 13);
  std::size_t at = 0;
  for (const NamedTensor& t : model.tensors) {
    INFO(t.name);
    CHECK(t.name == t.stored);
    CHECK(t.readable);
    Tensor values = converted(model.read_tensor(t), DType::f32);
    REQUIRE(at + values.bytes() <= expected->size());
    CHECK(same(values, Tensor(DType::f32, t.shape, expected, at)));
    at += values.bytes();
  }
  CHECK(at == expected->size());
}

TEST_CASE("gguf: metadata of every type, in versions 2 and 3") {
  for (int version : {2, 3}) {
    ModelFile model = read_gguf(good(text("everything_v{}.gguf", version)));
    CHECK(model.spec_version == version);
    CHECK(model.type == "test");
    CHECK(model.name == "Every type");
    CHECK(model.quantization_hint == "Q4_K_M");
    CHECK(meta_as<std::uint64_t>(model, "u8") == 255);
    CHECK(meta_as<std::int64_t>(model, "i8") == -128);
    CHECK(meta_as<std::uint64_t>(model, "u16") == 65535);
    CHECK(meta_as<std::int64_t>(model, "i16") == -32768);
    CHECK(meta_as<std::uint64_t>(model, "u32") == 4294967295u);
    CHECK(meta_as<std::int64_t>(model, "i32") == -2147483648LL);
    CHECK(meta_as<std::uint64_t>(model, "u64") == ~std::uint64_t{0});
    CHECK(meta_as<std::int64_t>(model, "i64") == INT64_MIN);
    CHECK(meta_as<double>(model, "f32") == 0.5);
    CHECK(meta_as<double>(model, "f64") == 0.1);
    CHECK(meta_as<bool>(model, "bool"));
    CHECK(meta_as<std::string>(model, "string") == "t\u00ebxt");
    CHECK(meta_as<std::vector<MetaValue>>(model, "empty").empty());
    auto list = meta_as<std::vector<MetaValue>>(model, "list");
    REQUIRE(list.size() == 2);
    CHECK(std::get<std::string>(list[0].value) == "a");
    CHECK(std::get<std::string>(list[1].value).empty());
    auto nested = meta_as<std::vector<MetaValue>>(model, "nested");
    REQUIRE(nested.size() == 2);
    CHECK(std::get<std::uint64_t>(std::get<std::vector<MetaValue>>(nested[0].value).at(1).value) == 2);
    auto inner = std::get<std::vector<MetaValue>>(nested[1].value).at(0).value;
    CHECK(!std::get<bool>(std::get<std::vector<MetaValue>>(inner).at(0).value));
  }
}

TEST_CASE("gguf: plain types keep their type, others are shown and refused by name") {
  ModelFile model = read_gguf(good("everything_v3.gguf"));
  int plain = 0, refused = 0;
  for (const NamedTensor& t : model.tensors) {
    INFO(t.name);
    if (!t.readable) {
      CHECK(refusal(model, t) ==
            text("tensor '{}': blocks of type {} cannot be read by this version", t.name, t.stored));
      CHECK(t.bytes > 0);
      ++refused;
    } else if (t.bytes > 1) {
      CHECK(to_doubles(model.read_tensor(t)) == std::vector<double>{-2, -1, 0, 1});
      ++plain;
    }
  }
  CHECK(plain == 8);
  CHECK(refused == 16);
  CHECK(model.read_tensor(tensor(model, "I64")).dtype() == DType::i64);
  CHECK(model.read_tensor(tensor(model, "BF16")).dtype() == DType::bf16);
  CHECK(to_doubles(model.read_tensor(tensor(model, "one"))) == std::vector<double>{42});
  CHECK(model.read_tensor(tensor(model, "none")).shape() == Shape{3, 0});
}

TEST_CASE("gguf: names of types of files") {
  CHECK(file_type_name(15) == "Q4_K_M");
  CHECK(file_type_name(4).empty());
  CHECK(main_block_of("Q4_K_M") == "Q4_K");
  CHECK(main_block_of("Q8_0") == "Q8_0");
  CHECK(main_block_of("MXFP4_MOE") == "MXFP4");
  CHECK(main_block_of("") == "");
  CHECK(block_type(std::uint32_t{4}) == nullptr);
}

}  // namespace
}  // namespace tl::gguf
