// SPDX-License-Identifier: Apache-2.0
// Chooses tiles and tasks by what they would cost.
#include "op/matmul_layout.h"

#include <algorithm>

namespace tl {
namespace {

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

struct Cut {
  std::int64_t tiles = 1, blocks = 1, parts = 1;
};

class Cutter {
 public:
  Cutter(const Layout& l, Tile tile, const Costs& costs, int slots)
      : l_(l), tile_(tile), costs_(costs), slots_(slots) {}

  // Blocks whose rows stay in the second cache, then more of them or parts until the slots end together.
  Cut best() const {
    constexpr std::int64_t cache = 640 << 10;
    std::int64_t depth = std::max<std::int64_t>(1, l_.c.depth()), m = std::max<std::int64_t>(1, l_.c.m());
    std::int64_t rows = std::max<std::int64_t>(tile_.rows, cache / 4 / depth), least = parts_of(m, rows);
    bool many = slots_ == 1 || l_.c.batch() * least >= 8 * slots_;
    std::int64_t most_blocks = many ? least : std::min(parts_of(m, tile_.rows), least + 4 * slots_);
    std::int64_t most_parts = many ? 1 : std::min<std::int64_t>(l_.panels, 4 * slots_);
    Cut best;
    double least_cost = 0;
    for (std::int64_t blocks = least; blocks <= std::max(least, most_blocks); ++blocks)
      for (std::int64_t parts = 1; parts <= std::max<std::int64_t>(1, most_parts); ++parts) {
        Cut cut{blocks * parts_of(parts_of(m, blocks), tile_.rows), blocks, parts};
        double cost = cost_of(cut);
        if (least_cost == 0 || cost < least_cost) best = cut, least_cost = cost;
      }
    best.tiles = std::min(best.tiles, m);
    return best;
  }

 private:
  double cost_of(const Cut& cut) const {
    constexpr double store = 200, task = 500;  // cycles of a tile; of taking up a task
    double rows = static_cast<double>(parts_of(l_.c.m(), cut.blocks)),
           depth = static_cast<double>(l_.c.depth());
    double tiles = static_cast<double>(cut.tiles / cut.blocks);
    double panels = static_cast<double>(parts_of(l_.panels, cut.parts));
    double each = rows * depth * costs_.row + panels * depth * costs_.panel;
    each += panels * (2 * rows * depth + tiles * (depth + store)) + task;
    return each * static_cast<double>(parts_of(l_.c.batch() * cut.blocks * cut.parts, slots_));
  }

  const Layout& l_;
  Tile tile_;
  const Costs& costs_;
  int slots_;
};

void find_runs(Layout& l, Tile tile) {
  l.a_terms_run = is_run(l.c.ak, 0, l.c.depth());
  l.a_rows_run = true;
  for (std::int64_t t = 0; t < l.tiles; ++t) {
    std::int64_t first = l.tile_begin(t), rows = l.tile_begin(t + 1) - first;
    l.a_rows_run = l.a_rows_run && is_run(l.c.am, first, rows);
    l.c_rows_run.push_back(is_run(l.c.cm, first, rows));
  }
  for (std::int64_t panel = 0; panel < l.panels; ++panel) {
    std::int64_t first = panel * tile.columns(),
                 columns = std::min<std::int64_t>(tile.columns(), l.c.n() - first);
    l.b_run.push_back(is_run(l.c.bn, first, columns));
    l.c_run.push_back(is_run(l.c.cn, first, columns));
  }
  if (l.c.depth() > 1) l.b_step = l.c.bk[1] - l.c.bk[0];
  for (std::size_t k = 1; k < l.c.bk.size(); ++k)
    if (l.c.bk[k] - l.c.bk[k - 1] != l.b_step) l.b_step = 0;
}

}  // namespace

Layout lay_out(Contraction c, Tile tile, const Costs& costs, int slots) {
  Layout l;
  l.c = std::move(c);
  l.panels = parts_of(l.c.n(), tile.columns());
  Cut cut = Cutter(l, tile, costs, slots).best();
  l.tiles = cut.tiles, l.blocks = cut.blocks, l.parts = cut.parts;
  for (std::int64_t b = 0; b < l.blocks; ++b)
    l.rows_of_block =
        std::max(l.rows_of_block, l.tile_begin(l.block_begin(b + 1)) - l.tile_begin(l.block_begin(b)));
  find_runs(l, tile);
  return l;
}

}  // namespace tl
