// SPDX-License-Identifier: Apache-2.0
// A tensor: an element type, a shape of numbers, and a place in shared storage. Dense, row-major, cheap to
// copy.
#pragma once
#include <span>

#include "base/half.h"
#include "base/storage.h"
#include "ir/type.h"

namespace tl {

#define TL_DTYPE_OF(T, d) \
  template <> struct DTypeOf<T> { static constexpr DType value = d; };
TL_DTYPE_OF(bool, DType::boolean)
TL_DTYPE_OF(std::string, DType::string)
TL_DTYPE_OF(Half, DType::f16)
TL_DTYPE_OF(float, DType::f32)
TL_DTYPE_OF(double, DType::f64)
TL_DTYPE_OF(BFloat, DType::bf16)
TL_DTYPE_OF(std::int8_t, DType::i8)
TL_DTYPE_OF(std::int16_t, DType::i16)
TL_DTYPE_OF(std::int32_t, DType::i32)
TL_DTYPE_OF(std::int64_t, DType::i64)
TL_DTYPE_OF(std::uint8_t, DType::u8)
TL_DTYPE_OF(std::uint16_t, DType::u16)
TL_DTYPE_OF(std::uint32_t, DType::u32)
TL_DTYPE_OF(std::uint64_t, DType::u64)
#undef TL_DTYPE_OF

class Tensor {
 public:
  Tensor() = default;
  Tensor(DType, Shape);                                      // fresh, uninitialised (strings: empty)
  Tensor(DType, Shape, StoragePtr, std::size_t offset = 0);  // a view; throws Error if it does not fit

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::size_t rank() const { return shape_.size(); }
  std::int64_t size() const { return size_; }  // elements
  std::size_t bytes() const { return bytes_of(dtype_, size_); }
  Type type() const { return {dtype_, shape_}; }
  explicit operator bool() const { return storage_ != nullptr; }

  const std::byte* data() const { return storage_->data() + offset_; }
  std::byte* writable_data();  // copies first if shared or mapped
  const StoragePtr& storage() const { return storage_; }
  std::size_t offset() const { return offset_; }

  // The elements; T must be the element type.
  template <class T> std::span<const T> as() const {
    check(DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(data()), static_cast<std::size_t>(size_)};
  }
  template <class T> std::span<T> writable() {
    check(DTypeOf<T>::value);
    return {reinterpret_cast<T*>(writable_data()), static_cast<std::size_t>(size_)};
  }

  Tensor reshaped(Shape) const;  // the same elements; volumes must agree

 private:
  void check(DType) const;

  DType dtype_ = DType::f32;
  Shape shape_;
  std::int64_t size_ = 0;
  StoragePtr storage_;
  std::size_t offset_ = 0;
};

// Elements of any numeric type (sub-byte ones and bool included) as double, and back: floats are rounded to
// nearest even, integers wrap (from a double beyond 2^63 they saturate).
std::vector<double> to_doubles(const Tensor&);
Tensor from_doubles(std::span<const double>, DType, Shape);
std::vector<std::int64_t> to_integers(const Tensor&);  // exact for every integer type; floats are truncated
Tensor from_integers(std::span<const std::int64_t>, DType, Shape);
Tensor from_strings(std::vector<std::string>, Shape);

// One number as a tensor of rank 0.
Tensor scalar(double, DType);

// The same values in another type; floats to integers truncate and saturate, NaN gives 0.
Tensor converted(const Tensor&, DType);

// Bit for bit the same type, shape and elements.
bool same(const Tensor&, const Tensor&);

}  // namespace tl
