// SPDX-License-Identifier: Apache-2.0
// Types and immediate values of a MIL program's protobuf.
#include "format/coreml/mil_value.h"

#include <algorithm>
#include <limits>

#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr std::size_t highest_rank = 32;

void check_depth(int depth, std::string_view what) {
  if (depth > deepest) throw Error(Code::bad_input, text("{} are nested deeper than {}", what, deepest));
}

void check_count(std::uint64_t there, DType dtype, const Shape& shape) {
  std::int64_t wanted = volume(shape);
  if (there != static_cast<std::uint64_t>(wanted))
    throw Error(Code::bad_input,
                text("{} needs {} elements, {} are given", text_of(Type(dtype, shape)), wanted, there));
}

// ---- types

Dim read_dimension(std::string_view message, bool& variadic) {
  Dim dim = unknown;
  each_field(message, [&](Field& field) {
    bool constant = field.tag() == 1;
    if (field.wire_type() != protozero::pbf_wire_type::length_delimited || field.tag() > 2)
      return field.skip();
    if (constant) dim = 0;  // a size of 0 is not written
    each_field(view(field), [&](Field& inner) {
      if (inner.tag_and_type() != varint(1)) return inner.skip();
      std::uint64_t value = inner.get_uint64();
      if (!constant) variadic = variadic || value;
      else if (value > std::uint64_t{1} << 48)
        throw Error(Code::bad_input, text("a dimension of {} is too long", value));
      else dim = static_cast<Dim>(value);
    });
  });
  return dim;
}

DType checked_dtype(std::int64_t number) {
  if (std::optional<DType> dtype = mil_dtype(number)) return *dtype;
  throw Error(Code::bad_input, text("{} is not the number of an element type", number));
}

Type read_tensor_type(std::string_view message) {
  std::int64_t dtype = 0, rank = 0;
  bool variadic = false;
  Shape shape;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): dtype = field.get_int64(); break;
      case varint(2): rank = field.get_int64(); break;
      case bytes(3): shape.push_back(read_dimension(view(field), variadic)); break;
      default: field.skip();
    }
  });
  if (rank < 0 || variadic) return unranked(checked_dtype(dtype));
  if (static_cast<std::uint64_t>(rank) != shape.size())
    throw Error(Code::bad_input, text("a type of rank {} has {} dimensions", rank, shape.size()));
  if (shape.size() > highest_rank) throw Error(Code::bad_input, text("a rank of {} is too high", rank));
  return {checked_dtype(dtype), std::move(shape)};
}

Type read_list_type(std::string_view message, int depth) {
  Type element;
  Dim length = unknown;
  bool variadic = false;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): element = read_type(view(field), depth + 1); break;
      case bytes(2): length = read_dimension(view(field), variadic); break;
      default: field.skip();
    }
  });
  Type list = list_of(element.dtype, element.shape, length);
  list.ranked = element.ranked;
  return list;
}

Type read_dictionary_type(std::string_view message, int depth) {
  Type key, value;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): key = read_type(view(field), depth + 1); break;
      case bytes(2): value = read_type(view(field), depth + 1); break;
      default: field.skip();
    }
  });
  return dictionary_of(key.dtype, value.dtype);
}

Type read_state_type(std::string_view message, int depth) {
  Type inner;
  each_field(message, [&](Field& field) {
    if (field.tag_and_type() == bytes(1)) inner = read_type(view(field), depth + 1);
    else field.skip();
  });
  if (!inner.is_tensor() || !inner.is_concrete())
    throw Error(Code::bad_input, text("a state must hold a tensor of a fixed shape, not {}", text_of(inner)));
  return state_of(inner.dtype, inner.shape);
}

// ---- values

struct Elements {  // what the typed fields of a TensorValue held
  std::vector<float> floats = {};
  std::vector<double> doubles = {};
  std::vector<std::int64_t> integers = {};
  std::vector<std::string> strings = {};
  std::string_view raw = {};
  int field = 0;
};

void read_run(std::string_view message, Elements& out) {
  each_field(message, [&](Field& field) {
    if (field.tag() != 1) return field.skip();
    using protozero::pbf_wire_type;
    pbf_wire_type wire = field.wire_type();
    bool run = wire == pbf_wire_type::length_delimited;
    if (out.field == 1 && (run || wire == pbf_wire_type::fixed32)) append_fixed(field, out.floats);
    else if (out.field == 6 && (run || wire == pbf_wire_type::fixed64)) append_fixed(field, out.doubles);
    else if (out.field == 4 && run) out.strings.emplace_back(view(field));
    else if (out.field == 7 && run) out.raw = view(field);
    else if ((out.field == 2 || out.field == 3 || out.field == 5) && (run || wire == pbf_wire_type::varint))
      append_varints(field, out.integers);
    else field.skip();
  });
}

