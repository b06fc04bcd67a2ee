// SPDX-License-Identifier: Apache-2.0
// Convolution over images in blocks of channels: the pixels of a task, widened once, times panels of weights.
// Vectors are of output channels, so that nothing is turned and no plane is too small for a vector.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_blocked.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "op/blocked.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/gemm_blocked.inc"
#include "simd/finish.inc"
#include "op/conv_blocked.inc"
// clang-format on
namespace {

constexpr std::int64_t vectors_of_block = channel_block / gemm_lanes;

// How the work is cut: the plane in blocks of pixels, the output channels in parts of panels, the depth
// (taps, then blocks of channels) in chunks whose pixels stay in the second cache.
struct Cut {
  std::vector<Panel> panels = {};  // of a group
  std::int64_t blocks = 1, parts = 1, chunks = 1;
  std::int64_t room = 0;   // pixels of the largest block
  std::int64_t chunk = 0;  // blocks of depth in a chunk
  std::int64_t depth = 0, period = 0;
  std::size_t pixels = 0, sums = 0, panel = 0;  // bytes of scratch
  bool widen = false;                           // the panels, once for all tiles of a task
};

std::int64_t first_pixel(const Cut& cut, std::int64_t plane, std::int64_t block) {
  return plane * block / cut.blocks;
}

// Blocks of pixels, so that threads share weights and not pixels; parts of the panels where there are too
// few. Weights that stay in the second cache are read again for fewer pixels, which leave room there for what
// streams by.
void cut_pixels(const ConvPlan& plan, int slots, Cut& cut) {
  constexpr std::int64_t few_weights = 256 << 10, enough = 4 * tile_rows, fewest = 48;
  std::int64_t plane = plan.out_plane(), pixel = cut.depth * channel_block * 4,
               around = plan.batch * plan.groups;
  bool stays = pixel * blocks_of(plan.outs) * channel_block <= few_weights;
  constexpr std::int64_t most = 512 << 10;
  std::int64_t room = std::clamp((stays ? 64 << 10 : most) / pixel, std::min(enough, plane), plane);
  cut.blocks = parts_of(plane, room);
  if (around % slots != 0) {
    std::int64_t even = parts_of(cut.blocks, slots) * slots;
    cut.blocks = std::max(cut.blocks, std::min(even, std::max<std::int64_t>(1, plane / fewest)));
  }
  std::int64_t have = around * cut.blocks, wanted = have % slots == 0 || have >= 8 * slots ? 1 : 2 * slots;
  cut.parts =
      std::clamp<std::int64_t>(parts_of(wanted, have), 1, static_cast<std::int64_t>(cut.panels.size()));
  cut.room = parts_of(plane, cut.blocks);
  cut.chunks = std::clamp<std::int64_t>(parts_of(cut.room * pixel, most), 1, cut.depth);
  cut.chunk = parts_of(cut.depth, cut.chunks);
  cut.chunks = parts_of(cut.depth, cut.chunk);
}

Cut cut_work(const ConvPlan& plan, int slots) {
  Cut cut;
  cut.panels = panels_of(blocks_of(plan.outs) * vectors_of_block);
  cut.period = blocks_of(plan.channels);
  cut.depth = cut.period * static_cast<std::int64_t>(plan.taps.size());
  cut_pixels(plan, slots, cut);
  std::int64_t outs = 0, panels = static_cast<std::int64_t>(cut.panels.size());
  for (std::int64_t p = 0; p < cut.parts; ++p) {
    std::int64_t n = 0;
    for (std::int64_t i = panels * p / cut.parts; i < panels * (p + 1) / cut.parts; ++i)
      n += cut.panels[static_cast<std::size_t>(i)].vectors * gemm_lanes;
    outs = std::max(outs, n);
  }
  cut.widen = cut.room > tile_rows;
  cut.pixels = aligned_bytes(cut.room * cut.chunk * channel_block * 4);
  cut.sums = aligned_bytes(cut.chunks > 1 ? cut.room * outs * 4 : tile_rows * most_vectors * gemm_lanes * 4);
  cut.panel = aligned_bytes(cut.widen ? cut.chunk * channel_block * most_vectors * gemm_lanes * 4 : 0);
  return cut;
}

struct BlockedRun {
  const ConvPlan& plan;
  const Cut& cut;
  const Half* x;
  const Half* scale;    // of each channel of x, or null
  const Half* weights;  // or
  const float* wide;    // where they are few
  const float* bias;
  BlockedFinish finish;
};

struct Task {
  std::int64_t n = 0, g = 0, first = 0, count = 0, panel = 0, panel_end = 0;
};

Task task_of(const BlockedRun& r, std::int64_t i) {
  const Cut& cut = r.cut;
  auto panels = static_cast<std::int64_t>(cut.panels.size());
  std::int64_t part = i % cut.parts, block = i / cut.parts % cut.blocks, ng = i / cut.parts / cut.blocks;
  std::int64_t plane = r.plan.out_plane(), first = first_pixel(cut, plane, block);
  return {ng / r.plan.groups,
          ng % r.plan.groups,
          first,
          first_pixel(cut, plane, block + 1) - first,
          panels * part / cut.parts,
          panels * (part + 1) / cut.parts};
}

// The pixels under one tap and block of channels, widened: to[pixel][16].
HWY_INLINE void pack_block(const Piece* pieces, int n, const Half* x, std::int64_t step, const Half* scale,
                           float* to) {
  const hn::ScalableTag<float> d;
  for (int i = 0; i < n; ++i) {
    const Piece& p = pieces[i];
    float* at = to + p.at * channel_block;
    const Half* from = x + p.from * channel_block;
    for (int v = 0; v < channel_block; v += gemm_lanes) {
      if (p.from < 0) {
        for (int k = 0; k < p.length; ++k) hn::StoreU(hn::Zero(d), d, at + k * channel_block + v);
      } else if (scale) {
        auto s = load_wide(d, scale + v);
        for (std::int64_t k = 0; k < p.length; ++k)
          hn::StoreU(hn::Mul(s, load_wide(d, from + k * step * channel_block + v)), d,
                     at + k * channel_block + v);
      } else {
        for (std::int64_t k = 0; k < p.length; ++k)
          hn::StoreU(load_wide(d, from + k * step * channel_block + v), d, at + k * channel_block + v);
      }
    }
  }
}

HWY_NOINLINE void pack_pixels(const BlockedRun& r, const Task& t, std::int64_t from, std::int64_t to_block,
                              float* to) {
  const ConvPlan& plan = r.plan;
  constexpr int most = 64;
  Piece pieces[3 * most];
  std::int64_t period = r.cut.period, plane = plan.in_plane() * channel_block;
  const Half* x = r.x + (t.n * plan.groups + t.g) * period * plane;
  const Half* scale = r.scale ? r.scale + (t.n * plan.groups + t.g) * period * channel_block : nullptr;
  for (std::int64_t p = 0; p < t.count; p += most) {
    int count = static_cast<int>(std::min<std::int64_t>(most, t.count - p));
    std::int64_t tap = -1;
    int n = 0;
    for (std::int64_t j = from; j < to_block; ++j) {
      if (j / period != tap) {
        tap = j / period;
        n = find_pieces(plan, plan.taps[static_cast<std::size_t>(tap)], t.first + p, count, pieces);
      }
      pack_block(pieces, n, x + j % period * plane, plan.stride[2],
                 scale ? scale + j % period * channel_block : nullptr,
                 to + ((j - from) * r.cut.room + p) * channel_block);
    }
  }
}

// Channels before block j of the depth.
std::int64_t depth_before(const ConvPlan& plan, const Cut& cut, std::int64_t j) {
  return j / cut.period * plan.channels + j % cut.period * channel_block;
}

// One panel for one chunk of the depth: all tiles of pixels; stored after the last chunk.
HWY_INLINE void run_panel(const BlockedRun& r, const Task& t, const Panel& panel, std::int64_t chunk,
                          std::byte* scratch, float* sums) {
  const Cut& cut = r.cut;
  const ConvPlan& plan = r.plan;
  std::int64_t from = chunk * cut.chunk, to = std::min(cut.depth, from + cut.chunk);
  Depth depth{from, to - from, cut.period,
              static_cast<int>(plan.channels - (cut.period - 1) * channel_block)};
  std::int64_t k = depth_before(plan, cut, from);
  int width = panel.vectors * gemm_lanes;
  std::int64_t outs = blocks_of(plan.outs) * channel_block, all = depth_before(plan, cut, cut.depth);
  std::int64_t begin = (t.g * outs + panel.first * gemm_lanes) * all + k * width;
  const Half* b = r.wide ? nullptr : r.weights + begin;
  const float* wide = r.wide ? r.wide + begin : nullptr;
  float* keep = cut.widen ? reinterpret_cast<float*>(scratch + cut.pixels + cut.sums) : nullptr;
  const float* a = reinterpret_cast<const float*>(scratch);
  std::int64_t tiles = parts_of(t.count, most_rows(panel.vectors)), step = cut.room * channel_block;
  for (std::int64_t i = 0; i < tiles; ++i) {
    std::int64_t p = t.count * i / tiles;
    int rows = static_cast<int>(t.count * (i + 1) / tiles - p);
    float* c = cut.chunks > 1 ? sums + p * width : sums;
    const float* at = a + p * channel_block;
    if (wide) {
      blocks_function<float>(rows, panel.vectors)(at, step, depth, wide, c, chunk > 0, nullptr);
    } else if (keep && tiles > 1) {
      blocks_function<Half, true>(rows, panel.vectors)(at, step, depth, b, c, chunk > 0, keep);
      wide = keep;
    } else {
      blocks_function<Half>(rows, panel.vectors)(at, step, depth, b, c, chunk > 0, nullptr);
    }
    if (chunk + 1 < cut.chunks) continue;
    std::int64_t block = ((t.n * plan.groups + t.g) * blocks_of(plan.outs) * plan.out_plane() + t.first + p);
    store_blocked(r.finish, c, r.bias + t.g * outs, rows, panel, {block, plan.out_plane()});
  }
}

HWY_NOINLINE void run_task(const BlockedRun& r, std::int64_t i, std::byte* scratch) {
  Task t = task_of(r, i);
  const Cut& cut = r.cut;
  for (std::int64_t chunk = 0; chunk < cut.chunks; ++chunk) {
    pack_pixels(r, t, chunk * cut.chunk, std::min(cut.depth, (chunk + 1) * cut.chunk),
                reinterpret_cast<float*>(scratch));
    float* sums = reinterpret_cast<float*>(scratch + cut.pixels);
    for (std::int64_t p = t.panel; p < t.panel_end; ++p) {
      const Panel& panel = cut.panels[static_cast<std::size_t>(p)];
      run_panel(r, t, panel, chunk, scratch, sums);
      if (cut.chunks > 1) sums += t.count * panel.vectors * gemm_lanes;
    }
  }
}

// ---- weights: [group][panel][tap][channel][outs of the panel]

HWY_INLINE void put(Half from, Half& to) { to = from; }
HWY_INLINE void put(Half from, float& to) { to = to_float(from); }

template <class To> void pack_panel(const ConvPlan& plan, const Panel& panel, const Half* weight, To* to) {
  std::int64_t width = panel.vectors * gemm_lanes, first = panel.first * gemm_lanes;
  auto taps = static_cast<std::int64_t>(plan.taps.size());
  for (std::int64_t o = 0; o < width; ++o) {
    const Half* from = weight + (first + o) * plan.channels * taps;
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t c = 0; c < plan.channels; ++c)
        put(first + o < plan.outs ? from[c * taps + t] : Half{}, to[(t * plan.channels + c) * width + o]);
  }
}

