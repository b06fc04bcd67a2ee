// SPDX-License-Identifier: Apache-2.0
// A matrix of weights as the kernels of op/matmul_compressed.simd.cpp read it: codes of 4 or 8 bits, row
// after row, that stand for numbers by a scale and an offset, or by a table. Made once, when a plan is made.
#pragma once
#include <optional>

#include "op/kernel.h"

namespace tl {

// Numbers over a grid of the matrix: each holds for `each` rows, and for one block or (columns 1) all of
// them.
struct WeightGrid {
  std::int64_t each = 1, columns = 1, count = 0;
  bool half = false;  // all of them are fp16
  StoragePtr values = {};
  std::int64_t first_of(std::int64_t row) const { return row / each * columns; }
};

// A row is cut into blocks of `block` columns, each padded with code 0 to `units` units of 32 codes. A unit
// of bytes is the codes in order; one of nibbles has codes 0 to 15 in the low halves of its 16 bytes, 16 to
// 31 in the high ones.
struct CompressedWeight {
  enum class Form : std::uint8_t { nibble_scale, byte_scale, nibble_table, byte_table };
  static constexpr std::int64_t unit = 32;

  Form form = Form::nibble_scale;
  bool half = false;  // what a code stands for is rounded to fp16
  std::int64_t rows = 0, depth = 0, block = 0, blocks = 0, units = 0;
  StoragePtr codes = {};
  WeightGrid scale = {}, offset = {};  // scale * (code - offset)
  WeightGrid table = {};               // fp32; a number is the first of 16 or 256 entries

  bool is_nibble() const { return form == Form::nibble_scale || form == Form::nibble_table; }
  bool is_table() const { return form == Form::nibble_table || form == Form::byte_table; }
  std::int64_t entries() const { return is_nibble() ? 16 : 256; }
  std::int64_t padded_block() const { return units * unit; }
  std::int64_t row_bytes() const { return blocks * padded_block() / (is_nibble() ? 2 : 1); }
};

// A constant of rank 2 whose rows are the outputs, or (turned) whose columns are. Nothing for what has no
// such form: other compressions, blocks below 16, tables of vectors, numbers that overflow.
std::optional<CompressedWeight> pack_compressed(const Compressed&, const Type&, bool turned, const Machine&);

}  // namespace tl
