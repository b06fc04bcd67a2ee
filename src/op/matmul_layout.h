// SPDX-License-Identifier: Apache-2.0
// How a sum of products is cut into tiles and tasks, and which of its indices lie together; settled when the
// kernel is made.
#pragma once
#include "op/contraction.h"

namespace tl {

struct Tile {  // what the inner product of a machine computes at once
  int rows = 1, lanes = 1;
  int columns() const { return 2 * lanes; }
};

struct Layout {
  Contraction c = {};
  bool a_terms_run = false, a_rows_run = false;  // A's elements lie together along k; along m, in each tile
  std::vector<bool> b_run = {}, c_run = {};      // per panel: B's and C's columns
  std::vector<bool> c_rows_run = {};             // per tile of rows: C's rows
  std::int64_t b_step = 0;                       // between B's terms, 0: not constant
  std::int64_t panels = 0;
  std::int64_t tiles = 1;              // of rows, as even as can be
  std::int64_t blocks = 1, parts = 1;  // of the rows, of the panels: one of each is a task
  std::int64_t rows_of_block = 0;      // at most
  std::int64_t tasks() const { return c.m() > 0 && panels > 0 ? c.batch() * blocks * parts : 0; }
  std::int64_t tile_begin(std::int64_t tile) const { return c.m() * tile / tiles; }
  std::int64_t block_begin(std::int64_t block) const { return tiles * block / blocks; }  // a tile
  std::int64_t part_begin(std::int64_t part) const { return panels * part / parts; }     // a panel
};

// Of what is done besides the products, in cycles: per element of A, of which another core may have written
// any; per term of a panel of B.
struct Costs {
  double row = 1, panel = 3;
};

Layout lay_out(Contraction, Tile, const Costs&, int slots);

}  // namespace tl
