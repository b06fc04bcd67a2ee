// SPDX-License-Identifier: Apache-2.0
// Matrix units: instructions that multiply 16-bit numbers and sum in fp32. A unit is one row: how it wants
// its operands packed, and the product of one tile. Kernels (op/matmul_unit.simd.cpp, op/conv_unit.simd.cpp)
// choose a unit when they are made and pack through it.
//
// Terms of a sum lie in groups of `terms`, side by side in 32 or 16 bits. A: rows whose values meet all
// columns, in an order of the unit's own. B: [group][column], groups any step apart, so that the columns of a
// convolution may be read from its (staged) input at any place.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/half.h"
#include "simd/isa.h"

namespace tl {

// Some lines of equally many elements, each dense in memory. Nothing else is read.
struct Lines {
  const std::byte* const* starts = nullptr;
  bool half = false;  // else fp32
  int count = 0;
  std::int64_t length = 0;
};

// c[row][column] = the sum over segments and their groups of A . B; a segment begins where offsets says.
struct TileProduct {
  const std::byte* a = nullptr;
  const std::byte* b = nullptr;
  const std::int64_t* offsets = nullptr;  // bytes from b, per segment
  std::int64_t segments = 1, groups = 0;  // groups of each segment
  std::int64_t step = 0;                  // bytes between groups of B
  std::int64_t a_low = 0, b_low = 0;      // bytes to the low parts, if the unit has two
  int rows = 0, columns = 0;
  float* c = nullptr;  // [rows][unit.columns]; all of the largest tile may be written
};

struct MatrixUnit {
  std::string_view name;  // shown by the profile
  Isa isa;
  int rows, columns;  // of the largest tile
  int terms;          // in a group
  int round;          // a segment has a multiple of so many groups: the last ones are zeros on both sides
  double cycles;      // for a row of 16 columns of a group, roughly
  int parts;          // 2: a half is the sum of two parts, packed one after another

  // Bytes of one part of A for so many rows.
  std::size_t (*a_bytes)(int rows, std::int64_t groups);
  // A: line r becomes row r.
  void (*pack_rows)(const Lines&, std::int64_t groups, std::byte* to, std::int64_t low);
  // B from lines along the sum: line j becomes column j; `columns` of them are written, a multiple of 16.
  void (*pack_columns)(const Lines&, std::int64_t groups, int columns, std::byte* to, std::int64_t low);
  // B from lines along the columns: one group of `terms` lines, of which the last may be missing; after each
  // `columns` of them it goes on `panel_step` bytes from where those began.
  void (*pack_group)(const Lines&, std::byte* to, std::int64_t low, std::int64_t panel_step);
  void (*multiply)(const TileProduct&);
  // Around all products of a task, on its thread; null: nothing to do.
  void (*enter)() = nullptr;
  void (*leave)() = nullptr;

  std::int64_t group_bytes() const { return 2 * terms; }  // of one column
  std::int64_t groups_of(std::int64_t length) const {
    std::int64_t each = std::int64_t{terms} * round;
    return (length + each - 1) / each * round;
  }
};

class UnitScope {  // a task that multiplies
 public:
  explicit UnitScope(const MatrixUnit& unit) : unit_(unit) {
    if (unit_.enter) unit_.enter();
  }
  ~UnitScope() {
    if (unit_.leave) unit_.leave();
  }
  UnitScope(const UnitScope&) = delete;
  UnitScope& operator=(const UnitScope&) = delete;

 private:
  const MatrixUnit& unit_;
};

// For products of halves, or of anything where bf16 will do. Null: there is none, vectors of fp32 are best.
const MatrixUnit* matrix_unit(Isa, bool bf16);

// Those that this machine has, for tests.
std::vector<const MatrixUnit*> matrix_units();

}  // namespace tl
