// SPDX-License-Identifier: Apache-2.0
// What the definitions and the kernels of poolings share.
#pragma once
#include <array>

#include "op/geometry.h"

namespace tl {

enum class PoolKind : std::uint8_t { max, avg, l2 };

struct PoolShape {          // always three spatial dimensions, those that are lacking first with length 1
  std::int64_t planes = 0;  // batch times channels
  std::array<Window, 3> window = {};
  bool exclude_padding = false;
  std::int64_t in_size() const { return window[0].in * window[1].in * window[2].in; }
  std::int64_t out_size() const { return window[0].out * window[1].out * window[2].out; }
};

PoolShape pool_shape(std::span<const Dim> x, const Attrs&);

// Inputs [first, last) of a window at output position o that are not padding, and how many positions of the
// padded input it covers: with ceil_mode the last window may hang over, and what is beyond does not count in
// a mean.
struct Reach {
  std::int64_t first, last, covered;
};
inline Reach reach(const Window& w, std::int64_t o) {
  std::int64_t at = o * w.stride - w.before;
  std::int64_t end = at + w.kernel, padded = w.in + w.after;
  return {at < 0 ? 0 : at, end > w.in ? w.in : end, (end > padded ? padded : end) - at};
}

// What the sum over a window is divided by.
inline double divisor(const PoolShape& p, const std::array<Reach, 3>& r) {
  double n = 1;
  for (std::size_t d = 0; d < 3; ++d)
    n *= static_cast<double>(p.exclude_padding ? r[d].last - r[d].first : r[d].covered);
  return n;
}

}  // namespace tl
