// SPDX-License-Identifier: Apache-2.0
// Packs compressed weights for products: codes are put in the order in which vectors read them, scales,
// offsets and tables laid over rows and blocks. Nothing is expanded.
#include "op/matmul_compressed.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "op/codes.h"
#include "op/packed.h"

namespace tl {
namespace {

using Form = CompressedWeight::Form;

WeightGrid grid_of(const GridNumbers& n, std::int64_t rows, bool may_be_half) {
  WeightGrid grid{rows / n.rows, n.columns, static_cast<std::int64_t>(n.values.size()), false, nullptr};
  grid.half = may_be_half && are_halves(n.values);
  grid.values = allocate(n.values.size() * (grid.half ? sizeof(Half) : sizeof(float)));
  if (grid.half)
    std::transform(n.values.begin(), n.values.end(), reinterpret_cast<Half*>(grid.values->data()),
                   [](float x) { return to_half(x); });
  else std::copy(n.values.begin(), n.values.end(), reinterpret_cast<float*>(grid.values->data()));
  return grid;
}

// ---- codes

void put_units(const CompressedWeight& w, const std::uint8_t* codes, std::uint8_t* to) {
  if (!w.is_nibble()) return void(std::copy_n(codes, w.padded_block(), to));
  for (std::int64_t u = 0; u < w.units; ++u, codes += 32, to += 16)
    for (int i = 0; i < 16; ++i) to[i] = static_cast<std::uint8_t>(codes[i] | codes[i + 16] << 4);
}

void pack_codes(const CompressedWeight& w, const Fields& fields, bool turned, const ThreadPool* pool,
                std::uint8_t* all) {
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
bool cut(CompressedWeight& w, const GridNumbers& a, const GridNumbers& b) {
  w.blocks = std::max(a.columns, b.columns);
  for (const GridNumbers* n : {&a, &b})
    if (n->rows < 1 || w.rows % n->rows || (n->columns != 1 && n->columns != w.blocks)) return false;
  if (w.blocks < 1 || w.depth % w.blocks) return false;
  w.block = w.depth / w.blocks;
  w.units = (w.block + CompressedWeight::unit - 1) / CompressedWeight::unit;
  return w.blocks == 1 || w.block >= 16;
}

GridNumbers scaling(const CodeSource& from, std::size_t i, bool turned) {
  Shape grid = from.grid(i);
  return numbers_of(*from.parameter(i), grid[0], grid[1], turned);
}

bool take_scales(CompressedWeight& w, const CodeSource& from, bool turned) {
  GridNumbers scale = scaling(from, 1, turned), offset;
  if (from.parameter(2)) offset = scaling(from, 2, turned);
  if (!cut(w, scale, offset) || !move_offsets(offset, *flip_of(from.codes().dtype()))) return false;
  float most = largest(scale) * (largest(offset) + static_cast<float>(w.entries()));
  if (!(most < (w.half ? 65504.0f : 1e38f))) return false;  // padding must stand for something finite
  w.scale = grid_of(scale, w.rows, true);
  w.offset = grid_of(offset, w.rows, true);
  return true;
}

bool take_tables(CompressedWeight& w, const CodeSource& from, bool turned) {
  const Tensor& lut = *from.parameter(1);
  const Shape& shape = lut.shape();
  if (shape.size() != 4 || shape[3] != 1 || shape[2] != (Dim{1} << from.bits())) return false;
  GridNumbers entries = numbers_of(lut, shape[0], shape[1], turned);
  bool small = entries.rows * entries.columns * w.entries() * 4 <= std::max<Dim>(w.rows * w.depth / 4, 4096);
  if (!small || !cut(w, entries, entries) || !std::isfinite(largest(entries))) return false;
  GridNumbers wide{entries.rows, entries.columns, {}};
  auto have = static_cast<std::size_t>(shape[2]), want = static_cast<std::size_t>(w.entries());
  wide.values.assign(entries.values.size() / have * want, 0);
  for (std::size_t i = 0; i < entries.values.size(); ++i)
    wide.values[i / have * want + i % have] = entries.values[i];
  w.table = grid_of(wide, w.rows, false);
  return true;
}

}  // namespace

std::optional<CompressedWeight> pack_compressed(const Compressed& how, const Type& type, bool turned,
                                                const Machine& machine) {
  CodeSource from{how};
  if (type.shape.size() != 2 || !from.fits(type)) return std::nullopt;
  CompressedWeight w;
  w.half = type.dtype == DType::f16;
  w.rows = type.shape[turned ? 1 : 0];
  w.depth = type.shape[turned ? 0 : 1];
  if (from.is_table()) w.form = from.bits() <= 4 ? Form::nibble_table : Form::byte_table;
  else w.form = from.bits() <= 4 ? Form::nibble_scale : Form::byte_scale;
  if (from.is_table() ? !take_tables(w, from, turned) : !take_scales(w, from, turned)) return std::nullopt;
  std::string form = text("compressed {} {} {} {}", w.rows, w.depth, w.block, turned);
  w.codes = packed_constant(machine, from.codes(), std::move(form),
                            static_cast<std::size_t>(w.rows * w.row_bytes()), [&](std::byte* to) {
                              pack_codes(w, from.fields(), turned, machine.pool,
                                         reinterpret_cast<std::uint8_t*>(to));
                            });
  return w;
}

}  // namespace tl
