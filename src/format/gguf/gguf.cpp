// SPDX-License-Identifier: Apache-2.0
// Reads a GGUF file: metadata of every type, tensor records checked against the file, tensors on demand.
#include "format/gguf/gguf.h"

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "format/gguf/block.h"
#include "ir/stored.h"

namespace tl::gguf {
namespace {

constexpr int most_nested = 8;  // arrays within arrays
constexpr std::size_t most_rank = 8;
constexpr std::uint64_t most_values = 1 << 24;  // in all arrays; each takes more memory than room in the file
constexpr std::uint64_t least_record = 24;      // bytes of the shortest key-value or tensor record, and more

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

class GgufReader {
 public:
  explicit GgufReader(const StoragePtr& file) : file_(file), reader_({file->data(), file->size()}) {}

  ModelFile run() {
    model_.format = "GGUF";
    model_.container = "gguf";
    header();
    for (std::uint64_t i = 0; i < pairs_; ++i) pair(i);
    take_well_known();
    for (std::uint64_t i = 0; i < tensors_; ++i) record(i);
    place_tensors();
    model_.read_tensor = read;
    return std::move(model_);
  }

 private:
  void header() {
    if (as_text(reader_.peek(4)) != "GGUF") fail("is not a GGUF file");
    reader_.skip(4);
    std::uint32_t version = reader_.u32();
    if (version == 0x02000000 || version == 0x03000000)
      fail("is a big-endian GGUF file: only little-endian ones are read");
    if (version == 1) fail("is of GGUF version 1, which is no longer read: convert the model again");
    if (version < 2 || version > 3)
      fail(
          text("says GGUF version {}; versions 2 and 3 are read (a file that was copied as text looks like "
               "this too)",
               version));
    model_.spec_version = static_cast<int>(version);
    tensors_ = reader_.u64();
    pairs_ = reader_.u64();
    // A count that lies must not make us loop or allocate: every record takes room in the file.
    if (tensors_ > reader_.left() / least_record) fail(text("ends early: {} tensors do not fit", tensors_));
    if (pairs_ > reader_.left() / 8) fail(text("ends early: {} key-values do not fit", pairs_));
  }

  MetaValue value(std::uint32_t type, int depth) {
    switch (type) {
      case 0: return {std::uint64_t{reader_.value<std::uint8_t>()}};
      case 1: return {std::int64_t{reader_.value<std::int8_t>()}};
      case 2: return {std::uint64_t{reader_.value<std::uint16_t>()}};
      case 3: return {std::int64_t{reader_.value<std::int16_t>()}};
      case 4: return {std::uint64_t{reader_.value<std::uint32_t>()}};
      case 5: return {std::int64_t{reader_.value<std::int32_t>()}};
      case 6: return {double{reader_.value<float>()}};
      case 7: return {reader_.value<std::uint8_t>() != 0};
      case 8: return {std::string(reader_.counted_text())};
      case 9: return {array(depth)};
      case 10: return {reader_.u64()};
      case 11: return {reader_.value<std::int64_t>()};
      case 12: return {reader_.value<double>()};
      default: fail(text("has metadata of type {}, which does not exist", type));
    }
  }

