// SPDX-License-Identifier: Apache-2.0
// Convolution by windows of 3 x 3 without strides over images in blocks of channels, by Winograd's
// F(4 x 4, 3 x 3) in fp32. A task transforms some tiles of 6 x 6 of all channels, multiplies, and transforms
// back, all in its own cache; vectors are of channels, so that no transform moves a value between lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_blocked_winograd.simd.cpp"
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
#include "op/conv_winograd.inc"
// clang-format on
namespace {

struct Cut {
  std::vector<Panel> panels = {};
  std::int64_t wide = 0, high = 0, tiles = 0;   // of the plane
  std::int64_t groups = 1, parts = 1;           // of tiles, of panels
  std::int64_t room = 0;                        // tiles of the largest group
  std::int64_t blocks = 0;                      // of input channels
  bool as_halves = false;                       // weights are transformed by each task, some blocks at a time
  std::size_t inputs = 0, sums = 0, fresh = 0;  // bytes of scratch
};

// Weights of more than this do not stay in a cache between predictions: transformed they are eight times what
// they are as halves, and would come from memory.
constexpr std::int64_t most_transformed = 4 << 20;
constexpr std::int64_t blocks_at_once = 2;  // transformed, then multiplied
// Floats between transformed products: not a multiple of the caches' ways.
constexpr std::int64_t fresh_product(std::int64_t width) {
  return blocks_at_once * channel_block * width + channel_block;
}

bool as_halves(const ConvPlan& plan) {
  return products * plan.channels * blocks_of(plan.outs) * channel_block * 4 > most_transformed;
}

Cut cut_work(const ConvPlan& plan, int slots) {
  constexpr std::int64_t cache = 640 << 10;
  Cut cut;
  cut.panels = panels_of(blocks_of(plan.outs) * channel_block / gemm_lanes);
  cut.wide = parts_of(plan.out[2], step), cut.high = parts_of(plan.out[1], step);
  cut.tiles = cut.wide * cut.high;
  cut.blocks = blocks_of(plan.channels);
  std::int64_t tile = products * cut.blocks * channel_block * 4;
  cut.as_halves = as_halves(plan);
  cut.groups = parts_of(cut.tiles, std::clamp<std::int64_t>(cache / tile, 1, cut.tiles));
  if (cut.groups > 1 && plan.batch % slots != 0)
    cut.groups = std::min(cut.tiles, parts_of(cut.groups, slots) * slots);
  std::int64_t have = plan.batch * cut.groups, wanted = have % slots == 0 ? 1 : 2 * slots;
  cut.parts =
      std::clamp<std::int64_t>(parts_of(wanted, have), 1, static_cast<std::int64_t>(cut.panels.size()));
  cut.room = parts_of(cut.tiles, cut.groups);
  cut.inputs = aligned_bytes(cut.room * tile);
  cut.sums = aligned_bytes((products * cut.room + step * step) * most_vectors * gemm_lanes * 4);
  if (cut.as_halves) cut.fresh = aligned_bytes(products * fresh_product(most_vectors * gemm_lanes) * 4);
  return cut;
}

struct WinogradRun {
  const ConvPlan& plan;
  const Cut& cut;
  const Half* x;
  const Half* given;     // the weight as it came
  const float* weights;  // [panel][product][channel][outs of the panel], or
  const Half* halves;    // [panel][channel][tap][outs of the panel]
  const float* bias;
  BlockedFinish finish;
};

struct Task {
  std::int64_t n = 0, first = 0, count = 0, panel = 0, panel_end = 0;
};

// ---- the input: to[product][block of channels][tile][16]

// A row of a tile, zero outside. False if a value is not finite.
HWY_INLINE void load_row(const Half* row, std::int64_t x, std::int64_t width, V (&v)[side]) {
  for (std::int64_t j = 0; j < side; ++j)
    v[j] = x + j >= 0 && x + j < width ? load_wide(d, row + (x + j) * channel_block) : hn::Zero(d);
}

HWY_NOINLINE bool transform_tile(const ConvPlan& plan, const Half* x, std::int64_t ty, std::int64_t tx,
                                 float* to, std::int64_t product) {
  alignas(64) float turned[side][side][gemm_lanes];
  std::int64_t height = plan.in[1], width = plan.in[2];
  std::int64_t top = ty * step + plan.taps[0].offset[1], left = tx * step + plan.taps[0].offset[2];
  V odd = hn::Zero(d), zero = hn::Zero(d);
  for (std::int64_t i = 0; i < side; ++i) {
    V v[side], y[side];
    if (top + i < 0 || top + i >= height) {
      for (std::int64_t j = 0; j < side; ++j) hn::Store(zero, d, turned[j][i]);
      continue;
    }
    load_row(x + (top + i) * width * channel_block, left, width, v);
    for (std::int64_t j = 0; j < side; ++j) odd = hn::MulAdd(v[j], zero, odd);
    transform_six(v, y);
    for (std::int64_t j = 0; j < side; ++j) hn::Store(y[j], d, turned[j][i]);
  }
  for (std::int64_t j = 0; j < side; ++j) {
    V v[side], y[side];
    for (std::int64_t i = 0; i < side; ++i) v[i] = hn::Load(d, turned[j][i]);
    transform_six(v, y);
    for (std::int64_t i = 0; i < side; ++i) hn::StoreU(y[i], d, to + (i * side + j) * product);
  }
  return hn::AllTrue(d, hn::Eq(odd, odd));
}

HWY_NOINLINE bool transform_input(const WinogradRun& r, const Task& t, float* to) {
  const Cut& cut = r.cut;
  bool finite = true;
  std::int64_t product = cut.blocks * cut.room * channel_block, plane = r.plan.in_plane() * channel_block;
  for (std::int64_t b = 0; b < cut.blocks; ++b)
    for (std::int64_t i = 0; i < t.count; ++i) {
      std::int64_t tile = t.first + i;
      for (std::int64_t v = 0; v < channel_block; v += gemm_lanes)
        finite &= transform_tile(r.plan, r.x + (t.n * cut.blocks + b) * plane + v, tile / cut.wide,
                                 tile % cut.wide, to + (b * cut.room + i) * channel_block + v, product);
    }
  return finite;
}

// ---- the output

// from[product][tile][width], of one tile, to to[4][4][width].
HWY_INLINE void transform_back_tile(const float* from, std::int64_t product, int width, float* to) {
  for (int v = 0; v < width; v += gemm_lanes) {
    V half[step][side];
    for (std::int64_t j = 0; j < side; ++j) {
      V x[side], y[step];
      for (std::int64_t i = 0; i < side; ++i) x[i] = hn::LoadU(d, from + (i * side + j) * product + v);
      transform_back(x, y);
      for (std::int64_t i = 0; i < step; ++i) half[i][j] = y[i];
    }
    for (std::int64_t i = 0; i < step; ++i) {
      V y[step];
      transform_back(half[i], y);
      for (std::int64_t j = 0; j < step; ++j) hn::StoreU(y[j], d, to + (i * step + j) * width + v);
    }
  }
}

HWY_INLINE void store_tile(const WinogradRun& r, const Task& t, std::int64_t tile, const Panel& panel,
                           float* values) {
  const ConvPlan& plan = r.plan;
  int width = panel.vectors * gemm_lanes;
  std::int64_t y = tile / r.cut.wide * step, x = tile % r.cut.wide * step;
  int rows = static_cast<int>(std::min(step, plan.out[2] - x));
  std::int64_t before = t.n * blocks_of(plan.outs) * plan.out_plane();
  for (std::int64_t i = 0; i < step && y + i < plan.out[1]; ++i)
    store_blocked(r.finish, values + i * step * width, r.bias, rows, panel,
                  {before + (y + i) * plan.out[2] + x, plan.out_plane()});
}

struct Weights {  // of a panel, for some blocks of channels: [product][channel][outs of the panel]
  const float* first = nullptr;
  std::int64_t product = 0;
  std::int64_t from = 0, blocks = 0;
};

HWY_INLINE void multiply_tiles(const WinogradRun& r, const Task& t, const Panel& panel, const Weights& w,
                               const float* inputs, float* sums) {
  const Cut& cut = r.cut;
  std::int64_t width = panel.vectors * gemm_lanes, step = cut.room * channel_block;
  Depth depth{w.from, w.blocks, cut.blocks,
              static_cast<int>(r.plan.channels - (cut.blocks - 1) * channel_block)};
  std::int64_t groups = parts_of(t.count, most_rows(panel.vectors));
  for (std::int64_t p = 0; p < products; ++p)
    for (std::int64_t g = 0; g < groups; ++g) {
      std::int64_t first = t.count * g / groups;
      int rows = static_cast<int>(t.count * (g + 1) / groups - first);
      blocks_function<float>(rows, panel.vectors)(
          inputs + (p * cut.blocks + w.from) * step + first * channel_block, step, depth,
          w.first + p * w.product, sums + (p * cut.room + first) * width, w.from > 0, nullptr);
    }
}

HWY_NOINLINE void transform_channels(const Half* from, std::int64_t channels, std::int64_t width, float* to) {
  for (std::int64_t c = 0; c < channels; ++c, from += 9 * width, to += width)
    for (std::int64_t v = 0; v < width; v += gemm_lanes) {
      for (int k = 0; k < 9; ++k) __builtin_prefetch(from + (2 * 9 + k) * width + v);
      auto tap = [&](int k) HWY_ATTR { return load_wide(d, from + k * width + v); };
      transform_weights(tap, to + v, fresh_product(width));
    }
}

HWY_NOINLINE void run_panel(const WinogradRun& r, const Task& t, const Panel& panel, std::byte* scratch) {
  const Cut& cut = r.cut;
  const float* inputs = reinterpret_cast<const float*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + cut.inputs);
  float* fresh = reinterpret_cast<float*>(scratch + cut.inputs + cut.sums);
  std::int64_t channels = r.plan.channels, width = panel.vectors * gemm_lanes,
               before = panel.first * gemm_lanes * channels;
  if (!cut.as_halves) {
    multiply_tiles(r, t, panel, {r.weights + before * products, channels * width, 0, cut.blocks}, inputs,
                   sums);
  } else {
    for (std::int64_t b = 0; b < cut.blocks; b += blocks_at_once) {
      std::int64_t first = b * channel_block, n = std::min(channels - first, blocks_at_once * channel_block);
      transform_channels(r.halves + before * 9 + first * 9 * width, n, width, fresh);
      multiply_tiles(r, t, panel, {fresh, fresh_product(width), b, blocks_of(n)}, inputs, sums);
    }
  }
  float* values = sums + products * cut.room * width;
  for (std::int64_t i = 0; i < t.count; ++i) {
    transform_back_tile(sums + i * width, cut.room * width, static_cast<int>(width), values);
    store_tile(r, t, t.first + i, panel, values);
  }
}

