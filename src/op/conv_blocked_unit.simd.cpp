// SPDX-License-Identifier: Apache-2.0
// Convolution over images in blocks of channels on a matrix unit: the pixels of a task, packed once for all
// taps, times panels of weights (op/conv_image.h), finished as they leave the registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_blocked_unit.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

#include "op/blocked.h"
#include "op/conv_image.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/gemm_blocked.inc"
#include "simd/finish.inc"
#include "op/conv_blocked.inc"
// clang-format on
namespace {

constexpr std::int64_t blocks_of_step = step_channels / channel_block;
std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct UnitRun {
  const ImageUnit& unit;
  const ConvPlan& plan;
  const ConvImage& image;
  const Half* x;
  const Half* scale;  // of each channel of x, or null
  const std::byte* weights;
  std::int64_t group_bytes;  // of weights
  const float* bias;
  BlockedFinish finish;
};

struct Task {
  std::int64_t n = 0, g = 0, tile = 0, tile_end = 0, panel = 0, panel_end = 0;
  std::int64_t first = 0, count = 0;  // places
  std::byte *pixels = nullptr, *split = nullptr;
  float* sums = nullptr;
};

Task task_of(const UnitRun& r, std::int64_t i, std::byte* scratch) {
  const ConvImage& m = r.image;
  auto panels = static_cast<std::int64_t>(m.panels.size());
  std::int64_t part = i % m.parts, block = i / m.parts % m.blocks, ng = i / m.parts / m.blocks;
  Task t{ng / r.plan.groups,         ng % r.plan.groups,
         m.tiles * block / m.blocks, m.tiles * (block + 1) / m.blocks,
         panels * part / m.parts,    panels * (part + 1) / m.parts};
  const ImageTile& last = m.tile(t.tile_end - 1);
  t.first = m.tile(t.tile).first;
  t.count = last.first + last.count - t.first;
  t.pixels = scratch;
  t.split = t.pixels + m.pixels * at(r.unit.parts);
  t.sums = reinterpret_cast<float*>(t.split + m.split);
  return t;
}

// ---- pixels

void zero_pixels(const UnitRun& r, std::byte* to, std::int64_t count) {
  if (count <= 0) return;
  std::memset(to, 0, at(count * step_bytes));
  if (r.unit.parts == 2) std::memset(to + r.image.pixels, 0, at(count * step_bytes));
}

// Places [from, end) of a phase, of the 32 channels of `run`.
void pack_phase(const UnitRun& r, const ImagePhase& phase, std::int64_t from, std::int64_t end, PixelRun run,
                std::byte* to) {
  const ConvPlan& plan = r.plan;
  const ConvImage& m = r.image;
  const Half *first = run.first, *second = run.second;
  std::int64_t sx = plan.stride[2], low = m.first_x * sx + phase.x;
  std::int64_t in_row = plan.in[2] > low ? parts_of(plan.in[2] - low, sx) : 0;
  std::int64_t left = std::min(m.pitch, low < 0 ? parts_of(-low, sx) : 0),
               right = std::clamp(in_row, left, m.pitch);
  run.step = sx * channel_block;
  for (std::int64_t row = from / m.pitch; from < end; ++row) {
    std::int64_t begin = row * m.pitch, stop = std::min(end, begin + m.pitch);
    std::int64_t y = (row + m.first_y) * plan.stride[1] + phase.y;
    bool inside = y >= 0 && y < plan.in[1];
    std::int64_t a = inside ? std::clamp(begin + left, from, stop) : stop;
    std::int64_t b = inside ? std::clamp(begin + right, a, stop) : stop;
    zero_pixels(r, to, a - from);
    if (b > a) {
      std::int64_t place = (y * plan.in[2] + low + (a - begin) * sx) * channel_block;
      run.first = first + place, run.second = second ? second + place : nullptr, run.count = b - a;
      r.unit.pack_pixels(run, to + (a - from) * step_bytes, static_cast<std::int64_t>(m.pixels));
    }
    zero_pixels(r, to + (b - from) * step_bytes, stop - b);
    to += (stop - from) * step_bytes;
    from = stop;
  }
}

HWY_NOINLINE void pack_task(const UnitRun& r, const Task& t) {
  const ConvImage& m = r.image;
  std::int64_t blocks = blocks_of(r.plan.channels), plane = r.plan.in_plane() * channel_block;
  std::int64_t ng = t.n * r.plan.groups + t.g, phases = static_cast<std::int64_t>(m.phases.size());
  const Half* x = r.x + ng * blocks * plane;
  const Half* scale = r.scale ? r.scale + ng * blocks * channel_block : nullptr;
  for (std::int64_t k = 0; k < m.period; ++k) {
    std::int64_t block = k * blocks_of_step;
    bool both = block + 1 < blocks;
    PixelRun run{.first = x + block * plane, .second = both ? x + (block + 1) * plane : nullptr};
    run.channels =
        static_cast<int>(std::min<std::int64_t>(step_channels, r.plan.channels - k * step_channels));
    if (scale) {
      run.scale = scale + block * channel_block;
      run.scale_second = both ? run.scale + channel_block : nullptr;
    }
    for (std::int64_t p = 0; p < phases; ++p)
      pack_phase(r, m.phases[at(p)], t.first, t.first + t.count + m.reach, run,
                 t.pixels + k * m.plane + p * (m.plane / phases));
  }
}

// ---- sums

HWY_INLINE bool any_strange(const float* c, std::int64_t n) {
  const hn::ScalableTag<float> d;
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < n; i += gemm_lanes) sum = hn::MulAdd(hn::LoadU(d, c + i), hn::Zero(d), sum);
  return !hn::AllTrue(d, hn::Eq(sum, sum));
}