  std::vector<MetaValue> array(int depth) {
    if (depth >= most_nested) fail("has arrays nested too deep");
    std::uint32_t type = reader_.u32();
    std::uint64_t count = reader_.u64();
    constexpr std::uint64_t least[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    if (type >= std::size(least)) fail(text("has an array of type {}, which does not exist", type));
    if (count > reader_.left() / least[type])
      fail(text("ends early: an array of {} values does not fit", count));
    values_ += count;
    if (values_ > most_values) fail(text("has more than {} values in arrays", most_values));
    std::vector<MetaValue> all;
    all.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(value(type, depth + 1));
    return all;
  }

  void pair(std::uint64_t i) {
    with_note([&] { return text("key-value {}", i); },
              [&] {
                std::string key(reader_.counted_text());
                with_note([&] { return text("'{}'", printable(key)); },
                          [&] {
                            if (key.size() > 65535) fail("has a key of more than 65535 bytes");
                            if (!keys_.insert(key).second) fail("stands there twice");
                            std::uint32_t type = reader_.u32();
                            model_.meta.emplace_back(key, value(type, 0));
                          });
              });
  }

  const MetaValue* find(std::string_view key) const {
    for (const auto& [name, value] : model_.meta)
      if (name == key) return &value;
    return nullptr;
  }
  std::string words(std::string_view key) const {
    const MetaValue* v = find(key);
    const auto* s = v ? std::get_if<std::string>(&v->value) : nullptr;
    return s ? *s : std::string();
  }
  std::optional<std::uint64_t> number(std::string_view key) const {
    const MetaValue* v = find(key);
    if (!v) return std::nullopt;
    if (const auto* u = std::get_if<std::uint64_t>(&v->value)) return *u;
    if (const auto* i = std::get_if<std::int64_t>(&v->value); i && *i >= 0)
      return static_cast<std::uint64_t>(*i);
    fail(text("'{}' must be a whole number", key));
  }

  void take_well_known() {
    model_.type = words("general.architecture");
    model_.name = words("general.name");
    model_.author = words("general.author");
    model_.license = words("general.license");
    model_.version = words("general.version");
    model_.description = words("general.description");
    if (auto type = number("general.file_type"))
      model_.quantization_hint = file_type_name(static_cast<std::int64_t>(*type & 1023));
    alignment_ = number("general.alignment").value_or(32);
    if (alignment_ == 0 || alignment_ > 1 << 20 || (alignment_ & (alignment_ - 1)) != 0)
      fail(text("'general.alignment' is {}, not a power of two up to 1048576", alignment_));
  }

  void record(std::uint64_t i) {
    with_note([&] { return text("tensor {}", i); },
              [&] {
                NamedTensor t;
                t.name = std::string(reader_.counted_text());
                with_note([&] { return text("'{}'", printable(t.name)); },
                          [&] {
                            if (!names_.insert(t.name).second) fail("stands there twice");
                            dimensions(t);
                            const std::uint32_t id = reader_.u32();
                            const BlockType* type = block_type(id);
                            if (!type) fail(text("is of type {}, which ggml does not have (any more)", id));
                            size(t, *type);
                            t.offset = reader_.u64();
                            model_.tensors.push_back(std::move(t));
                          });
              });
  }

  void dimensions(NamedTensor& t) {
    std::uint32_t rank = reader_.u32();
    if (rank > most_rank) fail(text("has {} dimensions, at most {} are allowed", rank, most_rank));
    for (std::uint32_t d = 0; d < rank; ++d) {
      std::uint64_t n = reader_.u64();
      if (n > std::uint64_t{1} << 47) fail(text("has a dimension of {}", n));
      t.shape.insert(t.shape.begin(), static_cast<Dim>(n));  // the file lists the innermost first
    }
  }

  static void size(NamedTensor& t, const BlockType& type) {
    std::int64_t n = volume(t.shape);
    Dim row = t.shape.empty() ? 1 : t.shape.back();
    if (row % type.elements != 0)
      fail(text("has rows of {} elements, but {} comes in blocks of {}", row, type.name, type.elements));
    t.stored = std::string(type.name);
    t.bytes = static_cast<std::uint64_t>(n / type.elements) * static_cast<std::uint64_t>(type.bytes);
    t.readable = type.read || type.elements == 1;
  }

  void place_tensors() {
    std::uint64_t start = (reader_.at() + alignment_ - 1) / alignment_ * alignment_;
    for (NamedTensor& t : model_.tensors) {
      std::uint64_t room = start <= file_->size() ? file_->size() - start : 0;
      bool fits = t.offset <= room && t.bytes <= room - t.offset;
      if (!fits)
        fail(text("tensor '{}': ends early: its {} bytes at offset {} do not fit into the file of {} bytes",
                  printable(t.name), t.bytes, t.offset, file_->size()));
      if (t.offset % alignment_ != 0)
        fail(text("tensor '{}': its offset {} is not a multiple of {}", printable(t.name), t.offset,
                  alignment_));
      t.file = file_;
      t.offset += start;
    }
    refuse_overlap();
  }

  void refuse_overlap() const {
    std::vector<const NamedTensor*> order;
    for (const NamedTensor& t : model_.tensors)
      if (t.bytes) order.push_back(&t);
    std::sort(order.begin(), order.end(),
              [](const NamedTensor* a, const NamedTensor* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes)
        fail(text("tensors '{}' and '{}' overlap", printable(order[i - 1]->name), printable(order[i]->name)));
  }

  static Tensor read(const NamedTensor& t) {
    constexpr std::pair<std::string_view, DType> plain[] = {
        {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16}, {"F64", DType::f64},
        {"I8", DType::i8},   {"I16", DType::i16}, {"I32", DType::i32},   {"I64", DType::i64}};
    for (const auto& [name, dtype] : plain)
      if (name == t.stored) return stored_tensor(t, dtype);
    const BlockType* type = block_type(t.stored);
    if (!type || !type->read)
      throw Error(Code::unsupported, text("tensor '{}': blocks of type {} cannot be read by this version",
                                          printable(t.name), t.stored));
    Tensor out(DType::f32, t.shape);
    type->read(t.file->data() + t.offset, out.size() / type->elements,
               reinterpret_cast<float*>(out.writable_data()));
    return out;
  }

  StoragePtr file_;
  Reader reader_;
  ModelFile model_;
  std::uint64_t tensors_ = 0, pairs_ = 0, values_ = 0, alignment_ = 32;
  std::unordered_set<std::string> keys_, names_;
};

}  // namespace

ModelFile parse_gguf(const StoragePtr& file) { return GgufReader(file).run(); }

ModelFile read_gguf(const std::string& path) {
  StoragePtr file = map_file(path);
  return with_note([&] { return path; }, [&] { return parse_gguf(file); });
}

}  // namespace tl::gguf
