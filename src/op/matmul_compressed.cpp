// SPDX-License-Identifier: Apache-2.0
// Packs compressed weights for products: codes are put in the order in which vectors read them, scales,
// offsets and tables laid over rows and blocks. Nothing is expanded.
#include "op/matmul_compressed.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "op/ops.h"
#include "op/quant.h"

namespace tl {
namespace {

using Form = CompressedWeight::Form;

struct Numbers {  // over a grid of rows and blocks of columns
  std::int64_t rows = 1, columns = 1;
  std::vector<float> values = {0};
};

// A parameter over the grid of a matrix, with as many elements a place as there are.
Numbers numbers_of(const Tensor& t, Dim rows, Dim columns, bool turned) {
  std::vector<double> from = to_doubles(t);
  Numbers to{rows, columns, std::vector<float>(from.begin(), from.end())};
  if (!turned) return to;
  std::size_t each = from.size() / static_cast<std::size_t>(std::max<Dim>(1, rows * columns)), at = 0;
  for (Dim c = 0; c < columns; ++c)
    for (Dim r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < each; ++i)
        to.values[at++] = static_cast<float>(from[static_cast<std::size_t>(r * columns + c) * each + i]);
  std::swap(to.rows, to.columns);
  return to;
}

bool is_half(float x) {
  return std::bit_cast<std::uint32_t>(to_float(to_half(x))) == std::bit_cast<std::uint32_t>(x);
}

WeightGrid grid_of(const Numbers& n, std::int64_t rows, bool may_be_half) {
  WeightGrid grid{rows / n.rows, n.columns, static_cast<std::int64_t>(n.values.size()), false, nullptr};
  grid.half = may_be_half && std::all_of(n.values.begin(), n.values.end(), is_half);
  grid.values = allocate(n.values.size() * (grid.half ? sizeof(Half) : sizeof(float)));
  if (grid.half)
    std::transform(n.values.begin(), n.values.end(), reinterpret_cast<Half*>(grid.values->data()),
                   [](float x) { return to_half(x); });
  else std::copy(n.values.begin(), n.values.end(), reinterpret_cast<float*>(grid.values->data()));
  return grid;
}

float largest(const Numbers& n) {  // infinity where one is not finite
  float most = 0;
  for (float x : n.values) most = std::isfinite(x) ? std::max(most, std::fabs(x)) : INFINITY;
  return most;
}

// ---- codes

// Small unsigned fields, least significant bits first.
class Fields {
 public:
  Fields(const std::byte* from, int bits, unsigned flip) : from_(from), bits_(bits), flip_(flip) {}

  // Elements first, first + step …
  void read(std::int64_t first, std::int64_t step, std::int64_t n, std::uint8_t* to) const {
    if (step == 1 && bits_ == 8) {
      for (std::int64_t i = 0; i < n; ++i) to[i] = byte(first + i);
    } else if (step == 1 && bits_ == 4 && first % 2 == 0) {
      for (std::int64_t i = 0; i + 2 <= n; i += 2) {
        unsigned both = std::to_integer<unsigned>(from_[(first + i) / 2]);
        to[i] = static_cast<std::uint8_t>((both & 15) ^ flip_);
        to[i + 1] = static_cast<std::uint8_t>((both >> 4) ^ flip_);
      }
      if (n % 2) to[n - 1] = one(first + n - 1);
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i] = one(first + i * step);
    }
  }

 private:
  std::uint8_t byte(std::int64_t i) const {
    return static_cast<std::uint8_t>(std::to_integer<unsigned>(from_[i]) ^ flip_);
  }
  std::uint8_t one(std::int64_t i) const {
    std::int64_t bit = i * bits_;
    int shift = static_cast<int>(bit % 8);
    unsigned word = std::to_integer<unsigned>(from_[bit / 8]);
    if (shift + bits_ > 8) word |= std::to_integer<unsigned>(from_[bit / 8 + 1]) << 8;
    return static_cast<std::uint8_t>(((word >> shift) & ((1u << bits_) - 1)) ^ flip_);
  }