// One sum of values in parts, again: an infinity times a low part of zero is no number.
float sum_again(const UnitRun& r, const std::byte* pixel, const std::byte* weights, int vectors, int out) {
  const ConvImage& m = r.image;
  auto value = [](const std::byte* p) {
    BFloat x;
    std::memcpy(&x, p, sizeof x);
    return to_float(x);
  };
  float sum = 0;
  for (std::int64_t s = 0; s < m.depth && sum == sum; ++s) {
    const std::byte* a = pixel + m.offsets[at(s)];
    const Half* b = reinterpret_cast<const Half*>(weights + s * vectors * 1024);
    for (int k = 0; k < step_channels; ++k) {
      const std::byte* from = a + k % 16 * 4 + k / 16 * 2;
      float high = value(from), low = value(from + m.pixels);
      if (low == low) high += low;
      sum += high * to_float(b[((k % 16 * vectors + out / 16) * 2 + k / 16) * 16 + out % 16]);
    }
  }
  return sum;
}

HWY_NOINLINE void mend(const UnitRun& r, const std::byte* pixel, const std::byte* weights,
                       const ImagePanel& panel, int rows, float* c) {
  int width = panel.vectors * gemm_lanes;
  for (int i = 0; i < rows; ++i)
    for (int o = 0; o < width; ++o)
      if (c[i * width + o] != c[i * width + o])
        c[i * width + o] = sum_again(r, pixel + i * step_bytes, weights, panel.vectors, o);
}

// A tile's outputs, less what lies between rows.
void store_tile(const UnitRun& r, const Task& t, const ImageTile& tile, const ImagePanel& panel, float* c) {
  const ConvPlan& plan = r.plan;
  const ConvImage& m = r.image;
  int width = panel.vectors * gemm_lanes;
  std::int64_t y = tile.y, x = tile.x, outs = blocks_of(plan.outs);
  std::int64_t plane = plan.out_plane(), base = (t.n * plan.groups + t.g) * outs * plane;
  for (std::int64_t i = 0; i < tile.count;) {
    std::int64_t n = std::clamp<std::int64_t>(m.width - x, 0, tile.count - i);
    if (n > 0)
      store_blocked(r.finish, c + i * width, r.bias + t.g * outs * channel_block, static_cast<int>(n),
                    {panel.first, panel.vectors}, {base + y * plan.out[2] + x, plane});
    i += std::min(m.pitch - x, tile.count - i);
    x = 0, ++y;
  }
}

struct Turn {  // some tiles at once, for a chunk of the sum
  const ImagePanel* panel = nullptr;
  std::int64_t first = 0, chunk = 0;
  int tiles = 0;
  const std::byte* next = nullptr;  // weights of later turns, of which each step fetches some
  std::int64_t next_bytes = 0;
  float* c = nullptr;
};

const std::byte* weights_of(const UnitRun& r, const Task& t, const ImagePanel& panel) {
  const ConvImage& m = r.image;
  return r.weights + t.g * r.group_bytes + panel.first * m.pairs_before(m.depth) * ImageUnit::pair_bytes;
}
const std::byte* pixel_of(const Task& t, const ImageTile& tile) {
  return t.pixels + (tile.first - t.first) * step_bytes;
}