// What is not finite would spread over its tile: then each output is summed on its own.
HWY_NOINLINE void run_directly(const WinogradRun& r, const Task& t, const Panel& panel, float* values) {
  const ConvPlan& plan = r.plan;
  int width = panel.vectors * gemm_lanes;
  const Half* image = r.x + t.n * r.cut.blocks * plan.in_plane() * channel_block;
  auto output = [&](std::int64_t y, std::int64_t x, std::int64_t o) {
    float sum = 0;
    for (const Tap& tap : plan.taps) {
      std::int64_t iy = y + tap.offset[1], ix = x + tap.offset[2];
      if (iy < 0 || iy >= plan.in[1] || ix < 0 || ix >= plan.in[2]) continue;
      for (std::int64_t c = 0; c < plan.channels; ++c) {
        std::int64_t at = c / channel_block * plan.in_plane() + iy * plan.in[2] + ix;
        sum += to_float(image[at * channel_block + c % channel_block]) *
               to_float(r.given[plan.weight_at(0, o, c, tap)]);
      }
    }
    return sum;
  };
  for (std::int64_t tile = t.first; tile < t.first + t.count; ++tile) {
    std::int64_t y = tile / r.cut.wide * step, x = tile % r.cut.wide * step, first = panel.first * gemm_lanes;
    for (std::int64_t p = 0; p < step * step; ++p)
      for (int k = 0; k < width; ++k)
        values[p * width + k] = first + k < plan.outs ? output(y + p / step, x + p % step, first + k) : 0;
    store_tile(r, t, tile, panel, values);
  }
}

