// SPDX-License-Identifier: Apache-2.0
// Element types as rows; shapes and their rules.
#include "ir/type.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

enum class Family : std::uint8_t { truth, text, real, whole };

struct Row {
  DType dtype;
  std::string_view name;
  int bits;
  Family family;
  std::string_view other_names;  // separated by spaces
};

constexpr Row rows[] = {
    {DType::boolean, "bool", 8, Family::truth, "boolean"},
    {DType::string, "string", 8 * sizeof(std::string), Family::text, ""},
    {DType::f16, "fp16", 16, Family::real, "float16 half f16"},
    {DType::f32, "fp32", 32, Family::real, "float32 float f32"},
    {DType::f64, "fp64", 64, Family::real, "float64 double f64"},
    {DType::bf16, "bf16", 16, Family::real, "bfloat16"},
    {DType::i8, "int8", 8, Family::whole, "i8"},
    {DType::i16, "int16", 16, Family::whole, "i16"},
    {DType::i32, "int32", 32, Family::whole, "i32 int"},
    {DType::i64, "int64", 64, Family::whole, "i64 long"},
    {DType::u8, "uint8", 8, Family::whole, "u8"},
    {DType::u16, "uint16", 16, Family::whole, "u16"},
    {DType::u32, "uint32", 32, Family::whole, "u32 uint"},
    {DType::u64, "uint64", 64, Family::whole, "u64"},
    {DType::i4, "int4", 4, Family::whole, ""},
    {DType::u1, "uint1", 1, Family::whole, ""},
    {DType::u2, "uint2", 2, Family::whole, ""},
    {DType::u3, "uint3", 3, Family::whole, ""},
    {DType::u4, "uint4", 4, Family::whole, ""},
    {DType::u6, "uint6", 6, Family::whole, ""},
    {DType::f8e4m3, "fp8e4m3fn", 8, Family::real, ""},
    {DType::f8e5m2, "fp8e5m2", 8, Family::real, ""},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(rows); ++i)
    if (rows[i].dtype != static_cast<DType>(i)) return false;
  return true;
}
static_assert(in_order(), "rows stand in the order of DType");

const Row& row(DType d) { return rows[static_cast<std::size_t>(d)]; }

constexpr std::int64_t most_elements = std::int64_t{1} << 48;

Dim broadcast_dim(Dim a, Dim b, bool& fits) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  if (is_known(a) && is_known(b)) fits = false;
  return is_known(a) ? a : is_known(b) ? b : unknown;
}

}  // namespace

std::string_view name_of(DType d) { return row(d).name; }

std::optional<DType> dtype_named(std::string_view name) {
  for (const Row& r : rows) {
    if (r.name == name) return r.dtype;
    for (std::string_view other : split(r.other_names, ' '))
      if (!other.empty() && other == name) return r.dtype;
  }
  return std::nullopt;
}

int bits_of(DType d) { return row(d).bits; }
bool is_float(DType d) { return row(d).family == Family::real; }
bool is_integer(DType d) { return row(d).family == Family::whole; }
bool is_packed(DType d) { return row(d).bits < 8; }
std::size_t bytes_of(DType d, std::int64_t elements) {
  return (static_cast<std::size_t>(elements) * static_cast<std::size_t>(row(d).bits) + 7) / 8;
}

bool is_known(std::span<const Dim> shape) {
  return std::all_of(shape.begin(), shape.end(), [](Dim d) { return is_known(d); });
}

std::string text_of(std::span<const Dim> shape) {
  std::vector<std::string> parts;
  for (Dim d : shape)
    parts.push_back(is_known(d) ? text("{}", d) : d == unknown ? "?" : text("s{}", unknown - 1 - d));
  return "[" + join(parts, ", ") + "]";
}

std::int64_t volume(std::span<const Dim> shape) {
  std::int64_t n = 1;
  for (Dim d : shape) {
    TL_ASSERT(is_known(d));
    if (d == 0) return 0;
  }
  for (Dim d : shape) {
    if (d > most_elements / n) throw Error(Code::bad_input, text("shape {} is too large", text_of(shape)));
    n *= d;
  }
  return n;
}

Shape row_major(std::span<const Dim> shape) {
  Shape stride(shape.size());
  Dim step = 1;
  for (std::size_t d = shape.size(); d-- > 0; step *= shape[d]) stride[d] = step;
  return stride;
}

Shape broadcast(std::span<const Dim> a, std::span<const Dim> b) {
  if (a.size() < b.size()) std::swap(a, b);
  Shape wide(a.begin(), a.end());
  bool fits = true;
  std::size_t skip = a.size() - b.size();
  for (std::size_t d = 0; d < b.size(); ++d) wide[d + skip] = broadcast_dim(a[d + skip], b[d], fits);
  if (!fits) throw Error(Code::bad_input, text("shapes {} and {} do not broadcast", text_of(a), text_of(b)));
  return wide;
}

std::int64_t wrap_axis(std::int64_t axis, std::size_t rank, std::string_view what) {
  auto n = static_cast<std::int64_t>(rank);
  if (axis < -n || axis >= n)
    throw Error(Code::bad_input, text("{} {} is outside rank {}", what, axis, rank));
  return axis < 0 ? axis + n : axis;
}

Type unranked(DType d) {
  Type t(d, {});
  t.ranked = false;
  return t;
}

Type list_of(DType d, Shape element, Dim length) {
  Type t(d, std::move(element));
  t.kind = Type::Kind::list;
  t.length = length;
  return t;
}

Type state_of(DType d, Shape shape) {
  Type t(d, std::move(shape));
  t.kind = Type::Kind::state;
  return t;
}

Type dictionary_of(DType key, DType value) {
  Type t(value, {});
  t.kind = Type::Kind::dictionary;
  t.key = key;
  return t;
}

std::string text_of(const Type& t) {
  if (t.kind == Type::Kind::dictionary) return text("dict<{}, {}>", name_of(t.key), name_of(t.dtype));
  std::string tensor = std::string(name_of(t.dtype)) + (t.ranked ? text_of(t.shape) : "[*]");
  if (t.kind == Type::Kind::state) return "state<" + tensor + ">";
  if (t.kind == Type::Kind::list)
    return text("list<{}, {}>", tensor, is_known(t.length) ? text("{}", t.length) : "?");
  return tensor;
}

Type join(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype)
    throw Error(Code::bad_input, text("{} and {} are of different kinds", text_of(a), text_of(b)));
  if (a == b) return a;
  Type t = a;
  if (t.length != b.length) t.length = unknown;
  if (!a.ranked || !b.ranked || a.rank() != b.rank()) {
    t.ranked = false;
    t.shape.clear();
    return t;
  }
  for (std::size_t d = 0; d < t.rank(); ++d)
    if (t.shape[d] != b.shape[d]) t.shape[d] = unknown;
  return t;
}

}  // namespace tl
