// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over images in blocks of channels: a vector holds channels of one pixel, so that
// strides and narrow planes cost nothing. Rows are widened and padded in bands that stay in a cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_blocked_depthwise.simd.cpp"
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
#include "simd/finish.inc"
#include "op/conv_blocked.inc"
// clang-format on
namespace {

constexpr int unroll = 8;

struct Band {
  std::int64_t top = 0, left = 0;       // of the padding, as distances from the first output's place
  std::int64_t pitch = 0, halo = 0;     // floats of a padded row; rows of the input that one of outputs needs
  std::int64_t outputs = 0, bands = 0;  // rows of outputs in a band
  std::vector<std::int64_t> offsets = {};  // per tap
  std::size_t rows = 0, sums = 0;          // bytes of scratch
};

Band lay_out(const ConvPlan& plan, int slots) {
  constexpr std::int64_t cache = 64 << 10;
  Band b;
  std::int64_t bottom = plan.taps[0].offset[1], right = plan.taps[0].offset[2];
  b.top = bottom, b.left = right;
  for (const Tap& tap : plan.taps) {
    b.top = std::min(b.top, tap.offset[1]), bottom = std::max(bottom, tap.offset[1]);
    b.left = std::min(b.left, tap.offset[2]), right = std::max(right, tap.offset[2]);
  }
  b.halo = bottom - b.top + 1;
  b.pitch = ((plan.out[2] - 1) * plan.stride[2] + right - b.left + 1) * channel_block;
  std::int64_t fit = (cache / (b.pitch * 4) - b.halo) / plan.stride[1];
  b.outputs = std::clamp<std::int64_t>(fit, std::min<std::int64_t>(4, plan.out[1]), plan.out[1]);
  b.bands = parts_of(plan.out[1], b.outputs);
  if (b.bands > 1 || plan.out_plane() >= 48 * slots)  // as the convolutions around it are cut
    b.bands = std::min(plan.out[1], parts_of(b.bands, slots) * slots);
  b.outputs = parts_of(plan.out[1], b.bands);
  for (const Tap& tap : plan.taps)
    b.offsets.push_back((tap.offset[1] - b.top) * b.pitch + (tap.offset[2] - b.left) * channel_block);
  b.rows = aligned_bytes(((b.outputs - 1) * plan.stride[1] + b.halo) * b.pitch * 4);
  b.sums = aligned_bytes(plan.out[2] * channel_block * 4);
  return b;
}

struct DepthwiseRun {
  const ConvPlan& plan;
  const Band& band;
  const Half* x;
  const float* weights;  // [block of channels][tap][16]
  const float* bias;
  BlockedFinish finish;
};

HWY_INLINE void zero(float* to, std::int64_t n) {
  const hn::ScalableTag<float> d;
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
}

// Rows of the input from y on, which may be outside, widened, each with its padding.
HWY_NOINLINE void fill_band(const ConvPlan& plan, const Band& b, const Half* x, std::int64_t y,
                            std::int64_t rows, float* to) {
  const hn::ScalableTag<float> d;
  std::int64_t before = std::min(-b.left * channel_block, b.pitch), width = plan.in[2] * channel_block;
  std::int64_t count = std::min(width, b.pitch - before);
  for (std::int64_t end = y + rows; y < end; ++y, to += b.pitch) {
    if (y < 0 || y >= plan.in[1]) {
      zero(to, b.pitch);
      continue;
    }
    zero(to, before);
    const Half* from = x + y * width;
    for (std::int64_t i = 0; i < count; i += gemm_lanes)
      hn::StoreU(load_wide(d, from + i), d, to + before + i);
    zero(to + before + count, b.pitch - before - count);
  }
}

template <int U>
HWY_INLINE void sum_pixels(const float* x, const Band& b, std::int64_t step, const float* weight,
                           float* out) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[U];
  HWY_UNROLL(8) for (auto& s : sum) s = hn::Zero(d);
  for (std::size_t t = 0; t < b.offsets.size(); ++t) {
    auto w = hn::LoadU(d, weight + t * channel_block);
    const float* from = x + b.offsets[t];
    HWY_UNROLL(8) for (int u = 0; u < U; ++u) sum[u] = hn::MulAdd(w, hn::LoadU(d, from + u * step), sum[u]);
  }
  HWY_UNROLL(8) for (int u = 0; u < U; ++u) hn::StoreU(sum[u], d, out + u * channel_block);
}

