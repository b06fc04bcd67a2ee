// SPDX-License-Identifier: Apache-2.0
// Packs the codes of compressed weights of convolutions, and lays scales, offsets and tables over the columns
// of their panels. Nothing is expanded.
#include "op/conv_panels.h"

#include <algorithm>

#include "base/text.h"
#include "op/codes.h"
#include "op/packed.h"

namespace tl {
namespace {

using Form = CodePanels::Form;

// A parameter over the two axes of channels; along those of the window there is one.
struct Grid {
  GridNumbers numbers = {};
  std::int64_t blocks = 1;  // along the input channels of a group

  // Of output channel o and block b of group g.
  std::size_t at(const ConvPlan& plan, std::int64_t g, std::int64_t o, std::int64_t b) const {
    const GridNumbers& n = numbers;
    std::int64_t c = b * plan.channels / blocks;
    std::int64_t outer = plan.transposed ? g * plan.channels + c : g * plan.outs + o,
                 inner = plan.transposed ? o : c;
    std::int64_t outers = plan.groups * (plan.transposed ? plan.channels : plan.outs),
                 inners = plan.transposed ? plan.outs : plan.channels;
    return static_cast<std::size_t>(outer * n.rows / outers * n.columns + inner * n.columns / inners);
  }
};

std::optional<Grid> grid_of(const CodeSource& from, std::size_t parameter, const ConvPlan& plan) {
  Shape shape = from.grid(parameter);
  if (shape.size() < 2 || !std::all_of(shape.begin() + 2, shape.end(), [](Dim d) { return d == 1; }))
    return std::nullopt;
  Grid grid{numbers_of(*from.parameter(parameter), shape[0], shape[1], false), shape[1]};
  if (plan.transposed) {
    if (shape[0] > plan.groups && shape[0] % plan.groups) return std::nullopt;
    grid.blocks = std::max<std::int64_t>(1, shape[0] / plan.groups);
  }
  return grid;
}

class Packing {
 public:
  Packing(const CodeSource& from, const Type& type, const ConvPlan& plan, PanelCut cut)
      : from_(from), plan_(plan), lanes_(cut.lanes) {
    w_.half = type.dtype == DType::f16;
    bool small = from.bits() <= 4;
    if (from.is_table()) w_.form = small ? Form::nibble_table : Form::byte_table;
    else w_.form = small ? Form::nibble_scale : Form::byte_scale;
    w_.taps = static_cast<std::int64_t>(plan.taps.size()), w_.channels = plan.channels;
    w_.panels = std::move(cut.panels);
    for (CodePanel& p : w_.panels) p.at = w_.columns, w_.columns += p.width;
  }

  bool take_numbers() { return from_.is_table() ? take_tables() : take_scales(); }

  bool gains() const {
    std::int64_t elements = plan_.groups * plan_.outs * plan_.depth(), columns = plan_.groups * w_.columns;
    std::int64_t numbers = w_.scales ? static_cast<std::int64_t>(w_.scales->size()) : 0;
    numbers +=
        static_cast<std::int64_t>(w_.offsets.size() + w_.table_at.size() + w_.table.size() * 3 / 2) * 4;
    return columns * w_.column_bytes() + numbers <= elements * (w_.half ? 2 : 4) * 3 / 4;
  }

  CodePanels pack(const Machine& machine) {
    std::string form = weight_form("codes", plan_) + text(" {}:", w_.block);
    for (const CodePanel& p : w_.panels) form += text("{} {} {} ", p.first, p.columns, p.width);
    std::size_t bytes = static_cast<std::size_t>(plan_.groups * w_.columns * w_.column_bytes()) + 16;
    w_.codes = packed_constant(machine, from_.codes(), std::move(form), bytes,
                               [&](std::byte* to) { pack_all(to, machine.pool); });
    return std::move(w_);
  }

 private:
  // Cuts the input channels into as many blocks as the grids have, if they agree.
  bool cut(const Grid& a, const Grid& b) {
    w_.blocks = std::max(a.blocks, b.blocks);
    for (const Grid* grid : {&a, &b})
      if (grid->blocks != 1 && grid->blocks != w_.blocks) return false;
    w_.block = w_.channels / w_.blocks;
    return w_.channels % w_.blocks == 0 && (w_.blocks == 1 || w_.block % 2 == 0);
  }

  // put(place, number of the grid) for all columns and blocks.
  template <class Put> void lay(const Grid& grid, const Put& put) const {
    for (std::int64_t g = 0; g < plan_.groups; ++g)
      for (const CodePanel& p : w_.panels)
        for (std::int64_t b = 0; b < w_.blocks; ++b)
          for (std::int64_t j = 0; j < p.width; ++j) {
            std::int64_t o = p.first + std::min(j, p.columns - 1);
            put(static_cast<std::size_t>(w_.number_at(g, p, b) + j),
                grid.at(plan_, g, o, grid.blocks == 1 ? 0 : b));
          }
  }

