// SPDX-License-Identifier: Apache-2.0
// The integer part of convolutions on matrix units over images in blocks: where pixels lie when packed, the
// tiles that waste least, and tasks whose slowest thread is done first.
#include "op/conv_image.h"

#include <algorithm>
#include <limits>

namespace tl {
namespace {

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }
std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
std::size_t aligned(std::int64_t bytes) { return static_cast<std::size_t>(bytes + 63) / 64 * 64; }

// ---- where pixels lie

struct Shift {
  std::int64_t y = 0, x = 0, phase = 0;
};

// Shifts of the taps, from the least one on.
std::vector<Shift> find_shifts(const ConvPlan& plan, ConvImage& image) {
  std::vector<Shift> shifts;
  for (const Tap& tap : plan.taps) {
    Shift s{floor_div(tap.offset[1], plan.stride[1]), floor_div(tap.offset[2], plan.stride[2])};
    ImagePhase phase{tap.offset[1] - s.y * plan.stride[1], tap.offset[2] - s.x * plan.stride[2]};
    auto same = [&](const ImagePhase& p) { return p.y == phase.y && p.x == phase.x; };
    auto found = std::find_if(image.phases.begin(), image.phases.end(), same);
    s.phase = found - image.phases.begin();
    if (found == image.phases.end()) image.phases.push_back(phase);
    shifts.push_back(s);
  }
  image.first_y = shifts[0].y, image.first_x = shifts[0].x;
  for (const Shift& s : shifts) {
    image.first_y = std::min(image.first_y, s.y);
    image.first_x = std::min(image.first_x, s.x);
  }
  for (Shift& s : shifts) s.y -= image.first_y, s.x -= image.first_x;
  return shifts;
}

// The end of a row may be the begin of the next one as far as both lie outside of the image.
void find_pitch(const ConvPlan& plan, const std::vector<Shift>& shifts, ConvImage& image) {
  std::int64_t span = 0;
  for (const Shift& s : shifts) span = std::max(span, s.x);
  image.width = plan.out[2];
  std::int64_t columns = image.width + span, shared = span;
  for (const ImagePhase& phase : image.phases) {
    std::int64_t low = image.first_x * plan.stride[2] + phase.x;  // where column 0 lies
    std::int64_t left = low < 0 ? parts_of(-low, plan.stride[2]) : 0;
    std::int64_t inside = plan.in[2] > low ? parts_of(plan.in[2] - low, plan.stride[2]) : 0;
    shared = std::min({shared, left, std::max<std::int64_t>(0, columns - std::max(inside, left))});
  }
  image.pitch = columns - shared;
  for (const Shift& s : shifts) image.reach = std::max(image.reach, s.y * image.pitch + s.x);
  image.places = (plan.out[1] - 1) * image.pitch + image.width;
}

// ---- tiles and panels

std::vector<ImagePanel> panels_of(std::int64_t vectors, int most) {
  std::vector<ImagePanel> panels;
  std::int64_t n = parts_of(vectors, most);
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t first = vectors * i / n;
    panels.push_back({first, static_cast<int>(vectors * (i + 1) / n - first)});
  }
  return panels;
}

// Cycles of a pair, for one row after another and all panels, roughly.
double tile_cost(const ImageUnit& unit, const std::vector<ImagePanel>& panels, double rows) {
  double sum = 0;
  for (const ImagePanel& panel : panels) {
    int v = unit.tiles > 1 ? unit.vectors : panel.vectors;
    sum += unit.tiles > 1 ? rows * v : std::max(rows * v, 8.0) + 0.05 * rows + 0.6 * v;
  }
  return sum;
}

void choose_tiles(const ConvPlan& plan, const ImageUnit& unit, std::int64_t vectors, ConvImage& image) {
  double best = std::numeric_limits<double>::infinity();
  auto consider = [&](const std::vector<ImagePanel>& panels, int rows, std::int64_t per_row) {
    std::int64_t n = per_row ? per_row * plan.out[1] : parts_of(image.places, rows);
    double places = static_cast<double>(per_row ? plan.out_plane() : image.places);
    // Tiles of a unit all cost what the largest does.
    double each = unit.tiles > 1 ? unit.most_rows[1] : places / static_cast<double>(n);
    std::int64_t counted = n <= 4 ? parts_of(n, unit.tiles) * unit.tiles : n;
    double cost = static_cast<double>(counted) * tile_cost(unit, panels, each);
    if (cost >= best * 0.999) return;
    best = cost;
    image.rows = rows, image.per_row = per_row, image.tiles = n, image.panels = panels;
  };
  for (int v = std::min<int>(unit.vectors, 2); v <= unit.vectors; ++v) {
    std::vector<ImagePanel> panels = panels_of(vectors, v);
    int widest = 0;
    for (const ImagePanel& p : panels) widest = std::max(widest, p.vectors);
    for (int rows = unit.most_rows[widest]; rows >= 4; --rows) {
      consider(panels, rows, 0);
      if (plan.out[1] > 1) {
        std::int64_t per_row = parts_of(image.width, rows);
        if (parts_of(image.width, per_row) == rows) consider(panels, rows, per_row);
      }
    }
  }
}

void list_tiles(ConvImage& image) {
  std::int64_t in_row = image.per_row ? image.per_row : image.tiles;
  std::int64_t length = image.per_row ? image.width : image.places;
  for (std::int64_t i = 0; i < image.tiles; ++i) {
    std::int64_t k = i % in_row, first = length * k / in_row, end = length * (k + 1) / in_row;
    first += i / in_row * image.pitch, end += i / in_row * image.pitch;
    image.list.push_back({first, first / image.pitch, first % image.pitch, static_cast<int>(end - first)});
  }
}

// ---- tasks