HWY_INLINE void multiply(const UnitRun& r, const Task& t, const Turn& turn) {
  const ConvImage& m = r.image;
  const ImageTile* tile = &m.tile(turn.first);
  ImageProduct p;
  for (int i = 0; i < 2; ++i) p.a[i] = pixel_of(t, tile[turn.tiles == 2 ? i : 0]);
  p.offsets = m.offsets.data() + turn.chunk;
  p.low = static_cast<std::int64_t>(m.pixels);
  p.b = weights_of(r, t, *turn.panel) +
        m.pairs_before(turn.chunk) * turn.panel->vectors * ImageUnit::pair_bytes;
  p.split = t.split;
  p.fresh = turn.first == t.tile, p.more = turn.chunk > 0;
  p.first = turn.chunk, p.steps = std::min(m.chunk, m.depth - turn.chunk);
  p.period = m.period, p.last = m.last_pairs;
  p.tiles = turn.tiles, p.rows = r.unit.tiles > 1 ? m.rows : tile[0].count, p.vectors = turn.panel->vectors;
  p.next = turn.next, p.next_bytes = turn.next_bytes;
  p.c = turn.c;
  r.unit.multiply(p);
}

HWY_INLINE void finish(const UnitRun& r, const Task& t, const Turn& turn) {
  const ImageTile* tile = &r.image.tile(turn.first);
  int width = turn.panel->vectors * gemm_lanes;
  for (int i = 0; i < turn.tiles; ++i) {
    float* c = turn.c + i * r.image.rows * width;
    if (r.unit.parts == 2 && any_strange(c, std::int64_t{tile[i].count} * width))
      mend(r, pixel_of(t, tile[i]), weights_of(r, t, *turn.panel), *turn.panel, tile[i].count, c);
    store_tile(r, t, tile[i], *turn.panel, c);
  }
}

// Units that multiply on their own do so while the turn before is finished.
class Turns {
 public:
  Turns(const UnitRun& r, const Task& t) : r_(r), t_(t), ahead_(r.unit.tiles > 1) {}

  void take(Turn turn, bool whole) {
    const ConvImage& m = r_.image;
    std::int64_t room = std::int64_t{m.rows} * turn.panel->vectors * gemm_lanes;
    if (m.chunk < m.depth) turn.c = t_.sums + (turn.first - t_.tile) * room;
    else turn.c = odd_ ? t_.sums + m.sums / sizeof(float) / 2 : t_.sums;
    odd_ = ahead_ && !odd_;
    multiply(r_, t_, turn);
    flush();
    if (!whole) return;
    if (ahead_) last_ = turn;
    else finish(r_, t_, turn);
  }
  void flush() {
    if (last_.panel) finish(r_, t_, last_);
    last_.panel = nullptr;
  }

 private:
  const UnitRun& r_;
  const Task& t_;
  Turn last_ = {};
  bool odd_ = false, ahead_;
};

void run_panel(const UnitRun& r, const Task& t, const ImagePanel& panel, Turns& turns) {
  const ConvImage& m = r.image;
  std::int64_t pair = panel.vectors * ImageUnit::pair_bytes;
  std::int64_t rounds = parts_of(t.tile_end - t.tile, r.unit.tiles);
  for (std::int64_t chunk = 0; chunk < m.depth; chunk += m.chunk) {
    std::int64_t end = std::min(m.depth, chunk + m.chunk), steps = end - chunk;
    std::int64_t each = parts_of((m.pairs_before(end) - m.pairs_before(chunk)) * pair, rounds * steps);
    Turn turn{&panel, t.tile, chunk};
    turn.next = weights_of(r, t, panel) + m.pairs_before(end) * pair, turn.next_bytes = each;
    for (; turn.first < t.tile_end; turn.first += r.unit.tiles, turn.next += each * steps) {
      turn.tiles = static_cast<int>(std::min<std::int64_t>(r.unit.tiles, t.tile_end - turn.first));
      turns.take(turn, end == m.depth);
    }
  }
  if (m.chunk < m.depth) turns.flush();  // the next panel's sums take the place
}

HWY_NOINLINE void run_task(const UnitRun& r, std::int64_t i, std::byte* scratch) {
  Task t = task_of(r, i, scratch);
  pack_task(r, t);
  if (r.unit.enter) r.unit.enter(r.image.rows);
  Turns turns(r, t);
  for (std::int64_t p = t.panel; p < t.panel_end; ++p) run_panel(r, t, r.image.panels[at(p)], turns);
  turns.flush();
  if (r.unit.leave) r.unit.leave();
}

// ---- weights: [group][panel][step][pair][vector][16 pairs]; where they are split later, both of a pair are
// 16 apart

std::uint16_t bits_of(Half w, bool half) {
  float x = to_float(w);
  if (!half) return to_bfloat(x).bits;
  return x == x ? w.bits : std::uint16_t{0x7e00};
}