  bool take_scales() {
    std::optional<Grid> scale = grid_of(from_, 1, plan_), offset = Grid{};
    if (from_.parameter(2)) offset = grid_of(from_, 2, plan_);
    if (!scale || !offset || !cut(*scale, *offset)) return false;
    if (!move_offsets(offset->numbers, *flip_of(from_.codes().dtype()))) return false;
    float most = largest(scale->numbers) * (largest(offset->numbers) + static_cast<float>(w_.entries()));
    if (!(most < (w_.half ? 65504.0f : 1e38f))) return false;  // rounding wants something finite
    take_each_scale(*scale);
    const std::vector<float>& all = offset->numbers.values;
    w_.offset = all[0];
    if (std::all_of(all.begin(), all.end(), [&](float x) { return x == all[0]; })) return true;
    w_.offsets.resize(count());
    lay(*offset, [&](std::size_t to, std::size_t i) { w_.offsets[to] = all[i]; });
    return true;
  }

  void take_each_scale(const Grid& scale) {
    const std::vector<float>& all = scale.numbers.values;
    w_.half_scales = are_halves(all);
    w_.scales = allocate(count() * (w_.half_scales ? sizeof(Half) : sizeof(float)));
    Half* halves = reinterpret_cast<Half*>(w_.scales->data());
    float* floats = reinterpret_cast<float*>(w_.scales->data());
    lay(scale, [&](std::size_t to, std::size_t i) {
      if (w_.half_scales) halves[to] = to_half(all[i]);
      else floats[to] = all[i];
    });
  }

  bool take_tables() {
    const Shape& shape = from_.parameter(1)->shape();
    Dim have = shape[shape.size() - 2];
    if (shape.back() != 1 || have != (Dim{1} << from_.bits())) return false;
    std::optional<Grid> grid = grid_of(from_, 1, plan_);
    if (!grid || !cut(*grid, Grid{})) return false;
    const std::vector<float>& all = grid->numbers.values;
    auto each = static_cast<std::size_t>(have), entries = static_cast<std::size_t>(w_.entries()),
         tables = all.size() / each;
    if (tables > (std::size_t{1} << 20)) return false;
    w_.table.assign(tables * entries, 0);
    for (std::size_t i = 0; i < all.size(); ++i) w_.table[i / each * entries + i % each] = all[i];
    w_.largest = largest(grid->numbers);
    if (are_halves(w_.table))
      std::transform(w_.table.begin(), w_.table.end(), std::back_inserter(w_.half_table),
                     [](float x) { return to_half(x); });
    if (tables > 1) choose_tables(*grid);
    return true;
  }

  void choose_tables(const Grid& grid) {
    w_.table_at.resize(count());
    lay(grid, [&](std::size_t to, std::size_t i) {
      w_.table_at[to] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * w_.entries());
      if (to % static_cast<std::size_t>(lanes_) && w_.table_at[to] != w_.table_at[to - 1])
        w_.together = false;
    });
  }

  std::size_t count() const { return static_cast<std::size_t>(plan_.groups * w_.columns * w_.blocks); }

  void pack_all(std::byte* to, const ThreadPool* pool) const {
    std::int64_t panels = static_cast<std::int64_t>(w_.panels.size());
    auto one = [&](std::int64_t i) {
      pack_panel(i / panels, w_.panels[static_cast<std::size_t>(i % panels)],
                 reinterpret_cast<std::uint8_t*>(to));
    };
    if (pool) return pool->each(plan_.groups * panels, one);
    for (std::int64_t i = 0; i < plan_.groups * panels; ++i) one(i);
  }

  void pack_panel(std::int64_t g, const CodePanel& p, std::uint8_t* to) const {
    const Fields fields = from_.fields();
    to += (g * w_.columns + p.at) * w_.column_bytes();
    std::fill_n(to, p.width * w_.column_bytes(), std::uint8_t{0});
    std::vector<std::uint8_t> row(static_cast<std::size_t>(w_.channels));
    std::int64_t step = plan_.kernel_volume * (plan_.transposed ? plan_.outs : 1);
    for (const Tap& tap : plan_.taps) {
      for (std::int64_t j = 0; j < p.columns; ++j) {
        fields.read(plan_.weight_at(g, p.first + j, 0, tap), step, w_.channels, row.data());
        pack_column(row.data(), p.width, to + j);
      }
      to += p.width * w_.blocks * w_.steps();
    }
  }

  void pack_column(const std::uint8_t* row, std::int64_t width, std::uint8_t* to) const {
    for (std::int64_t c = 0; c < w_.channels; ++c) {
      if (!w_.is_nibble()) to[c * width] = row[c];
      else to[c / 2 * width] = static_cast<std::uint8_t>(to[c / 2 * width] | row[c] << (c % 2 * 4));
    }
  }

  const CodeSource& from_;
  const ConvPlan& plan_;
  int lanes_;
  CodePanels w_;
};

}  // namespace

std::optional<CodePanels> pack_panels(const Compressed& how, const Type& type, const ConvPlan& plan,
                                      PanelCut cut, const Machine& machine) {
  CodeSource from{how};
  if (!from.fits(type) || type.shape.size() < 3 || plan.depth() == 0) return std::nullopt;
  Packing packing(from, type, plan, std::move(cut));
  if (!packing.take_numbers() || !packing.gains()) return std::nullopt;
  return packing.pack(machine);
}

}  // namespace tl