Tensor read_tensor(std::string_view message, const Type& type) {
  if (!type.is_tensor() || !type.is_concrete())
    throw Error(Code::bad_input, text("a tensor is given where {} is declared", text_of(type)));
  Elements e;
  each_field(message, [&](Field& field) {
    if (field.tag() < 1 || field.tag() > 7 || field.wire_type() != protozero::pbf_wire_type::length_delimited)
      return field.skip();
    e.field = static_cast<int>(field.tag());
    read_run(view(field), e);
  });
  if (type.dtype == DType::string) return tensor_of_strings(std::move(e.strings), type.shape);
  if (e.field == 7) return tensor_of_bytes(e.raw, type.dtype, type.shape);
  if (e.field == 1 && type.dtype == DType::f32)
    return tensor_of_bytes({reinterpret_cast<const char*>(e.floats.data()), e.floats.size() * sizeof(float)},
                           type.dtype, type.shape);
  if (e.field == 1) e.doubles.assign(e.floats.begin(), e.floats.end());
  if (e.field == 1 || e.field == 6) return tensor_of_numbers(e.doubles, type.dtype, type.shape);
  return tensor_of_integers(e.integers, type.dtype, type.shape);
}

std::vector<MilValue> read_values(std::string_view message, int depth) {
  std::vector<MilValue> out;
  each_field(message, [&](Field& field) {
    if (field.tag_and_type() == bytes(1)) out.push_back(read_value(view(field), depth + 1));
    else field.skip();
  });
  return out;
}

BlobRef read_blob_ref(std::string_view message) {
  BlobRef out;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.file = view(field); break;
      case varint(2): out.offset = field.get_uint64(); break;
      default: field.skip();
    }
  });
  return out;
}

void read_immediate(std::string_view message, MilValue& out, int depth) {
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.content = read_tensor(view(field), out.type); break;
      case bytes(2):
      case bytes(3): out.content = read_values(view(field), depth); break;
      default: field.skip();
    }
  });
}

constexpr std::pair<int, DType> dtype_numbers[] = {
    {1, DType::boolean}, {2, DType::string}, {10, DType::f16}, {11, DType::f32}, {12, DType::f64},
    {13, DType::bf16},   {21, DType::i8},    {22, DType::i16}, {23, DType::i32}, {24, DType::i64},
    {25, DType::i4},     {31, DType::u8},    {32, DType::u16}, {33, DType::u32}, {34, DType::u64},
    {35, DType::u4},     {36, DType::u2},    {37, DType::u1},  {38, DType::u6},  {39, DType::u3},
    {40, DType::f8e4m3}, {41, DType::f8e5m2}};

}  // namespace

int mil_number(DType wanted) {
  for (auto [n, dtype] : dtype_numbers)
    if (dtype == wanted) return n;
  TL_ASSERT(false);
  return 0;
}

std::optional<DType> mil_dtype(std::int64_t number) {
  for (auto [n, dtype] : dtype_numbers)
    if (n == number) return dtype;
  return std::nullopt;
}

Type read_type(std::string_view message, int depth) {
  check_depth(depth, "types");
  Type out = unranked(DType::f32);
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out = read_tensor_type(view(field)); break;
      case bytes(2): out = read_list_type(view(field), depth); break;
      case bytes(4): out = read_dictionary_type(view(field), depth); break;
      case bytes(5): out = read_state_type(view(field), depth); break;
      default: field.skip();  // a tuple: its values say what is in it
    }
  });
  return out;
}

MilValue read_value(std::string_view message, int depth) {
  check_depth(depth, "values");
  MilValue out;
  std::string_view immediate;
  bool has_immediate = false;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(2): out.type = read_type(view(field)); break;
      case bytes(3): immediate = view(field), has_immediate = true; break;
      case bytes(5): out.content = read_blob_ref(view(field)); break;
      default: field.skip();
    }
  });
  if (has_immediate) read_immediate(immediate, out, depth);  // after its type, wherever that stood
  return out;
}

Tensor tensor_of_bytes(std::string_view raw, DType dtype, const Shape& shape) {
  if (dtype == DType::string) throw Error(Code::bad_input, "strings are given as bytes");
  std::int64_t elements = volume(shape);
  if (raw.size() != bytes_of(dtype, elements))
    throw Error(Code::bad_input, text("{} needs {} bytes, {} are given", text_of(Type(dtype, shape)),
                                      bytes_of(dtype, elements), raw.size()));
  Tensor out(dtype, shape);
  std::byte* to = out.writable_data();
  if (!raw.empty()) std::memcpy(to, raw.data(), raw.size());
  if (dtype == DType::boolean)
    for (std::size_t i = 0; i < raw.size(); ++i) to[i] = std::byte{raw[i] != 0};
  return out;
}

Tensor tensor_of_numbers(std::span<const double> numbers, DType dtype, const Shape& shape) {
  check_count(numbers.size(), dtype, shape);
  return from_doubles(numbers, dtype, shape);
}

Tensor tensor_of_integers(std::span<const std::int64_t> numbers, DType dtype, const Shape& shape) {
  check_count(numbers.size(), dtype, shape);
  if (dtype == DType::i32) {  // most constants
    Tensor out(dtype, shape);
    std::transform(numbers.begin(), numbers.end(), out.writable<std::int32_t>().begin(),
                   [](std::int64_t n) { return static_cast<std::int32_t>(n); });
    return out;
  }
  return from_integers(numbers, dtype, shape);
}

Tensor tensor_of_strings(std::vector<std::string> strings, const Shape& shape) {
  check_count(strings.size(), DType::string, shape);
  return from_strings(std::move(strings), shape);
}

}  // namespace tl::coreml
