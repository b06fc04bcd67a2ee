// SPDX-License-Identifier: Apache-2.0
// Reads and writes SafeTensors.
#include "format/safetensors/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <unordered_map>

#include "base/file.h"
#include "base/text.h"
#include "format/safetensors/header.h"
#include "ir/stored.h"

namespace tl::safetensors {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t most_header = 100'000'000;  // bytes, the format's own limit
constexpr std::size_t most_rank = 32;

struct Stored {
  std::string_view name;
  std::optional<DType> dtype;  // none: shown, not read
  int bits;
};
const Stored rows[] = {
    {"BOOL", DType::boolean, 8},  {"U8", DType::u8, 8},         {"I8", DType::i8, 8},
    {"U16", DType::u16, 16},      {"I16", DType::i16, 16},      {"U32", DType::u32, 32},
    {"I32", DType::i32, 32},      {"U64", DType::u64, 64},      {"I64", DType::i64, 64},
    {"F16", DType::f16, 16},      {"BF16", DType::bf16, 16},    {"F32", DType::f32, 32},
    {"F64", DType::f64, 64},      {"F8_E4M3", std::nullopt, 8}, {"F8_E5M2", std::nullopt, 8},
    {"F8_E8M0", std::nullopt, 8}, {"F4", std::nullopt, 4},      {"F6_E2M3", std::nullopt, 6},
    {"F6_E3M2", std::nullopt, 6}, {"C64", std::nullopt, 64},
};

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

const Stored* stored(std::string_view name) {
  for (const Stored& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::uint64_t whole(const Json& value, std::string_view what) {
  if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<std::int64_t>() >= 0))
    fail(text("{} is not a whole number", what));
  return value.get<std::uint64_t>();
}

const Json& entry(const Json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end()) fail(text("has no '{}'", key));
  return *found;
}

Shape shape_of(const Json& list) {
  if (!list.is_array() || list.size() > most_rank)
    fail(text("its shape is not a list of at most {} numbers", most_rank));
  Shape shape;
  for (const Json& d : list) {
    std::uint64_t n = whole(d, "a dimension");
    if (n > std::uint64_t{1} << 47) fail(text("has a dimension of {}", n));
    shape.push_back(static_cast<Dim>(n));
  }
  return shape;
}

NamedTensor record(const std::string& name, const Json& facts, const StoragePtr& file, std::uint64_t data) {
  return with_note(
      [&] { return text("tensor '{}'", printable(name)); },
      [&] {
        if (!facts.is_object()) fail("its record is not an object");
        const Json& dtype = entry(facts, "dtype");
        if (!dtype.is_string()) fail("its dtype is not text");
        const Stored* type = stored(dtype.get<std::string>());
        if (!type)
          fail(text("is of type '{}', which SafeTensors does not have", printable(dtype.get<std::string>())));
        const Json& offsets = entry(facts, "data_offsets");
        if (!offsets.is_array() || offsets.size() != 2) fail("its data_offsets are not two numbers");
        std::uint64_t begin = whole(offsets[0], "an offset"), end = whole(offsets[1], "an offset"),
                      room = file->size() - data;
        if (begin > end || end > room)
          fail(text("its bytes {} to {} are outside the data of {} bytes", begin, end, room));
        NamedTensor t{
            name,        std::string(type->name), shape_of(entry(facts, "shape")), file, data + begin,
            end - begin, type->dtype.has_value()};
        std::uint64_t bits =
            static_cast<std::uint64_t>(volume(t.shape)) * static_cast<std::uint64_t>(type->bits);
        if (bits % 8 != 0 || bits / 8 != t.bytes)
          fail(text("its shape {} of {} needs {} bytes, its offsets give {}", text_of(t.shape), type->name,
                    (bits + 7) / 8, t.bytes));
        return t;
      });
}

void check_cover(const std::vector<NamedTensor>& tensors, std::uint64_t data, std::uint64_t size) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& t : tensors) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
  });
  std::uint64_t at = data;
  for (const NamedTensor* t : order) {
    if (t->offset != at)
      fail(text("tensor '{}': {} the one before it", printable(t->name),
                t->offset < at ? "overlaps" : "leaves a hole after"));
    at += t->bytes;
  }
  if (at != size) fail(text("has {} bytes after its last tensor", size - at));
}

Tensor read(const NamedTensor& t) {
  const Stored* type = stored(t.stored);
  if (!type || !type->dtype)
    throw Error(Code::unsupported, text("tensor '{}': elements of type {} cannot be read by this version",
                                        printable(t.name), t.stored));
  return stored_tensor(t, *type->dtype);
}

void take_metadata(ModelFile& model, const Json& metadata) {
  if (!metadata.is_object()) fail("'__metadata__' is not an object");
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) fail(text("'__metadata__': '{}' is not text", printable(key)));
    model.user.emplace_back(key, value.get<std::string>());
  }
}