struct TaskSize {
  std::int64_t tiles = 0, pixels = 0, vectors = 0;
};

TaskSize size_of(const ConvImage& image, std::int64_t blocks, std::int64_t parts) {
  TaskSize size;
  size.tiles = parts_of(image.tiles, blocks);
  size.pixels = std::min(image.places, parts_of(image.places, blocks) + image.rows) + image.reach;
  auto panels = static_cast<std::int64_t>(image.panels.size());
  std::int64_t n = parts_of(panels, parts);
  for (std::int64_t i = 0; i < n; ++i)
    size.vectors += image.panels[static_cast<std::size_t>(panels - 1 - i)].vectors;
  return size;
}

double task_cost(const ConvImage& image, const ImageUnit& unit, const TaskSize& size, bool shared) {
  constexpr double away = 16;  // what other cores wrote, 64 bytes of it
  double steps = static_cast<double>(image.depth), vectors = static_cast<double>(size.vectors);
  double rows = static_cast<double>(parts_of(size.tiles, unit.tiles) * unit.tiles *
                                    (unit.tiles > 1 ? unit.most_rows[1] : image.rows));
  double packed = static_cast<double>(size.pixels * image.period) * static_cast<double>(image.phases.size());
  double weights = steps * vectors * 1024 * unit.weight;
  return 400 + packed * (unit.pack + (shared ? away : 0)) + rows * vectors * (steps * unit.product + 5) +
         weights;
}

void choose_tasks(const ConvPlan& plan, const ImageUnit& unit, int slots, ConvImage& image) {
  constexpr std::int64_t cache = 512 << 10;
  constexpr double uneven = 0.4;  // of a task: threads are not equally fast
  auto panels = static_cast<std::int64_t>(image.panels.size());
  std::int64_t pixel =
      image.period * static_cast<std::int64_t>(image.phases.size()) * step_bytes * unit.parts;
  std::int64_t fewest = std::clamp<std::int64_t>(parts_of(image.places * pixel, cache), 1, image.tiles);
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t blocks = fewest; blocks <= std::min<std::int64_t>(image.tiles, fewest + 4 * slots);
       ++blocks)
    for (std::int64_t parts = 1; parts <= std::min<std::int64_t>(panels, 2 * slots); ++parts) {
      std::int64_t rounds = parts_of(plan.batch * plan.groups * blocks * parts, slots);
      double cost = (static_cast<double>(rounds) + uneven) *
                    task_cost(image, unit, size_of(image, blocks, parts), parts > 1);
      if (cost < best * 0.999) best = cost, image.blocks = blocks, image.parts = parts;
    }
}

// ---- scratch

void place(const ConvPlan& plan, const ImageUnit& unit, const std::vector<Shift>& shifts, ConvImage& image) {
  constexpr std::int64_t slack = 16;  // rows that a tile of fewer reads beyond its own
  std::int64_t most = 0, most_tiles = 0;
  for (std::int64_t b = 0; b < image.blocks; ++b) {
    std::int64_t first = image.tiles * b / image.blocks, end = image.tiles * (b + 1) / image.blocks;
    const ImageTile& last = image.tile(end - 1);
    most = std::max(most, last.first + last.count - image.tile(first).first);
    most_tiles = std::max(most_tiles, end - first);
  }
  std::int64_t pixels = most + image.reach + slack;
  image.plane = pixels * static_cast<std::int64_t>(image.phases.size()) * step_bytes;
  image.pixels = static_cast<std::size_t>(image.plane * image.period);
  for (const Shift& s : shifts)
    for (std::int64_t k = 0; k < image.period; ++k)
      image.offsets.push_back(k * image.plane + (s.phase * pixels + s.y * image.pitch + s.x) * step_bytes);
  std::int64_t vectors = 0;
  for (const ImagePanel& p : image.panels) vectors = std::max<std::int64_t>(vectors, p.vectors);
  constexpr std::int64_t near = 16;  // steps whose weights, split, stay in the first cache or close to it
  image.chunk = unit.parts == 2 && image.depth > near + near / 2 ? near : image.depth;
  image.split = aligned(unit.parts == 2 ? image.chunk * vectors * ImageUnit::split_bytes : 0);
  std::int64_t kept = image.chunk < image.depth ? parts_of(most_tiles, unit.tiles) : 2;
  image.sums = aligned(kept * unit.tiles * 16 * vectors * step_lanes * 4);  // two turns, or all of a panel
  static_cast<void>(plan);
}

}  // namespace

std::optional<ConvImage> plan_image(const ConvPlan& plan, const ImageUnit& unit, int slots) {
  constexpr std::int64_t fewest_outputs = 8, fewest_channels = 8, most_scratch = 16 << 20;
  if (plan.out_plane() < fewest_outputs || plan.channels < fewest_channels || plan.in[0] != 1 ||
      plan.taps.empty())
    return std::nullopt;
  // Three products of half a step are no faster than vectors.
  if (unit.parts == 2 && plan.depth() <= step_channels / 2) return std::nullopt;
  ConvImage image;
  std::vector<Shift> shifts = find_shifts(plan, image);
  find_pitch(plan, shifts, image);
  image.period = parts_of(plan.channels, step_channels);
  image.depth = image.period * static_cast<std::int64_t>(plan.taps.size());
  std::int64_t left = plan.channels - (image.period - 1) * step_channels;
  image.last_pairs = unit.whole_steps ? step_pairs : static_cast<int>(parts_of(left, 2));
  choose_tiles(plan, unit, parts_of(plan.outs, step_lanes), image);
  list_tiles(image);
  choose_tasks(plan, unit, slots, image);
  place(plan, unit, shifts, image);
  if (image.pixels > most_scratch) return std::nullopt;
  return image;
}

}  // namespace tl
