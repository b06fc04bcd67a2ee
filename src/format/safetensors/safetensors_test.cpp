// SPDX-License-Identifier: Apache-2.0
// SafeTensors: a file of another writer, odd but sound files, several files with an index, and what we write
// ourselves. What is wrong with a file is in test/format/bad/safetensors.
#include "format/safetensors/safetensors.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>

#include "base/file.h"
#include "base/text.h"

namespace tl::safetensors {
namespace {

std::string bytes_of_file(std::string header, std::string_view data) {
  std::string all(8, '\0');
  std::uint64_t length = header.size();
  std::memcpy(all.data(), &length, 8);
  return all.append(header).append(data);
}

ModelFile parse(const std::string& bytes) {
  StoragePtr file = allocate(bytes.size());
  std::memcpy(file->data(), bytes.data(), bytes.size());
  return parse_safetensors(file);
}

std::map<std::string, Tensor> tensors_of(const ModelFile& model) {
  std::map<std::string, Tensor> all;
  for (const NamedTensor& t : model.tensors) all.emplace(t.name, model.read_tensor(t));
  return all;
}

template <class Body> std::string message(const Body& body) {
  try {
    body();
  } catch (const Error& e) { return e.what(); }
  return "";
}

class Folder {  // gone with everything in it when the test ends
 public:
  Folder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  Folder(const Folder&) = delete;
  ~Folder() {
    for (const std::string& name : list_folder(path_)) unlink(at(name).c_str());
    rmdir(path_.c_str());
  }
  std::string at(std::string_view name) const { return join_path(path_, name); }

