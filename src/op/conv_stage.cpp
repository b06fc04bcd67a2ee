// SPDX-License-Identifier: Apache-2.0
// Phases, pitches and offsets of a staged input; tasks by what they are likely to cost.
#include "op/conv_stage.h"

#include <algorithm>
#include <limits>

namespace tl {
namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

class Planner {
 public:
  Planner(const ConvPlan& plan, const MatrixUnit& unit, int slots)
      : plan_(plan), unit_(unit), slots_(slots) {}

  ConvStage run() {
    s_.groups = unit_.groups_of(plan_.channels);
    s_.planes = plan_.taps.size() > 1;
    if (s_.planes) shape_planes();
    s_.lines = s_.planes ? plan_.out[1] : parts_of(plan_.out_plane(), unit_.columns);
    choose_tasks();
    place();
    std::int64_t rest = s_.lines - (s_.blocks - 1) * s_.block,
                 before = (s_.blocks - 1) * s_.block * unit_.columns;
    s_.panels = panels_of(positions(s_.block));
    s_.last_panels = panels_of(s_.planes ? positions(rest) : plan_.out_plane() - before);
    return std::move(s_);
  }

 private:
  std::int64_t shift(const Tap& tap, std::size_t d) const {
    return floor_div(tap.offset[d + 1], plan_.stride[d + 1]);
  }
  std::array<std::int64_t, 2> phase(const Tap& tap) const {
    return {tap.offset[1] - shift(tap, 0) * plan_.stride[1], tap.offset[2] - shift(tap, 1) * plan_.stride[2]};
  }

  void shape_planes() {
    std::array<std::int64_t, 2> last = {INT64_MIN, INT64_MIN};
    s_.first = {INT64_MAX, INT64_MAX};
    for (const Tap& tap : plan_.taps) {
      for (std::size_t d = 0; d < 2; ++d) {
        s_.first[d] = std::min(s_.first[d], shift(tap, d));
        last[d] = std::max(last[d], shift(tap, d));
      }
      if (std::find(s_.phases.begin(), s_.phases.end(), phase(tap)) == s_.phases.end())
        s_.phases.push_back(phase(tap));
    }
    s_.more_rows = last[0] - s_.first[0], s_.more_columns = last[1] - s_.first[1];
    s_.pitch = plan_.out[2] + s_.more_columns;
    if (plan_.stride[2] != 1) return;  // else zeros that end a row begin the next one too
    std::int64_t before = std::max<std::int64_t>(0, -s_.first[1]);
    std::int64_t after = std::max<std::int64_t>(0, s_.pitch + s_.first[1] - plan_.in[2]);
    s_.pitch -= std::min({before, after, s_.more_columns});
  }

  // ---- of so many lines

  std::int64_t plane_bytes(std::int64_t lines) const {
    return ((lines + s_.more_rows) * s_.pitch + s_.more_columns) * unit_.group_bytes();
  }
  // An odd number of lines of 64 bytes: groups then do not meet in the same few places of the cache.
  std::int64_t step_of(std::int64_t lines) const {
    if (!s_.planes) return unit_.columns * unit_.group_bytes();
    return (parts_of(plane_bytes(lines) * static_cast<std::int64_t>(s_.phases.size()), 64) | 1) * 64;
  }
  std::int64_t bytes_of(std::int64_t lines) const {
    return s_.planes ? s_.groups * step_of(lines) + unit_.columns * unit_.group_bytes() + 64
                     : lines * s_.groups * step_of(lines);
  }
  std::int64_t positions(std::int64_t lines) const {
    if (s_.planes) return (lines - 1) * s_.pitch + plan_.out[2];
    return std::min(lines * unit_.columns, plan_.out_plane());
  }

