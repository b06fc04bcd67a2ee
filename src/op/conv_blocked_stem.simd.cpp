// SPDX-License-Identifier: Apache-2.0
// The first convolution of a network: few channels, still in planes, to an image in blocks of channels. Rows
// are widened and padded; a product reads neighbouring pixels from them where they lie.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_blocked_stem.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "op/blocked.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/ops.h"
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
#include "simd/pack.inc"
#include "simd/finish.inc"
#include "op/conv_blocked.inc"
// clang-format on
namespace {

constexpr std::int64_t stride = 2, most_channels = 4;

// c[R][V vectors]: pixels that lie `stride` floats apart, times what lies `offsets` further.
template <int R, int V>
HWY_NOINLINE void multiply_rows(const float* HWY_RESTRICT x, std::span<const std::int64_t> offsets,
                                const float* HWY_RESTRICT b, float* HWY_RESTRICT c) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[R][V];
  HWY_UNROLL(16) for (auto& row : sum) HWY_UNROLL(2) for (auto& s : row) s = hn::Zero(d);
  for (std::int64_t offset : offsets) {
    const float* a = x + offset;
    hn::Vec<decltype(d)> w[V];
    HWY_UNROLL(2) for (int v = 0; v < V; ++v) w[v] = hn::LoadU(d, b + v * gemm_lanes);
    HWY_UNROLL(16) for (int r = 0; r < R; ++r) {
      auto y = hn::Set(d, a[r * stride]);
      HWY_UNROLL(2) for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(y, w[v], sum[r][v]);
    }
    b += V * gemm_lanes;
  }
  HWY_UNROLL(16)
  for (int r = 0; r < R; ++r)
    HWY_UNROLL(2) for (int v = 0; v < V; ++v) hn::StoreU(sum[r][v], d, c + (r * V + v) * gemm_lanes);
}

using MultiplyRows = void(const float*, std::span<const std::int64_t>, const float*, float*);
template <int V, int... R>
constexpr std::array<MultiplyRows*, sizeof...(R)> row_functions(std::integer_sequence<int, R...>) {
  return {multiply_rows<R + 1, V>...};
}
HWY_INLINE MultiplyRows* rows_function(int rows, int vectors) {
  using Rows = std::make_integer_sequence<int, tile_rows>;
  static constexpr auto one = row_functions<1>(Rows()), two = row_functions<2>(Rows());
  return (vectors == 2 ? two : one)[static_cast<std::size_t>(rows - 1)];
}

struct Strip {  // rows of outputs at a time
  std::vector<Panel> panels = {};
  std::int64_t top = 0, left = 0, kernel_rows = 0, kernel_columns = 0;
  std::int64_t pitch = 0, plane = 0;  // floats of a padded row, of a channel's rows
  std::int64_t outputs = 0, strips = 0;
  std::vector<std::int64_t> offsets = {};  // of the window, channel by channel
  std::size_t bytes = 0;
};

Strip lay_out(const ConvPlan& plan, int slots) {
  Strip s;
  s.top = plan.taps.front().offset[1], s.left = plan.taps.front().offset[2];
  s.kernel_rows = plan.taps.back().offset[1] - s.top + 1;
  s.kernel_columns = plan.taps.back().offset[2] - s.left + 1;
  std::int64_t vectors = blocks_of(plan.outs) * channel_block / gemm_lanes;
  for (std::int64_t v = 0; v < vectors; v += 2)
    s.panels.push_back({v, static_cast<int>(std::min<std::int64_t>(2, vectors - v))});
  s.strips =
      std::max<std::int64_t>(1, std::min(plan.out[1], parts_of(parts_of(plan.out[1], 8), slots) * slots));
  s.outputs = parts_of(plan.out[1], s.strips);
  s.pitch = (plan.out[2] - 1) * stride + s.kernel_columns + pack_slack;
  s.plane = ((s.outputs - 1) * plan.stride[1] + s.kernel_rows) * s.pitch;
  for (std::int64_t c = 0; c < plan.channels; ++c)
    for (std::int64_t y = 0; y < s.kernel_rows; ++y)
      for (std::int64_t x = 0; x < s.kernel_columns; ++x) s.offsets.push_back(c * s.plane + y * s.pitch + x);
  s.bytes = slot_bytes(aligned_bytes((plan.channels * s.plane + 2 * pack_slack) * 4));
  return s;
}

struct StemRun {
  const ConvPlan& plan;
  const Strip& strip;
  const Half* x;
  const Half* end;
  const float* weights;  // [panel][channel][row][column][outs of the panel]
  const float* bias;
  BlockedFinish finish;
};

HWY_INLINE void zero(float* to, std::int64_t n) {  // writes whole vectors
  const hn::ScalableTag<float> d;
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
}

