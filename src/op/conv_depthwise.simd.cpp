// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution on the CPU, one or two dimensions: rows of the padded input, widened once, times
// broadcast weights. Asked before the kernel for all convolutions (op/conv.simd.cpp).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_depthwise.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "op/conv_plan.h"
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
#include "simd/pack.inc"
#include "simd/finish.inc"
#include "op/conv_copy.inc"
// clang-format on
namespace {

constexpr std::size_t most_taps = 128;
constexpr int unroll = 4;

// How a channel's plane lies in scratch: rows from `top` on, each split by position modulo the stride, so
// that every tap of neighbouring outputs reads neighbouring elements.
struct Band {
  std::int64_t top = 0, left = 0;     // of the padding, as distances from the first output's place
  std::int64_t phase = 0, pitch = 0;  // floats of one phase of a row, of a row
  std::int64_t rows = 0;              // of the input that `outputs` rows need
  std::int64_t outputs = 0, bands = 0;
};

Band lay_out(const ConvPlan& plan) {
  Band b;
  std::int64_t bottom = plan.taps[0].offset[1], right = plan.taps[0].offset[2];
  b.top = bottom, b.left = right;
  for (const Tap& tap : plan.taps) {
    b.top = std::min(b.top, tap.offset[1]), bottom = std::max(bottom, tap.offset[1]);
    b.left = std::min(b.left, tap.offset[2]), right = std::max(right, tap.offset[2]);
  }
  std::int64_t s = plan.stride[2], width = (plan.out[2] - 1) * s + right - b.left + 1;
  b.phase = (width + s - 1) / s + unroll * gemm_lanes;  // the last vectors of a row read this far
  b.pitch = b.phase * s;
  constexpr std::int64_t cache = 128 << 10;
  std::int64_t fit = (cache / (b.pitch * 4) - (bottom - b.top)) / plan.stride[1];
  b.outputs = std::clamp<std::int64_t>(fit, 1, std::max<std::int64_t>(1, plan.out[1]));
  b.bands = (plan.out[1] + b.outputs - 1) / b.outputs;
  b.rows = (b.outputs - 1) * plan.stride[1] + bottom - b.top + 1;
  return b;
}

// Row `y` of the input with its padding; y may be outside.
template <class T>
void fill_row(const ConvPlan& plan, const Band& b, Source<T> x, std::int64_t y, float* to) {
  std::int64_t s = plan.stride[2], w = plan.in[2];
  for (std::int64_t phase = 0; phase < s; ++phase, to += b.phase) {
    std::int64_t shift = -b.left - phase;  // padded position of input 0, seen from this phase
    std::int64_t low = shift > 0 ? (shift + s - 1) / s : 0;
    std::int64_t high = w - 1 + shift >= 0 ? (w - 1 + shift) / s + 1 : 0;
    bool inside = y >= 0 && y < plan.in[1];
    low = inside ? std::min(low, b.phase) : b.phase;
    high = std::clamp(high, low, b.phase);
    std::fill_n(to, low, 0.0f);
    copy_piece({static_cast<int>(low), static_cast<int>(high - low), y * w + low * s - shift}, x.data, x.end,
               s, to);
    std::fill_n(to + high, b.phase - high, 0.0f);
  }
}

// One row of outputs: sums over taps of weight times a row of scratch. Whole vectors: out has room for them.
HWY_NOINLINE void sum_row(const float* const* from, const float* weight, std::size_t taps, std::int64_t n,
                          float* out) {
  const hn::ScalableTag<float> d;
  std::int64_t i = 0;
  for (; i + gemm_lanes < n; i += unroll * gemm_lanes) {
    hn::Vec<decltype(d)> sum[unroll];
    HWY_UNROLL(4) for (auto& s : sum) s = hn::Zero(d);
    for (std::size_t t = 0; t < taps; ++t) {
      auto w = hn::Set(d, weight[t]);
      HWY_UNROLL(4)
      for (int u = 0; u < unroll; ++u)
        sum[u] = hn::MulAdd(w, hn::LoadU(d, from[t] + i + u * gemm_lanes), sum[u]);
    }
    HWY_UNROLL(4) for (int u = 0; u < unroll; ++u) hn::StoreU(sum[u], d, out + i + u * gemm_lanes);
  }
  for (; i < n; i += gemm_lanes) {
    auto sum = hn::Zero(d), other = hn::Zero(d);
    std::size_t t = 0;
    for (; t + 2 <= taps; t += 2) {
      sum = hn::MulAdd(hn::Set(d, weight[t]), hn::LoadU(d, from[t] + i), sum);
      other = hn::MulAdd(hn::Set(d, weight[t + 1]), hn::LoadU(d, from[t + 1] + i), other);
    }
    if (t < taps) sum = hn::MulAdd(hn::Set(d, weight[t]), hn::LoadU(d, from[t] + i), sum);
    hn::StoreU(hn::Add(sum, other), d, out + i);
  }
}

template <class T> struct DepthwiseRun {
  const ConvPlan& plan;
  const Band& band;
  const T* x;
  const float* weights;  // [channel][tap]
  const float* bias;
  Finish<T> finish;
};

template <class T> HWY_NOINLINE void run_band(const DepthwiseRun<T>& r, std::int64_t i, float* scratch) {
  const ConvPlan& plan = r.plan;
  const Band& b = r.band;
  std::int64_t ng = i / b.bands, g = ng % plan.groups, first = i % b.bands * b.outputs;
  std::int64_t last = std::min(first + b.outputs, plan.out[1]), width = plan.out[2];
  const T* plane = r.x + ng * plan.in_plane();
  const T* end = r.x + plan.batch * plan.groups * plan.in_plane();
  std::int64_t y0 = first * plan.stride[1] + b.top, rows = (last - 1 - first) * plan.stride[1] + b.rows;
  rows -= (b.outputs - 1) * plan.stride[1];
  float* band = scratch;
  float* sums = scratch + b.rows * b.pitch + pack_slack;
  for (std::int64_t y = 0; y < rows; ++y)
    fill_row(plan, b, Source<T>{plane, end}, y0 + y, band + y * b.pitch);
  std::array<const float*, most_taps> from;
  const Finish<T>& f = r.finish;
  const Finish<T> rest = f.block ? rest_of(f) : f;
  for (std::int64_t o = 0; o < plan.outs; ++o) {
    std::int64_t channel = g * plan.outs + o;
    const float* weight = r.weights + channel * static_cast<std::int64_t>(plan.taps.size());
    for (std::int64_t y = first; y < last; ++y) {
      for (std::size_t t = 0; t < plan.taps.size(); ++t) {
        std::int64_t dx = plan.taps[t].offset[2] - b.left, s = plan.stride[2];
        std::int64_t row = (y - first) * plan.stride[1] + plan.taps[t].offset[1] - b.top;
        from[t] = band + row * b.pitch + dx % s * b.phase + dx / s;
      }
      sum_row(from.data(), weight, plan.taps.size(), width, sums);
      if (f.block) apply_row<false>(sums, r.bias + channel, static_cast<int>(padded_columns(width)), f);
      std::int64_t at = ((ng * plan.outs + o) * plan.out[1] + y) * width;
      finish_run<gemm_lanes, false>(sums, f.block ? no_bias : r.bias + channel, static_cast<int>(width), rest,
                                    at);
    }
  }
}

template <class T> class ConvDepthwise final : public Kernel {
 public:
  ConvDepthwise(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)),
        band_(lay_out(plan_)),
        fused_(fused),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1) {
    std::int64_t sums = plan_.out[2] + unroll * gemm_lanes;
    slot_floats_ =
        static_cast<std::int64_t>(aligned_bytes((band_.rows * band_.pitch + pack_slack + sums) * 4) / 4);
    scratch = static_cast<std::size_t>(slot_floats_ * 4 * slots_);
    std::int64_t channels = plan_.groups * plan_.outs;
    bias_.assign(static_cast<std::size_t>(channels), 0);
    packed = {false, true, request.has(2)};
    packed.resize(request.in.size(), false);
    std::vector<double> weight = to_doubles(*request.constant(1));
    for (std::int64_t c = 0; c < channels; ++c)
      for (const Tap& tap : plan_.taps)
        weights_.push_back(
            static_cast<float>(weight[static_cast<std::size_t>(c * plan_.kernel_volume + tap.weight)]));
    if (request.has(2)) {
      std::vector<double> bias = to_doubles(*request.constant(2));
      std::copy(bias.begin(), bias.end(), bias_.begin());
    }
    flops = 2.0 * static_cast<double>(plan_.batch * channels) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    Finish<T> finish = finish_of<T>(fused_, call);
    DepthwiseRun<T> r{plan_, band_, call.input<T>(0), weights_.data(), bias_.data(), finish};
    float* scratch_floats = reinterpret_cast<float*>(call.scratch);
    std::int64_t bands = plan_.batch * plan_.groups * band_.bands;
    std::int64_t each = 1 + 8192 / (1 + plan_.out[2] * band_.outputs), tasks = (bands + each - 1) / each;
    each_in_slots(call.pool, tasks, slots_, [&](std::int64_t task, int slot) {
      for (std::int64_t i = task * each; i < std::min(bands, (task + 1) * each); ++i)
        run_band(r, i, scratch_floats + slot * slot_floats_);
    });
  }

 private:
  ConvPlan plan_;
  Band band_;
  Fused fused_;
  int slots_;
  std::int64_t slot_floats_ = 0;
  std::vector<float> weights_, bias_;
};

std::unique_ptr<Kernel> make_depthwise(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  auto real = [](DType d) { return d == DType::f16 || d == DType::f32; };
  if (!what || !request.constant(1) || (request.has(2) && !request.constant(2))) return nullptr;
  if (!real(request.in[0].dtype) || request.in[0].dtype != request.out[0].dtype) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  ConvPlan plan =
      plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), request.attrs.integer("groups"));
  bool flat = plan.in[0] == 1 && plan.out[0] == 1 && plan.stride[0] == 1;
  for (const Tap& tap : plan.taps) flat = flat && tap.offset[0] == 0;
  bool fits = plan.channels == 1 && plan.groups > 1 && plan.outs >= 1 && plan.outs <= 4 &&
              plan.taps.size() <= most_taps;
  if (!flat || !fits || plan.out[2] > 1 << 24 || plan.in[2] > 1 << 24 || plan.out_plane() == 0 ||
      plan.in_plane() == 0)
    return nullptr;
  if (request.in[0].dtype == DType::f16)
    return std::make_unique<ConvDepthwise<Half>>(request, std::move(plan), *what);
  return std::make_unique<ConvDepthwise<float>>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_depthwise", make_depthwise},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_depthwise)