 private:
  std::string path_ = "/tmp/tl_safetensors_XXXXXX";
};

TEST_CASE("safetensors: every plain type, as another writer writes it") {
  ModelFile model = read_safetensors(text("{}/test/format/good/plain.safetensors", TL_SOURCE_DIR));
  REQUIRE(model.user.size() == 1);
  CHECK(model.user[0].second == "the safetensors package");
  auto all = tensors_of(model);
  CHECK(all.size() == 14);
  for (const auto& item : all) {
    const std::string& name = item.first;
    const Tensor& t = item.second;
    INFO(name);
    if (name == "none" || name == "one") continue;
    CHECK(t.dtype() == dtype_named(name));
    if (name == "bool") CHECK(to_doubles(t) == std::vector<double>{0, 1, 1, 1});
    else if (name[0] == 'u') CHECK(to_doubles(t) == std::vector<double>{0, 1, 2, 3});
    else CHECK(to_doubles(t) == std::vector<double>{-2, -1, 0, 1, 2, 3});
  }
  CHECK(all.at("none").shape() == Shape{0, 3});
  CHECK(all.at("one").rank() == 0);
  CHECK(to_doubles(all.at("one")) == std::vector<double>{42});
}

TEST_CASE("safetensors: BF16, unaligned places, odd truth values, spaces after the header") {
  ModelFile model =
      parse(bytes_of_file(R"({"t":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                          R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[3,7]},)"
                          R"("d":{"dtype":"F64","shape":[],"data_offsets":[7,15]}}   )",
                          std::string_view("\x00\x02\xff\xc0\x3f\x00\xc0\0\0\0\0\0\0\xf0\x3f", 15)));
  CHECK(model.tensors[0].name == "t");
  CHECK(model.tensors[2].name == "d");
  auto all = tensors_of(model);
  CHECK(to_doubles(all.at("t")) == std::vector<double>{0, 1, 1});
  CHECK(all.at("b").dtype() == DType::bf16);
  CHECK(to_doubles(all.at("b")) == std::vector<double>{1.5, -2});
  CHECK(to_doubles(all.at("d")) == std::vector<double>{1});
}

TEST_CASE("safetensors: types that are shown and refused by name") {
  struct Row {
    std::string_view name;
    int bytes;  // of eight elements
  };
  for (Row row : {Row{"F8_E4M3", 8},
                  {"F8_E5M2", 8},
                  {"F8_E8M0", 8},
                  {"F4", 4},
                  {"F6_E2M3", 6},
                  {"F6_E3M2", 6},
                  {"C64", 64}}) {
    std::string header =
        text(R"({{"w":{{"dtype":"{}","shape":[2,4],"data_offsets":[0,{}]}}}})", row.name, row.bytes);
    ModelFile model = parse(bytes_of_file(header, std::string(static_cast<std::size_t>(row.bytes), '\0')));
    CHECK(model.tensors.at(0).stored == row.name);
    CHECK(!model.tensors.at(0).readable);
    CHECK(message([&] { model.read_tensor(model.tensors[0]); }) ==
          text("tensor 'w': elements of type {} cannot be read by this version", row.name));
  }
}

TEST_CASE("safetensors: a file without tensors") {
  CHECK(parse(bytes_of_file("{}", "")).tensors.empty());
  CHECK(parse(bytes_of_file(R"({"__metadata__":{}})", "")).user.empty());
}

TEST_CASE("safetensors: what is written is read back the same") {
  Folder folder;
  NamedArrays arrays;
  for (DType d : {DType::boolean, DType::i8, DType::u8, DType::i16, DType::u16, DType::f16, DType::bf16,
                  DType::i32, DType::u32, DType::f32, DType::i64, DType::u64, DType::f64}) {
    std::vector<double> values{1, 0, 1};
    arrays.emplace_back(text("w.{}", name_of(d)), from_doubles(values, d, {3, 1}));
  }
  arrays.emplace_back("none", Tensor(DType::f32, {2, 0}));
  arrays.emplace_back("one \"\u00eb\"", scalar(7, DType::f32));
  write_safetensors(folder.at("a.safetensors"), arrays, {{"format", "pt"}, {"by", "tl"}});
  ModelFile model = read_safetensors(folder.at("a.safetensors"));
  CHECK(model.user == Texts{{"by", "tl"}, {"format", "pt"}});
  auto all = tensors_of(model);
  CHECK(all.size() == arrays.size());
  for (const auto& [name, t] : arrays) CHECK(same(all.at(name), t));
}

TEST_CASE("safetensors: what cannot be written says so") {
  Folder folder;
  std::string path = folder.at("a.safetensors");
  Tensor one = scalar(1, DType::f32);
  CHECK(message([&] {
          write_safetensors(path, {{"w", one}, {"w", one}});
        }) == "two tensors cannot both be called 'w'");
  CHECK(message([&] { write_safetensors(path, {{"\xff", one}}); }).find("is not UTF-8") != std::string::npos);
  CHECK(message([&] {
          write_safetensors(path, {{"w", from_strings({"a"}, {1})}});
        }).find("type string") != std::string::npos);
  CHECK(!is_file(path));
}

TEST_CASE("safetensors: several files and an index") {
  Folder folder;
  write_safetensors(folder.at("one.safetensors"),
                    {{"a", scalar(1, DType::f32)}, {"unused", scalar(0, DType::f32)}}, {{"format", "pt"}});
  write_safetensors(folder.at("two.safetensors"), {{"b", scalar(2, DType::i64)}}, {{"format", "pt"}});
  write_file(folder.at("index.json"), as_bytes(R"({"metadata":{"total_size":12},"weight_map":)"
                                               R"({"b":"two.safetensors","a":"one.safetensors"}})"));
  ModelFile model = read_index(folder.at("index.json"));
  auto all = tensors_of(model);
  CHECK(all.size() == 2);
  CHECK(to_doubles(all.at("a")) == std::vector<double>{1});
  CHECK(to_doubles(all.at("b")) == std::vector<double>{2});
  CHECK(model.user == Texts{{"format", "pt"}});
  write_file(folder.at("index.json"), as_bytes(R"({"weight_map":{"c":"two.safetensors"}})"));
  CHECK(message([&] { read_index(folder.at("index.json")); }) ==
        folder.at("index.json") + ": 'c' is not in two.safetensors");
}

TEST_CASE("safetensors: a header of many tensors takes no time") {
  std::string header = "{";
  for (int i = 0; i < 50000; ++i)
    header += text(R"("w{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}},)", i, i, i + 1);
  header.back() = '}';
  CHECK(parse(bytes_of_file(header, std::string(50000, '\0'))).tensors.size() == 50000);
}

}  // namespace
}  // namespace tl::safetensors