ModelFile empty_model() {
  ModelFile model;
  model.format = "SafeTensors";
  model.container = "safetensors";
  model.type = "weights";
  model.read_tensor = read;
  return model;
}

std::string_view stored_name(DType dtype) {
  for (const Stored& row : rows)
    if (row.dtype == dtype) return row.name;
  throw Error(Code::unsupported, text("SafeTensors has no elements of type {}", name_of(dtype)));
}

// The files that an index names, each opened once.
class Shards {
 public:
  explicit Shards(std::string folder) : folder_(std::move(folder)) {}

  NamedTensor tensor(const std::string& name, const Json& file) {
    std::string shard = file.is_string() ? file.get<std::string>() : std::string();
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find_first_of(std::string_view("/\0", 2)) != shard.npos)
      fail(text("'{}' is in no file beside the index", printable(name)));
    auto found = shards_.find(shard);
    if (found == shards_.end()) found = open(shard);
    auto t = found->second.find(name);
    if (t == found->second.end()) fail(text("'{}' is not in {}", printable(name), printable(shard)));
    return t->second;
  }
  const Texts& user() const { return user_; }

 private:
  using Tensors = std::unordered_map<std::string, NamedTensor>;

  std::map<std::string, Tensors>::iterator open(const std::string& shard) {
    ModelFile file = read_safetensors(join_path(folder_, shard));
    Tensors tensors;
    for (NamedTensor& t : file.tensors) tensors.emplace(t.name, std::move(t));
    for (auto& word : file.user)  // most shards say the same
      if (std::find(user_.begin(), user_.end(), word) == user_.end()) user_.push_back(std::move(word));
    return shards_.emplace(shard, std::move(tensors)).first;
  }

  std::string folder_;
  std::map<std::string, Tensors> shards_;
  Texts user_;
};

std::string header_of(const std::vector<const NamedArrays::value_type*>& order, const Texts& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  std::uint64_t at = 0;
  for (const auto* item : order) {
    const auto& [name, t] = *item;
    header[name] = {
        {"dtype", stored_name(t.dtype())}, {"shape", t.shape()}, {"data_offsets", {at, at + t.bytes()}}};
    at += t.bytes();
  }
  try {
    std::string json = header.dump();
    json.append((8 - json.size() % 8) % 8, ' ');
    return json;
  } catch (const nlohmann::json::type_error&) {
    throw Error(Code::bad_use, "a name or an entry of the metadata is not UTF-8");
  }
}

}  // namespace

ModelFile parse_safetensors(const StoragePtr& file) {
  Reader reader({file->data(), file->size()});
  std::uint64_t length = reader.u64();
  if (length > most_header)
    fail(text("says its header is {} bytes long, more than the allowed {}", length, most_header));
  if (length > reader.left()) fail(text("ends early: its header of {} bytes does not fit", length));
  Header header = parse_header(as_text(reader.take(length)), "its header");
  if (!header.root.is_object()) fail("its header is not an object");
  ModelFile model = empty_model();
  for (const std::string& name : header.names) {
    const Json& facts = header.root[name];
    if (name == "__metadata__") take_metadata(model, facts);
    else model.tensors.push_back(record(name, facts, file, reader.at()));
  }
  check_cover(model.tensors, reader.at(), file->size());
  return model;
}

ModelFile read_safetensors(const std::string& path) {
  StoragePtr file = map_file(path);
  return with_note([&] { return path; }, [&] { return parse_safetensors(file); });
}

ModelFile read_index(const std::string& path) {
  StoragePtr file = map_file(path);
  return with_note([&] { return path; },
                   [&] {
                     Header index = parse_header(as_text({file->data(), file->size()}), "the index");
                     const Json& map = entry(index.root, "weight_map");
                     if (!map.is_object()) fail("'weight_map' is not an object");
                     Shards shards(parent_path(path));
                     ModelFile model = empty_model();
                     for (const auto& [name, value] : map.items())
                       model.tensors.push_back(shards.tensor(name, value));
                     model.user = shards.user();
                     return model;
                   });
}

void write_safetensors(const std::string& path, const NamedArrays& arrays, const Texts& metadata) {
  std::vector<const NamedArrays::value_type*> order;
  std::set<std::string_view> names{"__metadata__"};
  for (const auto& item : arrays) {
    if (!names.insert(item.first).second)
      throw Error(Code::bad_use, text("two tensors cannot both be called '{}'", printable(item.first)));
    order.push_back(&item);
  }
  // The widest elements first, so that all are aligned.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return bits_of(a->second.dtype()) > bits_of(b->second.dtype());
  });
  std::string json = header_of(order, metadata);
  std::vector<std::byte> all(8);
  std::uint64_t length = json.size();
  std::memcpy(all.data(), &length, 8);
  auto append = [&](Bytes bytes) { all.insert(all.end(), bytes.begin(), bytes.end()); };
  append(as_bytes(json));
  for (const auto* item : order) append({item->second.data(), item->second.bytes()});
  write_file(path, all);
}

}  // namespace tl::safetensors