  // Cycles, roughly.
  double cost(std::int64_t lines, std::int64_t tiles, double rows) const {
    constexpr double per_byte = 0.1, per_product = 60, per_task = 3000, weights_per_cycle = 12;
    constexpr std::int64_t cache = 768 << 10;
    double groups = static_cast<double>(s_.groups) * static_cast<double>(plan_.taps.size());
    double vectors = static_cast<double>(parts_of(positions(lines), 16));
    double product = static_cast<double>(tiles) * rows * vectors * (groups * unit_.cycles + 3);
    double weights = static_cast<double>(tiles) * rows * groups * 4 * unit_.parts;
    double staged = static_cast<double>(bytes_of(lines)) * unit_.parts;
    if (staged > cache) product *= 1.15;
    return per_task + per_byte * staged + product + static_cast<double>(tiles) * vectors * per_product +
           weights / weights_per_cycle;
  }

  void choose_tasks() {
    std::int64_t least = parts_of(plan_.outs, unit_.rows), times = plan_.batch * plan_.groups;
    double best = std::numeric_limits<double>::infinity();
    for (std::int64_t blocks = 1; blocks <= std::min<std::int64_t>(s_.lines, 128); ++blocks)
      for (std::int64_t parts = 1; parts <= std::min<std::int64_t>(least, 4 * slots_); ++parts) {
        std::int64_t block = parts_of(s_.lines, blocks), tiles = parts_of(least, parts) * parts;
        if (parts_of(s_.lines, block) != blocks || tiles > plan_.outs) continue;
        double rows = static_cast<double>(plan_.outs) / static_cast<double>(tiles);
        double task = cost(block, tiles / parts, rows);
        double all = task * static_cast<double>(parts_of(times * blocks * parts, slots_));
        if (all >= best) continue;
        best = all;
        s_.block = block, s_.blocks = blocks, s_.parts = parts, s_.tiles = tiles, s_.part = tiles / parts;
      }
    double groups = static_cast<double>(s_.groups) * static_cast<double>(plan_.taps.size());
    s_.tiles_first =
        static_cast<double>(s_.part * unit_.rows) * groups * 4 > static_cast<double>(bytes_of(s_.block));
  }

  void place() {
    s_.step = step_of(s_.block);
    s_.plane = plane_bytes(s_.block);
    s_.bytes = parts_of(bytes_of(s_.block), 64) * 64;
    s_.panel_step = unit_.columns * unit_.group_bytes() * (s_.planes ? 1 : s_.groups);
    for (const Tap& tap : plan_.taps) {
      if (!s_.planes) return void(s_.offsets = {0});
      std::int64_t at = std::find(s_.phases.begin(), s_.phases.end(), phase(tap)) - s_.phases.begin();
      std::int64_t place = (shift(tap, 0) - s_.first[0]) * s_.pitch + shift(tap, 1) - s_.first[1];
      s_.offsets.push_back(at * s_.plane + place * unit_.group_bytes());
    }
  }

  // Stretches of the panels of so many positions.
  Panels panels_of(std::int64_t count) const {
    Panels all;
    std::int64_t width = s_.planes ? plan_.out[2] : plan_.out_plane(), pitch = s_.planes ? s_.pitch : width;
    for (std::int64_t first = 0; first < count; first += unit_.columns) {
      std::int64_t end = std::min<std::int64_t>(first + unit_.columns, count);
      std::vector<Stretch>& panel = all.emplace_back();
      for (std::int64_t at = first; at < end;) {
        std::int64_t row = at / pitch, column = at % pitch, length = std::min(width - column, end - at);
        if (length > 0)
          panel.push_back({static_cast<int>(at - first), static_cast<int>(length), row * width + column});
        at = std::min(end, (row + 1) * pitch);
      }
    }
    return all;
  }

  const ConvPlan& plan_;
  const MatrixUnit& unit_;
  std::int64_t slots_;
  ConvStage s_;
};

}  // namespace

std::optional<ConvStage> plan_stage(const ConvPlan& plan, const MatrixUnit& unit, int slots) {
  if (plan.in[0] != 1 || plan.out[0] != 1 || plan.out_plane() == 0) return std::nullopt;
  for (const Tap& tap : plan.taps)
    if (tap.offset[0] != 0) return std::nullopt;
  return Planner(plan, unit, slots).run();
}

}  // namespace tl
