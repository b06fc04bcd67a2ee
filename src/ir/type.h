// SPDX-License-Identifier: Apache-2.0
// What a value is: element types, shapes with unknown and symbolic dimensions, lists, states, dictionaries.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

enum class DType : std::uint8_t {
  boolean,
  string,
  f16,
  f32,
  f64,
  bf16,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  i4,
  u1,
  u2,
  u3,
  u4,
  u6,  // stored weights only: a stream of bits, least significant first
  f8e4m3,
  f8e5m2,
};

std::string_view name_of(DType);                     // as MIL spells it: "fp16", "int32", "bool", "string"
std::optional<DType> dtype_named(std::string_view);  // also "float16", "half", "f16", "boolean" …
int bits_of(DType);                                  // of one stored element; string: 8 * sizeof(std::string)
bool is_float(DType);
bool is_integer(DType);                              // bool is not one
bool is_packed(DType);                               // several elements share a byte
std::size_t bytes_of(DType, std::int64_t elements);  // rounded up to whole bytes

// A dimension: a length, or `unknown`, or a symbol (below unknown): two symbols that are equal are the same
// length.
using Dim = std::int64_t;
using Shape = std::vector<Dim>;
inline constexpr Dim unknown = -1;
inline Dim symbol(int k) { return unknown - 1 - k; }
inline bool is_known(Dim d) { return d >= 0; }
bool is_known(std::span<const Dim>);
std::string text_of(std::span<const Dim>);  // "[1, 3, ?, s0]"
inline std::string text_of(const Shape& shape) { return text_of(std::span<const Dim>(shape)); }

// Elements of a known shape; throws Error when the product passes what a file or machine can hold (2^48).
std::int64_t volume(std::span<const Dim>);
Shape row_major(std::span<const Dim>);  // strides in elements

// NumPy's rule, right-aligned; unknown with n > 1 gives n, unknown with 1 or unknown gives unknown (a symbol
// keeps). Throws Error naming both shapes.
Shape broadcast(std::span<const Dim> a, std::span<const Dim> b);

// axis in [-rank, rank) as [0, rank); throws Error otherwise.
std::int64_t wrap_axis(std::int64_t axis, std::size_t rank, std::string_view what = "axis");

struct Type {
  enum class Kind : std::uint8_t { tensor, list, state, dictionary };
  Kind kind = Kind::tensor;
  DType dtype = DType::f32;   // of elements; of a dictionary's values
  bool ranked = true;         // false: not even the rank is known, and shape is empty
  Shape shape = {};           // of a list: of each element
  Dim length = unknown;       // of a list
  DType key = DType::string;  // of a dictionary: string or i64

  Type() = default;
  Type(DType d, Shape s) : dtype(d), shape(std::move(s)) {}

  std::size_t rank() const { return shape.size(); }
  bool is_tensor() const { return kind == Kind::tensor; }
  bool is_concrete() const { return ranked && is_known(shape); }  // every dimension is a number
  bool operator==(const Type&) const = default;
};

Type unranked(DType);
Type list_of(DType, Shape element, Dim length);
Type state_of(DType, Shape);
Type dictionary_of(DType key, DType value);
std::string text_of(
    const Type&);  // "fp16[1, 3, ?]", "fp16[*]", "list<fp32[2], 4>", "state<fp16[1]>", "dict<string, fp64>"

// The type that says what both say: dimensions that differ are unknown. Throws Error if kinds or dtypes
// differ.
Type join(const Type&, const Type&);

// C++ element types of the stored ones; sub-byte types have none.
template <class T> struct DTypeOf;

}  // namespace tl