class ConvBlocked final : public Kernel {
 public:
  ConvBlocked(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)), fused_(fused) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    cut_ = cut_work(plan_, slots_);
    slot_bytes_ = slot_bytes(cut_.pixels + cut_.sums + cut_.panel);
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    packed = {false, true, request.has(2)};
    packed.resize(request.in.size(), false);
    scaled_ = request.has(3);
    bias_ = blocked_bias(request, plan_);
    silu_ = ends_with_silu(request);
    take_weights(request);
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.groups * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    BlockedRun r{plan_,
                 cut_,
                 call.input<Half>(0),
                 scaled_ ? call.input<Half>(3) : nullptr,
                 wide_ ? nullptr : reinterpret_cast<const Half*>(weights_->data()),
                 wide_ ? reinterpret_cast<const float*>(weights_->data()) : nullptr,
                 bias_.data(),
                 {finish_of<Half>(fused_, call), silu_}};
    std::int64_t tasks = plan_.batch * plan_.groups * cut_.blocks * cut_.parts;
    each_nearby(call.pool, tasks, slots_, [&](std::int64_t i, int slot) {
      run_task(r, i, call.scratch + static_cast<std::size_t>(slot) * slot_bytes_);
    });
  }

 private:
  std::int64_t group_size() const { return blocks_of(plan_.outs) * channel_block * plan_.depth(); }

  void take_weights(const KernelRequest& request) {
    constexpr std::int64_t few = 128 << 10;
    std::int64_t all = plan_.groups * group_size();
    wide_ = all <= few && plan_.out_plane() >= tile_rows;
    const Tensor& weight = *request.constant(1);
    weights_ = packed_constant(
        request.machine, weight, weight_form("conv_blocked", plan_) + (wide_ ? "w" : ""),
        static_cast<std::size_t>(all) * (wide_ ? sizeof(float) : sizeof(Half)), [&](std::byte* to) {
          const Half* from = reinterpret_cast<const Half*>(weight.data());
          if (wide_) pack(from, reinterpret_cast<float*>(to), request.machine.pool);
          else pack(from, reinterpret_cast<Half*>(to), request.machine.pool);
        });
  }

  template <class W> void pack(const Half* weight, W* to, const ThreadPool* pool) const {
    const std::int64_t group = group_size();
    auto panels = static_cast<std::int64_t>(cut_.panels.size());
    auto one = [&](std::int64_t i) {
      const Panel& panel = cut_.panels[static_cast<std::size_t>(i % panels)];
      std::int64_t g = i / panels;
      const Half* from = weight + g * plan_.outs * plan_.depth();
      std::int64_t at = g * group + panel.first * gemm_lanes * plan_.depth();
      pack_panel(plan_, panel, from, to + at);
    };
    if (pool) return pool->each(plan_.groups * panels, one);
    for (std::int64_t i = 0; i < plan_.groups * panels; ++i) one(i);
  }

  ConvPlan plan_;
  Cut cut_;
  Fused fused_;
  int slots_ = 1;
  bool silu_ = false;
  bool scaled_ = false;
  std::size_t slot_bytes_ = 0;
  bool wide_ = false;  // weights are fp32
  StoragePtr weights_;
  std::vector<float> bias_;
};

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes_blocked(request) || request.in[0].shape.size() != 5) return nullptr;
  ConvPlan plan = plan_blocked_conv(request, request.attrs.integer("groups"));
  bool whole = plan.channels % channel_block == 0 && plan.outs % channel_block == 0;
  if (plan.groups > 1 && !whole) return nullptr;
  return std::make_unique<ConvBlocked>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv_blocked, "conv_blocked", make_conv},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_blocked)
