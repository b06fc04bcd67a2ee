// SPDX-License-Identifier: Apache-2.0
// Tensors and the conversion between element types.
#include "ir/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "ir/stored_type.h"

namespace tl {
namespace {

StoragePtr fresh(DType dtype, std::int64_t size) {
  if (dtype == DType::string) return keep_strings(std::vector<std::string>(static_cast<std::size_t>(size)));
  return allocate(bytes_of(dtype, size));
}

// Element i of a stream of `bits`-wide elements, least significant bit first.
std::int64_t packed(const std::byte* data, int bits, std::int64_t i) {
  std::int64_t value = 0, at = i * bits;
  for (int b = 0; b < bits; ++b, ++at)
    value |= (std::to_integer<std::int64_t>(data[at / 8]) >> (at % 8) & 1) << b;
  return value;
}

std::int64_t packed_integer(const Tensor& t, std::int64_t i) {
  int bits = bits_of(t.dtype());
  std::int64_t value = packed(t.data(), bits, i);
  return t.dtype() == DType::i4 && value > 7 ? value - 16 : value;
}

void put_packed(std::byte* data, int bits, std::int64_t i, std::int64_t value) {
  for (int b = 0; b < bits; ++b) {
    std::int64_t at = i * bits + b;
    auto bit = std::byte{static_cast<unsigned char>(1u << (at % 8))};
    data[at / 8] = (value >> b & 1) ? data[at / 8] | bit : data[at / 8] & ~bit;
  }
}

template <class To, class From> To number(From x) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat>) return number<To>(to_float(x));
  else if constexpr (std::is_same_v<To, bool>) return x != From{};
  else if constexpr (std::is_same_v<To, Half>) return to_half(static_cast<double>(x));
  else if constexpr (std::is_same_v<To, BFloat>) return to_bfloat(static_cast<double>(x));
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (x != x) return 0;
    if (x <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (x >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  } else return static_cast<To>(x);
}

// A double as an integer that wraps, as a computation in that type would have.
std::int64_t wrapping(double x) { return number<std::int64_t>(std::trunc(x)); }

}  // namespace

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)), size_(volume(shape_)) {
  storage_ = fresh(dtype_, size_);
}

Tensor::Tensor(DType dtype, Shape shape, StoragePtr storage, std::size_t offset)
    : dtype_(dtype),
      shape_(std::move(shape)),
      size_(volume(shape_)),
      storage_(std::move(storage)),
      offset_(offset) {
  if (offset_ > storage_->size() || bytes() > storage_->size() - offset_)
    throw Error(Code::bad_input, text("{} needs {} bytes, there are {}", text_of(type()), bytes(),
                                      offset_ > storage_->size() ? 0 : storage_->size() - offset_));
}

void Tensor::check(DType wanted) const {
  if (wanted != dtype_ || !storage_)
    assertion_failed("Tensor::as with another element type", __FILE__, __LINE__);
}

std::byte* Tensor::writable_data() {
  if (storage_.use_count() > 1 || !storage_->writable()) {
    StoragePtr copy = fresh(dtype_, size_);
    if (dtype_ == DType::string)
      std::copy_n(as<std::string>().data(), size_, reinterpret_cast<std::string*>(copy->data()));
    else std::memcpy(copy->data(), data(), bytes());
    storage_ = std::move(copy);
    offset_ = 0;
  }
  return storage_->data() + offset_;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (volume(shape) != size_)
    throw Error(Code::bad_input, text("{} elements cannot take the shape {}", size_, text_of(shape)));
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

std::vector<double> to_doubles(const Tensor& t) {
  std::vector<double> out(static_cast<std::size_t>(t.size()));
  if (is_packed(t.dtype())) {
    for (std::int64_t i = 0; i < t.size(); ++i)
      out[static_cast<std::size_t>(i)] = static_cast<double>(packed_integer(t, i));
    return out;
  }
  with_stored_type(t.dtype(), [&]<class T>(T) {
    std::span<const T> in = t.as<T>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = number<double>(in[i]);
  });
  return out;
}

std::vector<std::int64_t> to_integers(const Tensor& t) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(t.size()));
  if (is_packed(t.dtype())) {
    for (std::int64_t i = 0; i < t.size(); ++i) out[static_cast<std::size_t>(i)] = packed_integer(t, i);
    return out;
  }
  with_stored_type(t.dtype(), [&]<class T>(T) {
    std::span<const T> in = t.as<T>();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = number<std::int64_t>(in[i]);
  });
  return out;
}

Tensor from_integers(std::span<const std::int64_t> in, DType dtype, Shape shape) {
  Tensor t(dtype, std::move(shape));
  TL_ASSERT(static_cast<std::int64_t>(in.size()) == t.size());
  std::byte* data = t.writable_data();
  if (is_packed(dtype)) {
    for (std::size_t i = 0; i < in.size(); ++i)
      put_packed(data, bits_of(dtype), static_cast<std::int64_t>(i), in[i]);
    return t;
  }
  with_stored_type(dtype, [&]<class T>(T) {
    for (std::size_t i = 0; i < in.size(); ++i) reinterpret_cast<T*>(data)[i] = number<T>(in[i]);
  });
  return t;
}

Tensor from_doubles(std::span<const double> in, DType dtype, Shape shape) {
  if (!is_float(dtype) && dtype != DType::boolean) {
    std::vector<std::int64_t> whole(in.size());
    std::transform(in.begin(), in.end(), whole.begin(), wrapping);
    return from_integers(whole, dtype, std::move(shape));
  }
  Tensor t(dtype, std::move(shape));
  TL_ASSERT(static_cast<std::int64_t>(in.size()) == t.size());
  with_stored_type(dtype, [&]<class T>(T) {
    std::span<T> out = t.writable<T>();
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = number<T>(in[i]);
  });
  return t;
}

Tensor from_strings(std::vector<std::string> strings, Shape shape) {
  TL_ASSERT(static_cast<std::int64_t>(strings.size()) == volume(shape));
  return Tensor(DType::string, std::move(shape), keep_strings(std::move(strings)));
}

Tensor scalar(double x, DType dtype) { return from_doubles({&x, 1}, dtype, {}); }

Tensor converted(const Tensor& t, DType to) {
  if (t.dtype() == to) return t;
  if (is_packed(t.dtype()) || is_packed(to)) return from_integers(to_integers(t), to, t.shape());
  Tensor out(to, t.shape());
  with_stored_type(t.dtype(), [&]<class From>(From) {
    with_stored_type(to, [&]<class To>(To) {
      std::span<const From> in = t.as<From>();
      std::span<To> result = out.writable<To>();
      for (std::size_t i = 0; i < in.size(); ++i) result[i] = number<To>(in[i]);
    });
  });
  return out;
}

bool same(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.dtype() == DType::string)
    return std::equal(a.as<std::string>().begin(), a.as<std::string>().end(), b.as<std::string>().begin());
  return std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

}  // namespace tl
