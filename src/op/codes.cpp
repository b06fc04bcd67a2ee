// SPDX-License-Identifier: Apache-2.0
// Reads the parts of compressed constants.
#include "op/codes.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "op/ops.h"
#include "op/quant.h"

namespace tl {

// A parameter over the grid of a matrix, with as many elements a place as there are.
GridNumbers numbers_of(const Tensor& t, Dim rows, Dim columns, bool turned) {
  std::vector<double> from = to_doubles(t);
  GridNumbers to{rows, columns, std::vector<float>(from.begin(), from.end())};
  if (!turned) return to;
  std::size_t each = from.size() / static_cast<std::size_t>(std::max<Dim>(1, rows * columns)), at = 0;
  for (Dim c = 0; c < columns; ++c)
    for (Dim r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < each; ++i)
        to.values[at++] = static_cast<float>(from[static_cast<std::size_t>(r * columns + c) * each + i]);
  std::swap(to.rows, to.columns);
  return to;
}

float largest(const GridNumbers& n) {
  float most = 0;
  for (float x : n.values) most = std::isfinite(x) ? std::max(most, std::fabs(x)) : INFINITY;
  return most;
}

bool are_halves(std::span<const float> all) {
  return std::all_of(all.begin(), all.end(), [](float x) {
    return std::bit_cast<std::uint32_t>(to_float(to_half(x))) == std::bit_cast<std::uint32_t>(x);
  });
}

bool move_offsets(GridNumbers& offsets, unsigned flip) {
  auto shift = static_cast<float>(flip);
  for (float& x : offsets.values) {
    float moved = x + shift;
    if (moved - shift != x) return false;
    x = moved;
  }
  return true;
}

std::optional<unsigned> flip_of(DType d) {
  switch (d) {
    case DType::u1:
    case DType::u2:
    case DType::u3:
    case DType::u4:
    case DType::u6:
    case DType::u8: return 0;
    case DType::i4: return 8;
    case DType::i8: return 128;
    default: return std::nullopt;
  }
}

void Fields::read(std::int64_t first, std::int64_t step, std::int64_t n, std::uint8_t* to) const {
  if (step == 1 && bits_ == 8) {
    for (std::int64_t i = 0; i < n; ++i)
      to[i] = static_cast<std::uint8_t>(std::to_integer<unsigned>(from_[first + i]) ^ flip_);
  } else if (step == 1 && bits_ == 4 && first % 2 == 0) {
    for (std::int64_t i = 0; i + 2 <= n; i += 2) {
      unsigned both = std::to_integer<unsigned>(from_[(first + i) / 2]);
      to[i] = static_cast<std::uint8_t>((both & 15) ^ flip_);
      to[i + 1] = static_cast<std::uint8_t>((both >> 4) ^ flip_);
    }
    if (n % 2) to[n - 1] = at(first + n - 1);
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = at(first + i * step);
  }
}

bool CodeSource::is_table() const { return how.op == &ops::constexpr_lut_to_dense; }

bool CodeSource::fits(const Type& type) const {
  bool scaled =
      how.op == &ops::constexpr_blockwise_shift_scale || how.op == &ops::constexpr_affine_dequantize;
  if ((!is_table() && !scaled) || volume(type.shape) == 0) return false;
  return flip_of(codes().dtype()) && parameter(1) && codes().shape() == type.shape;
}

Shape CodeSource::grid(std::size_t i) const {
  const Shape& shape = parameter(i)->shape();
  if (is_table()) return Shape(shape.begin(), shape.end() - 2);
  if (how.op != &ops::constexpr_affine_dequantize) return shape;
  std::optional<std::int64_t> axis;
  if (how.attrs->has("axis")) axis = how.attrs->integer("axis");
  return axis_grid(codes().shape(), shape, axis);
}

}  // namespace tl