class ConvBlockedUnit final : public Kernel {
 public:
  ConvBlockedUnit(const KernelRequest& request, const ImageUnit& unit, ConvPlan plan, ConvImage image,
                  Fused fused)
      : unit_(unit), plan_(std::move(plan)), image_(std::move(image)), fused_(fused) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    slot_bytes_ = image_.pixels * at(unit_.parts) + image_.split + image_.sums;
    scratch = slot_bytes_ * at(slots_);
    packed = {false, true, request.has(2)};
    packed.resize(request.in.size(), false);
    scaled_ = request.has(3);
    bias_ = blocked_bias(request, plan_);
    silu_ = ends_with_silu(request);
    group_bytes_ =
        parts_of(plan_.outs, step_lanes) * image_.pairs_before(image_.depth) * ImageUnit::pair_bytes;
    take_weights(request);
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.groups * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    UnitRun r{unit_,
              plan_,
              image_,
              call.input<Half>(0),
              scaled_ ? call.input<Half>(3) : nullptr,
              weights_->data(),
              group_bytes_,
              bias_.data(),
              {finish_of<Half>(fused_, call), silu_}};
    std::int64_t tasks = plan_.batch * plan_.groups * image_.blocks * image_.parts;
    each_nearby(call.pool, tasks, slots_,
                [&](std::int64_t i, int slot) { run_task(r, i, call.scratch + at(slot) * slot_bytes_); });
  }

 private:
  void take_weights(const KernelRequest& request) {
    const Tensor& weight = *request.constant(1);
    std::string form = weight_form("conv_blocked_unit", plan_) + std::string(unit_.name) + ":";
    for (const ImagePanel& panel : image_.panels) form += static_cast<char>('0' + panel.vectors);
    weights_ = packed_constant(
        request.machine, weight, std::move(form), at(plan_.groups * group_bytes_),
        [&](std::byte* to) { pack(reinterpret_cast<const Half*>(weight.data()), to, request.machine.pool); });
  }

  void pack(const Half* weight, std::byte* to, const ThreadPool* pool) const {
    auto panels = static_cast<std::int64_t>(image_.panels.size());
    auto one = [&](std::int64_t i) {
      const ImagePanel& panel = image_.panels[at(i % panels)];
      std::int64_t begin = panel.first * image_.pairs_before(image_.depth) * ImageUnit::pair_bytes;
      pack_panel(weight + i / panels * plan_.outs * plan_.depth(), panel,
                 reinterpret_cast<std::uint16_t*>(to + i / panels * group_bytes_ + begin));
    };
    if (pool) return pool->each(plan_.groups * panels, one);
    for (std::int64_t i = 0; i < plan_.groups * panels; ++i) one(i);
  }

  void pack_panel(const Half* weight, const ImagePanel& panel, std::uint16_t* to) const {
    auto taps = static_cast<std::int64_t>(plan_.taps.size());
    for (std::int64_t step = 0; step < image_.depth; ++step) {
      std::int64_t tap = step / image_.period, channel = step % image_.period * step_channels;
      std::int64_t n = image_.pairs_before(step + 1) - image_.pairs_before(step);
      for (std::int64_t pair = 0; pair < n; ++pair)
        for (int v = 0; v < panel.vectors; ++v, to += 2 * step_lanes)
          for (int k = 0; k < 2 * step_lanes; ++k) {
            std::int64_t out = (panel.first + v) * step_lanes + (unit_.apart ? k % step_lanes : k / 2);
            std::int64_t c = channel + (unit_.apart ? pair + k / step_lanes * step_pairs : 2 * pair + k % 2);
            bool there = out < plan_.outs && c < plan_.channels;
            to[k] = there ? bits_of(weight[(out * plan_.channels + c) * taps + tap], unit_.parts == 2)
                          : std::uint16_t{0};
          }
    }
  }

  const ImageUnit& unit_;
  ConvPlan plan_;
  ConvImage image_;
  Fused fused_;
  int slots_ = 1;
  bool silu_ = false, scaled_ = false;
  std::size_t slot_bytes_ = 0;
  std::int64_t group_bytes_ = 0;
  StoragePtr weights_;
  std::vector<float> bias_;
};

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  const ImageUnit* unit = image_unit(request.machine.isa, request.machine.bf16);
  std::optional<Fused> what = fused(request);
  if (!unit || !what || !takes_blocked(request) || request.in[0].shape.size() != 5) return nullptr;
  ConvPlan plan = plan_blocked_conv(request, request.attrs.integer("groups"));
  bool whole = plan.channels % channel_block == 0 && plan.outs % channel_block == 0;
  if (plan.groups > 1 && !whole) return nullptr;
  int slots = request.machine.pool ? request.machine.pool->threads() : 1;
  std::optional<ConvImage> image = plan_image(plan, *unit, slots);
  if (!image) return nullptr;
  return std::make_unique<ConvBlockedUnit>(request, *unit, std::move(plan), std::move(*image), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv_blocked, "conv_blocked_unit", make_conv},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#else
namespace tl::HWY_NAMESPACE {
constexpr KernelTable rows;  // units belong to later instruction sets
}
#endif
TL_EXPORT_KERNELS(conv_blocked_unit)