// A row of outputs.
HWY_INLINE void sum_row(const float* x, const Band& b, std::int64_t step, const float* weight, std::int64_t n,
                        float* out) {
  for (int v = 0; v < channel_block;
       v += gemm_lanes, x += gemm_lanes, weight += gemm_lanes, out += gemm_lanes) {
    std::int64_t i = 0;
    auto many = [&](auto count) HWY_ATTR {
      constexpr int U = decltype(count)::value;
      sum_pixels<U>(x + i * step, b, step, weight, out + i * channel_block);
      i += U;
    };
    while (n - i >= unroll) many(std::integral_constant<int, unroll>());
    if (n - i >= 4) many(std::integral_constant<int, 4>());
    if (n - i == 3) many(std::integral_constant<int, 3>());
    else if (n - i == 2) many(std::integral_constant<int, 2>());
    else if (n - i == 1) many(std::integral_constant<int, 1>());
  }
}

HWY_NOINLINE void run_band(const DepthwiseRun& r, std::int64_t i, std::byte* scratch) {
  const ConvPlan& plan = r.plan;
  const Band& b = r.band;
  std::int64_t blocks = blocks_of(plan.groups), block = i % blocks, band = i / blocks % b.bands,
               n = i / blocks / b.bands;
  std::int64_t first = plan.out[1] * band / b.bands, last = plan.out[1] * (band + 1) / b.bands;
  float* rows = reinterpret_cast<float*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + b.rows);
  std::int64_t sy = plan.stride[1], width = plan.out[2];
  fill_band(plan, b, r.x + (n * blocks + block) * plan.in_plane() * channel_block, first * sy + b.top,
            (last - first - 1) * sy + b.halo, rows);
  const float* weights = r.weights + block * static_cast<std::int64_t>(plan.taps.size()) * channel_block;
  Panel panel{block * (channel_block / gemm_lanes), channel_block / gemm_lanes};
  for (std::int64_t y = first; y < last; ++y) {
    sum_row(rows + (y - first) * sy * b.pitch, b, plan.stride[2] * channel_block, weights, width, sums);
    store_blocked(r.finish, sums, r.bias, static_cast<int>(width), panel,
                  {n * blocks * plan.out_plane() + y * width, plan.out_plane()});
  }
}

class DepthwiseBlocked final : public Kernel {
 public:
  DepthwiseBlocked(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)), fused_(fused) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    band_ = lay_out(plan_, slots_);
    slot_bytes_ = slot_bytes(band_.rows + band_.sums);
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    packed = {false, true, request.has(2)};
    packed.resize(request.in.size(), false);
    bias_ = blocked_bias(request, plan_);
    silu_ = ends_with_silu(request);
    pack(reinterpret_cast<const Half*>(request.constant(1)->data()));
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.groups) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    DepthwiseRun r{plan_,           band_,        call.input<Half>(0),
                   weights_.data(), bias_.data(), {finish_of<Half>(fused_, call), silu_}};
    each_nearby(call.pool, plan_.batch * band_.bands * blocks_of(plan_.groups), slots_,
                [&](std::int64_t i, int slot) {
                  run_band(r, i, call.scratch + static_cast<std::size_t>(slot) * slot_bytes_);
                });
  }

 private:
  void pack(const Half* weight) {
    auto taps = static_cast<std::int64_t>(plan_.taps.size());
    weights_.assign(static_cast<std::size_t>(blocks_of(plan_.groups) * channel_block * taps), 0);
    for (std::int64_t c = 0; c < plan_.groups; ++c)
      for (std::int64_t t = 0; t < taps; ++t)
        weights_[static_cast<std::size_t>((c / channel_block * taps + t) * channel_block +
                                          c % channel_block)] =
            to_float(weight[c * plan_.kernel_volume + plan_.taps[static_cast<std::size_t>(t)].weight]);
  }

  ConvPlan plan_;
  Band band_;
  Fused fused_;
  int slots_ = 1;
  bool silu_ = false;
  std::size_t slot_bytes_ = 0;
  std::vector<float> weights_, bias_;
};

std::unique_ptr<Kernel> make_depthwise(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes_blocked(request) || request.in[0].shape.size() != 5 || request.has(3)) return nullptr;
  ConvPlan plan = plan_blocked_conv(request, request.attrs.integer("groups"));
  if (!plan.depthwise() || plan.groups == 1 || plan.in[0] != 1 || plan.taps[0].offset[2] > 0) return nullptr;
  return std::make_unique<DepthwiseBlocked>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv_blocked, "conv_blocked_depthwise", make_depthwise},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_blocked_depthwise)