// What is written past a row the next one overwrites.
HWY_NOINLINE void fill_strip(const StemRun& r, const Half* x, std::int64_t y, std::int64_t rows, float* to) {
  const Strip& s = r.strip;
  std::int64_t before = std::min(-s.left, s.pitch), width = r.plan.in[2];
  std::int64_t count = std::min(width, s.pitch - before);
  for (std::int64_t end = y + rows; y < end; ++y, to += s.pitch) {
    if (y < 0 || y >= r.plan.in[1]) {
      zero(to, s.pitch);
      continue;
    }
    zero(to, before);
    copy_row(x + y * width, r.end, static_cast<int>(count), to + before);
    zero(to + before + count, s.pitch - before - count);
  }
}

HWY_NOINLINE void run_strip(const StemRun& r, std::int64_t i, float* scratch) {
  const ConvPlan& plan = r.plan;
  const Strip& s = r.strip;
  alignas(64) float c[tile_rows * 2 * gemm_lanes];
  std::int64_t n = i / s.strips, strip = i % s.strips, sy = plan.stride[1], width = plan.out[2];
  std::int64_t first = plan.out[1] * strip / s.strips, last = plan.out[1] * (strip + 1) / s.strips;
  for (std::int64_t ch = 0; ch < plan.channels; ++ch)
    fill_strip(r, r.x + (n * plan.channels + ch) * plan.in_plane(), first * sy + s.top,
               (last - first - 1) * sy + s.kernel_rows, scratch + ch * s.plane);
  std::int64_t tiles = parts_of(width, tile_rows), depth = plan.channels * s.kernel_rows * s.kernel_columns;
  for (const Panel& panel : s.panels)
    for (std::int64_t y = first; y < last; ++y)
      for (std::int64_t t = 0; t < tiles; ++t) {
        std::int64_t x = width * t / tiles;
        int rows = static_cast<int>(width * (t + 1) / tiles - x);
        rows_function(rows, panel.vectors)(scratch + (y - first) * sy * s.pitch + x * stride, s.offsets,
                                           r.weights + panel.first * gemm_lanes * depth, c);
        std::int64_t at = n * blocks_of(plan.outs) * plan.out_plane() + y * width + x;
        store_blocked(r.finish, c, r.bias, rows, panel, {at, plan.out_plane()});
      }
}

class Stem final : public Kernel {
 public:
  Stem(const KernelRequest& request, ConvPlan plan, Fused fused) : plan_(std::move(plan)), fused_(fused) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    strip_ = lay_out(plan_, slots_);
    scratch = strip_.bytes * static_cast<std::size_t>(slots_);
    packed = {false, true, request.has(2)};
    packed.resize(request.in.size(), false);
    bias_ = blocked_bias(request, plan_);
    silu_ = ends_with_silu(request);
    pack(reinterpret_cast<const Half*>(request.constant(1)->data()));
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const Half* x = call.input<Half>(0);
    StemRun r{plan_,
              strip_,
              x,
              x + plan_.batch * plan_.channels * plan_.in_plane(),
              weights_.data(),
              bias_.data(),
              {finish_of<Half>(fused_, call), silu_}};
    each_nearby(call.pool, plan_.batch * strip_.strips, slots_, [&](std::int64_t i, int slot) {
      run_strip(r, i, reinterpret_cast<float*>(call.scratch + static_cast<std::size_t>(slot) * strip_.bytes));
    });
  }

 private:
  void pack(const Half* weight) {
    for (const Panel& panel : strip_.panels)
      for (std::int64_t k = 0; k < plan_.depth(); ++k)
        for (std::int64_t o = panel.first * gemm_lanes; o < (panel.first + panel.vectors) * gemm_lanes; ++o)
          weights_.push_back(o < plan_.outs ? to_float(weight[o * plan_.depth() + k]) : 0);
  }

  ConvPlan plan_;
  Strip strip_;
  Fused fused_;
  int slots_ = 1;
  bool silu_ = false;
  std::vector<float> weights_, bias_;
};

std::unique_ptr<Kernel> make_stem(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes_blocked(request) || request.in[0].shape.size() != 4 || request.has(3)) return nullptr;
  ConvPlan plan = plan_blocked_conv(request, request.attrs.integer("groups"));
  if (plan.groups != 1 || plan.channels > most_channels || plan.stride[2] != stride || plan.in[2] > 1 << 20)
    return nullptr;
  const auto &first = plan.taps.front().offset, &last = plan.taps.back().offset;
  std::int64_t dense = (last[1] - first[1] + 1) * (last[2] - first[2] + 1);
  if (dense != static_cast<std::int64_t>(plan.taps.size()) || first[2] > 0) return nullptr;
  return std::make_unique<Stem>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv_blocked, "conv_blocked_stem", make_stem},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_blocked_stem)
