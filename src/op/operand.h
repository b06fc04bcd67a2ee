// SPDX-License-Identifier: Apache-2.0
// One input of an elementwise kernel, handed out a block at a time as plain contiguous elements, so that
// every kernel is one dense loop whatever is broadcast.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "ir/type.h"

namespace tl {

inline constexpr std::int64_t block_size =
    1024;  // elements; small enough that some blocks stay in the first cache
inline constexpr std::size_t most_axes = 8;

// How an input of shape `in` lies over an output of shape `out`: axes joined where they continue each other.
class Operand {
 public:
  Operand() = default;
  Operand(std::span<const Dim> in, std::span<const Dim> out, std::size_t element_bytes)
      : bytes_(element_bytes) {
    Shape stride = row_major(in);
    std::size_t skip = out.size() - in.size();
    for (std::size_t d = 0; d < out.size(); ++d)
      push(out[d], d < skip || in[d - skip] == 1 ? 0 : stride[d - skip]);
    if (rank_ == 0) axes_[rank_++] = {1, 1};
  }

  bool fits() const { return rank_ <= most_axes; }
  bool is_one() const { return rank_ == 1 && axes_[0].stride == 0; }
  bool is_dense() const { return rank_ == 1 && axes_[0].stride == 1; }

  // n <= block_size elements from position `at` on, in row-major order: inside data where they lie together,
  // else in `buffer`, which has room for a block. `filled` is 0 before the first call with this buffer.
  const std::byte* block(const std::byte* data, std::int64_t at, std::int64_t n, std::byte* buffer,
                         std::int64_t& filled) const {
    const Axis& inner = axes_[rank_ - 1];
    if (is_one()) {  // one value for all: the block is filled once
      if (filled < n) copy(data, 0, n, buffer);
      filled = std::max(filled, n);
      return buffer;
    }
    if (is_dense()) return data + at * width();
    std::int64_t in_row = at % inner.size;
    if (inner.stride == 1 && in_row + n <= inner.size)
      return data + (row_start(at / inner.size) + in_row) * width();
    for (std::int64_t done = 0, row = at / inner.size; done < n; ++row, in_row = 0) {
      std::int64_t run = std::min(n - done, inner.size - in_row);
      copy(data + (row_start(row) + in_row * inner.stride) * width(), inner.stride, run,
           buffer + done * width());
      done += run;
    }
    return buffer;
  }

 private:
  struct Axis {
    std::int64_t size, stride;
  };

  std::int64_t width() const { return static_cast<std::int64_t>(bytes_); }

  void push(std::int64_t size, std::int64_t stride) {  // an axis that continues the previous one joins it
    if (size == 1 || rank_ > most_axes) return;
    Axis* last = rank_ ? &axes_[rank_ - 1] : nullptr;
    if (last && last->stride == stride * size) *last = {last->size * size, stride};
    else if (rank_ == most_axes) ++rank_;  // does not fit
    else axes_[rank_++] = {size, stride};
  }

  std::int64_t row_start(std::int64_t row) const {  // of the innermost axis
    std::int64_t sum = 0;
    for (std::size_t d = rank_ - 1; d-- > 0; row /= axes_[d].size)
      sum += row % axes_[d].size * axes_[d].stride;
    return sum;
  }

  template <class T> static void fill(const std::byte* from, std::int64_t n, std::byte* to) {
    T value;
    std::memcpy(&value, from, sizeof value);
    std::fill_n(reinterpret_cast<T*>(to), n, value);
  }

  void copy(const std::byte* from, std::int64_t stride, std::int64_t n,
            std::byte* to) const {  // stride is 0 or 1
    if (stride) return void(std::memcpy(to, from, static_cast<std::size_t>(n) * bytes_));
    switch (bytes_) {
      case 1: return fill<std::uint8_t>(from, n, to);
      case 2: return fill<std::uint16_t>(from, n, to);
      case 4: return fill<std::uint32_t>(from, n, to);
      default: return fill<std::uint64_t>(from, n, to);
    }
  }

  std::array<Axis, most_axes> axes_ = {};
  std::size_t rank_ = 0, bytes_ = 4;
};

}  // namespace tl