  const std::byte* from_;
  int bits_;
  unsigned flip_;
};

void put_units(const CompressedWeight& w, const std::uint8_t* codes, std::uint8_t* to) {
  if (!w.is_nibble()) return void(std::copy_n(codes, w.padded_block(), to));
  for (std::int64_t u = 0; u < w.units; ++u, codes += 32, to += 16)
    for (int i = 0; i < 16; ++i) to[i] = static_cast<std::uint8_t>(codes[i] | codes[i + 16] << 4);
}

void pack_codes(CompressedWeight& w, const Fields& fields, bool turned, const ThreadPool* pool) {
  w.codes = allocate(static_cast<std::size_t>(w.rows * w.row_bytes()));
  auto* all = reinterpret_cast<std::uint8_t*>(w.codes->data());
  auto pack = [&](std::int64_t first, std::int64_t last) {
    std::vector<std::uint8_t> padded(static_cast<std::size_t>(w.padded_block()), 0);
    for (std::int64_t n = first; n < last; ++n)
      for (std::int64_t b = 0; b < w.blocks; ++b) {
        std::int64_t k = b * w.block;
        fields.read(turned ? k * w.rows + n : n * w.depth + k, turned ? w.rows : 1, w.block, padded.data());
        put_units(w, padded.data(), all + n * w.row_bytes() + b * w.row_bytes() / w.blocks);
      }
  };
  if (pool) pool->ranges(w.rows, 16, pack);
  else pack(0, w.rows);
}

// ---- what codes stand for

// Cuts the rows into as many blocks as the grids have, if they agree.
bool cut(CompressedWeight& w, const Numbers& a, const Numbers& b) {
  w.blocks = std::max(a.columns, b.columns);
  for (const Numbers* n : {&a, &b})
    if (n->rows < 1 || w.rows % n->rows || (n->columns != 1 && n->columns != w.blocks)) return false;
  if (w.blocks < 1 || w.depth % w.blocks) return false;
  w.block = w.depth / w.blocks;
  w.units = (w.block + CompressedWeight::unit - 1) / CompressedWeight::unit;
  return w.blocks == 1 || w.block >= 16;
}

struct Source {
  const Compressed& how;
  bool turned;
  const Tensor& codes() const { return how.inputs[0]; }
  const Tensor* parameter(std::size_t i) const {
    return i < how.inputs.size() && how.inputs[i] ? &how.inputs[i] : nullptr;
  }
  Numbers scaling(std::size_t i) const {  // per tensor, along an axis, or in blocks
    const Tensor& t = *parameter(i);
    Shape grid = t.shape();
    if (how.op == &ops::constexpr_affine_dequantize) {
      std::optional<std::int64_t> axis;
      if (how.attrs->has("axis")) axis = how.attrs->integer("axis");
      grid = axis_grid(codes().shape(), grid, axis);
    }
    return numbers_of(t, grid[0], grid[1], turned);
  }
};

std::optional<unsigned> flip_of(DType d) {  // makes codes unsigned: what is added to the offset, too
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

bool take_scales(CompressedWeight& w, const Source& from, unsigned flip) {
  Numbers scale = from.scaling(1), offset;
  if (from.parameter(2)) offset = from.scaling(2);
  if (!cut(w, scale, offset)) return false;
  auto shift = static_cast<float>(flip);
  for (float& x : offset.values) {
    float moved = x + shift;
    if (moved - shift != x) return false;  // a fraction would be lost
    x = moved;
  }
  float most = largest(scale) * (largest(offset) + static_cast<float>(w.entries()));
  if (!(most < (w.half ? 65504.0f : 1e38f))) return false;  // padding must stand for something finite
  w.scale = grid_of(scale, w.rows, true);
  w.offset = grid_of(offset, w.rows, true);
  return true;
}

bool take_tables(CompressedWeight& w, const Source& from, int bits) {
  const Tensor& lut = *from.parameter(1);
  const Shape& shape = lut.shape();
  if (shape.size() != 4 || shape[3] != 1 || shape[2] != (Dim{1} << bits)) return false;
  Numbers entries = numbers_of(lut, shape[0], shape[1], from.turned);
  bool small = entries.rows * entries.columns * w.entries() * 4 <= std::max<Dim>(w.rows * w.depth / 4, 4096);
  if (!small || !cut(w, entries, entries) || !std::isfinite(largest(entries))) return false;
  Numbers wide{entries.rows, entries.columns, {}};
  auto have = static_cast<std::size_t>(shape[2]), want = static_cast<std::size_t>(w.entries());
  wide.values.assign(entries.values.size() / have * want, 0);
  for (std::size_t i = 0; i < entries.values.size(); ++i)
    wide.values[i / have * want + i % have] = entries.values[i];
  w.table = grid_of(wide, w.rows, false);
  return true;
}

}  // namespace

std::optional<CompressedWeight> pack_compressed(const Compressed& how, const Type& type, bool turned,
                                                const ThreadPool* pool) {
  bool table = how.op == &ops::constexpr_lut_to_dense;
  bool scaled =
      how.op == &ops::constexpr_blockwise_shift_scale || how.op == &ops::constexpr_affine_dequantize;
  if ((!table && !scaled) || type.shape.size() != 2 || volume(type.shape) == 0) return std::nullopt;
  Source from{how, turned};
  std::optional<unsigned> flip = flip_of(from.codes().dtype());
  if (!flip || !from.parameter(1) || from.codes().shape() != type.shape) return std::nullopt;
  int bits = bits_of(from.codes().dtype());
  CompressedWeight w;
  w.half = type.dtype == DType::f16;
  w.rows = type.shape[turned ? 1 : 0];
  w.depth = type.shape[turned ? 0 : 1];
  if (table) w.form = bits <= 4 ? Form::nibble_table : Form::byte_table;
  else w.form = bits <= 4 ? Form::nibble_scale : Form::byte_scale;
  if (table ? !take_tables(w, from, bits) : !take_scales(w, from, *flip)) return std::nullopt;
  pack_codes(w, Fields(from.codes().data(), bits, *flip), turned, pool);
  return w;
}

}  // namespace tl