HWY_NOINLINE void run_task(const WinogradRun& r, std::int64_t i, std::byte* scratch) {
  const Cut& cut = r.cut;
  auto panels = static_cast<std::int64_t>(cut.panels.size());
  std::int64_t part = i % cut.parts, group = i / cut.parts % cut.groups,
               first = cut.tiles * group / cut.groups;
  Task t{i / cut.parts / cut.groups, first, cut.tiles * (group + 1) / cut.groups - first,
         panels * part / cut.parts, panels * (part + 1) / cut.parts};
  bool finite = transform_input(r, t, reinterpret_cast<float*>(scratch));
  for (std::int64_t p = t.panel; p < t.panel_end; ++p) {
    const Panel& panel = cut.panels[static_cast<std::size_t>(p)];
    if (finite) run_panel(r, t, panel, scratch);
    else run_directly(r, t, panel, reinterpret_cast<float*>(scratch + cut.inputs));
  }
}

// ---- the kernel

std::string form_of(const ConvPlan& plan) {
  return weight_form("conv_blocked_winograd", plan) + (as_halves(plan) ? "h" : "");
}
std::size_t packed_bytes(const ConvPlan& plan) {
  std::size_t each = as_halves(plan) ? 9 * sizeof(Half) : products * sizeof(float);
  return static_cast<std::size_t>(plan.channels * blocks_of(plan.outs) * channel_block) * each;
}

