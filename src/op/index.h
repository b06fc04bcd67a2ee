// SPDX-License-Identifier: Apache-2.0
// Where indices point: the pairs of runs that gathers copy one way and scatters the other, and the order that
// sorts use. References and kernels share this; they differ in what they do with a pair and with an index
// that is outside.
#pragma once
#include <algorithm>
#include <cmath>

#include "op/move.h"

namespace tl {

// An index as a place in [0, n), n > 0: negative ones count from the end, the rest is clamped.
inline std::int64_t clamped_place(std::int64_t i, std::int64_t n) {
  if (i < 0) i += n;
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

// Runs of `inner` elements: (batch, middle, k) of the small tensor is (batch, middle, index[batch, k]) of the
// large.
struct AxisRuns {
  std::int64_t batch = 1, middle = 1, length = 1, inner = 1, each = 1;
  std::int64_t count() const { return batch * middle * each; }
  std::int64_t run() const { return inner; }

  template <class Index, class Place, class Visit>
  void visit(const Index& index, std::int64_t first, std::int64_t last, const Place& place,
             const Visit& pair) const {
    std::int64_t k = first % std::max<std::int64_t>(each, 1), row = first / std::max<std::int64_t>(each, 1);
    for (std::int64_t r = first; r < last; ++r) {
      pair((row * length + place(index[row / middle * each + k], length)) * inner, r * inner);
      if (++k == each) k = 0, ++row;
    }
  }
};

// Single elements: (outer, j, i) of the small tensor is (outer, index[outer, j, i], i) of the large.
struct AlongRuns {
  std::int64_t outer = 1, length = 1, inner = 1, each = 1;
  std::int64_t count() const { return outer * each * inner; }
  std::int64_t run() const { return 1; }

  template <class Index, class Place, class Visit>
  void visit(const Index& index, std::int64_t first, std::int64_t last, const Place& place,
             const Visit& pair) const {
    if (first >= last) return;
    std::int64_t i = first % inner, j = first / inner % each, row = first / inner / each;
    for (std::int64_t r = first; r < last; ++r) {
      pair((row * length + place(index[r], length)) * inner + i, r);
      if (++i < inner) continue;
      i = 0;
      if (++j == each) j = 0, ++row;
    }
  }
};

// Runs of `inner` elements: (batch, n) of the small tensor is (batch, index[batch, n, :]) of the large.
struct TupleRuns {
  std::int64_t batch = 1, each = 1, inner = 1, lead = 1;
  int depth = 0;
  std::array<std::int64_t, Move::most> lengths = {};
  std::int64_t count() const { return batch * each; }
  std::int64_t run() const { return inner; }

  template <class Index, class Place, class Visit>
  void visit(const Index& index, std::int64_t first, std::int64_t last, const Place& place,
             const Visit& pair) const {
    for (std::int64_t r = first; r < last; ++r) {
      std::int64_t at = r / each;
      for (int d = 0; d < depth; ++d) {
        std::int64_t n = lengths[static_cast<std::size_t>(d)];
        at = at * n + place(index[r * depth + d], n);
      }
      pair(at * inner, r * inner);
    }
  }
};

// From concrete shapes of the large tensor and of the indices.
AxisRuns axis_runs(const Shape& large, const Shape& indices,
                   const Attrs&);  // axis, and batch_dims if there is one
AlongRuns along_runs(const Shape& large, const Shape& indices, const Attrs&);
TupleRuns tuple_runs(const Shape& large, const Shape& indices, const Attrs&);

enum class ScatterMode : std::uint8_t { update, add, sub, mul, div, max, min };
ScatterMode scatter_mode(const Attrs&);
inline constexpr std::string_view scatter_modes = "update add sub mul div max min";

// An axis and what is around it.
struct AxisView {
  std::int64_t outer = 1, length = 1, inner = 1;
};
AxisView axis_view(const Shape&, std::int64_t axis);

// Does a come before b? NaNs come last, equals by index.
struct Before {
  const double* key;
  bool ascending;
  bool operator()(std::int32_t a, std::int32_t b) const {
    double x = key[a], y = key[b];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    if (x != y) return ascending ? x < y : x > y;
    return a < b;
  }
};

// make(T{}) with the C++ type of an element type that programs store; null where it is none of these.
template <class Make> auto with_element(DType d, const Make& make) -> decltype(make(Half{})) {
  switch (d) {
    case DType::f16: return make(Half{});
    case DType::f32: return make(float{});
    case DType::i8: return make(std::int8_t{});
    case DType::i16: return make(std::int16_t{});
    case DType::i32: return make(std::int32_t{});
    case DType::u8: return make(std::uint8_t{});
    case DType::u16: return make(std::uint16_t{});
    case DType::u32: return make(std::uint32_t{});
    default: return nullptr;
  }
}

}  // namespace tl