class WinogradBlocked final : public Kernel {
 public:
  WinogradBlocked(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)), fused_(fused) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    cut_ = cut_work(plan_, slots_);
    slot_bytes_ = cut_.inputs + cut_.sums + cut_.fresh;
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    packed = {false, false, request.has(2)};
    packed.resize(request.in.size(), false);
    bias_ = blocked_bias(request, plan_);
    silu_ = ends_with_silu(request);
    take_weights(request);
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    WinogradRun r{plan_,
                  cut_,
                  call.input<Half>(0),
                  call.input<Half>(1),
                  reinterpret_cast<const float*>(weights_->data()),
                  reinterpret_cast<const Half*>(weights_->data()),
                  bias_.data(),
                  {finish_of<Half>(fused_, call), silu_}};
    each_nearby(call.pool, plan_.batch * cut_.groups * cut_.parts, slots_, [&](std::int64_t i, int slot) {
      run_task(r, i, call.scratch + static_cast<std::size_t>(slot) * slot_bytes_);
    });
  }

 private:
  void take_weights(const KernelRequest& request) {
    const Tensor& weight = *request.constant(1);
    weights_ = packed_constant(
        request.machine, weight, form_of(plan_), packed_bytes(plan_),
        [&](std::byte* to) { pack(reinterpret_cast<const Half*>(weight.data()), to, request.machine.pool); });
  }

  void pack(const Half* weight, std::byte* to, const ThreadPool* pool) const {
    auto one = [&](std::int64_t i) {
      const Panel& panel = cut_.panels[static_cast<std::size_t>(i)];
      std::int64_t before = panel.first * gemm_lanes * plan_.channels;
      if (cut_.as_halves) pack_halves(weight, panel, reinterpret_cast<Half*>(to) + before * 9);
      else pack_transformed(weight, panel, reinterpret_cast<float*>(to) + before * products);
    };
    auto panels = static_cast<std::int64_t>(cut_.panels.size());
    if (pool) return pool->each(panels, one);
    for (std::int64_t i = 0; i < panels; ++i) one(i);
  }

  void pack_transformed(const Half* weight, const Panel& panel, float* to) const {
    std::int64_t width = panel.vectors * gemm_lanes, first = panel.first * gemm_lanes;
    for (std::int64_t c = 0; c < plan_.channels; ++c)
      pack_weights(weight + c * 9, {first, plan_.outs, plan_.channels * 9}, static_cast<int>(width),
                   to + c * width, plan_.channels * width);
  }

  void pack_halves(const Half* weight, const Panel& panel, Half* to) const {
    std::int64_t width = panel.vectors * gemm_lanes, first = panel.first * gemm_lanes, n = plan_.channels * 9;
    for (std::int64_t o = 0; o < width; ++o)
      for (std::int64_t i = 0; i < n; ++i)
        to[i * width + o] = first + o < plan_.outs ? weight[(first + o) * n + i] : Half{};
  }

  ConvPlan plan_;
  Cut cut_;
  Fused fused_;
  int slots_ = 1;
  bool silu_ = false;
  std::size_t slot_bytes_ = 0;
  StoragePtr weights_;
  std::vector<float> bias_;
};

// In vector multiplications: both ways, what the transforms take, and what larger weights from memory take.
bool pays(const ConvPlan& plan) {
  if (plan.channels < 16 || plan.outs < 16) return false;
  auto tiles = static_cast<double>(plan.batch * parts_of(plan.out[1], step) * parts_of(plan.out[2], step));
  auto weights = static_cast<double>(plan.channels * plan.outs),
       ends = static_cast<double>(plan.channels + plan.outs);
  double direct = 9 * static_cast<double>(plan.batch * plan.out_plane()) * weights / channel_block;
  double winograd = 36 * tiles * weights / channel_block + tiles * ends / channel_block * 300 + 24 * weights;
  return winograd * 1.1 < direct;
}

std::unique_ptr<Kernel> make_winograd(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes_blocked(request) || request.in[0].shape.size() != 5 || request.has(3)) return nullptr;
  const Shape& w = request.in[1].shape;
  if (w[2] != 3 || w[3] != 3 || request.attrs.integer("groups") != 1) return nullptr;
  ConvPlan plan = plan_blocked_conv(request, 1);
  bool plain = plan.taps.size() == 9 && plan.stride == std::array<std::int64_t, 3>{1, 1, 1};
  if (!plain) return nullptr;
  const auto &first = plan.taps[0].offset, &last = plan.taps[8].offset;
  bool dense = last[1] - first[1] == 2 && last[2] - first[2] == 2;
  if (!dense || !pays(plan)) return nullptr;
  const Tensor& weight = *request.constant(1);  // what has been transformed before was found to be finite
  bool known = is_packed(request.machine, weight, form_of(plan), packed_bytes(plan));
  if (!known && !all_finite(weight)) return nullptr;
  return std::make_unique<WinogradBlocked>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv_blocked, "conv_blocked_winograd", make_winograd},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_blocked_winograd)
