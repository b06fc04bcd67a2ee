// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution on the CPU, one or two dimensions: the padded input, widened once, as one long row,
// times broadcast weights. Asked before the kernel for all convolutions (op/conv.simd.cpp).
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
constexpr int unroll = 8;
constexpr std::int64_t slack = unroll * gemm_lanes;  // the last vectors of a plane read and write this far

// How a channel's plane lies in scratch: widened, with its padding, split by position modulo the strides into
// subplanes, so that all is of stride 1; a row ends where the next one begins, so that one long row of
// vectors gives all sums. Padding right of a row and left of the next one is shared.
struct Band {
  std::int64_t top = 0, left = 0;  // of the padding, as distances from the first output's place
  std::int64_t pitch = 0;          // floats of a row
  std::int64_t subplane = 0;       // floats of a subplane
  std::int64_t halo = 0;           // rows of the input that one row of outputs needs
  std::int64_t outputs = 0, bands = 0;
  std::vector<std::int64_t> offsets = {};  // per tap: where it reads for output 0

  std::int64_t rows(std::int64_t outs, std::int64_t stride) const { return (outs - 1) * stride + halo; }
};

// Elements of a row of the input that belong to one phase: their first place in scratch, and how many.
struct Phase {
  std::int64_t low = 0, count = 0, from = 0;
};

Phase phase_of(std::int64_t left, std::int64_t stride, std::int64_t in, std::int64_t phase) {
  std::int64_t shift = -left - phase;  // padded position of input 0, seen from this phase
  Phase p;
  p.low = shift > 0 ? (shift + stride - 1) / stride : 0;
  std::int64_t high = in - 1 + shift >= 0 ? (in - 1 + shift) / stride + 1 : 0;
  p.count = std::max<std::int64_t>(0, high - p.low);
  p.from = p.low * stride - shift;
  return p;
}

// The shortest pitch for which what a row's last outputs read beyond it is zero in the next one.
std::int64_t pitch_of(const ConvPlan& plan, const Band& b, std::int64_t right) {
  std::int64_t s = plan.stride[2], needed = plan.out[2] + (right - b.left) / s, pitch = plan.out[2];
  for (std::int64_t phase = 0; phase < std::min(s, right - b.left + 1); ++phase) {
    Phase p = phase_of(b.left, s, plan.in[2], phase);
    std::int64_t end = std::min(p.low + p.count, needed);
    pitch = std::max({pitch, end, needed - p.low});
  }
  return pitch;
}

Band lay_out(const ConvPlan& plan) {
  Band b;
  std::int64_t bottom = plan.taps[0].offset[1], right = plan.taps[0].offset[2];
  b.top = bottom, b.left = right;
  for (const Tap& tap : plan.taps) {
    b.top = std::min(b.top, tap.offset[1]), bottom = std::max(bottom, tap.offset[1]);
    b.left = std::min(b.left, tap.offset[2]), right = std::max(right, tap.offset[2]);
  }
  b.halo = bottom - b.top + 1;
  b.pitch = pitch_of(plan, b, right);
  constexpr std::int64_t cache = 40 << 10;
  std::int64_t sy = plan.stride[1], sx = plan.stride[2];
  std::int64_t fit = (cache / (b.pitch * sx * 4) - b.halo) / sy;
  b.outputs = std::clamp<std::int64_t>(fit, std::min(b.halo, plan.out[1]), plan.out[1]);
  b.bands = (plan.out[1] + b.outputs - 1) / b.outputs;
  b.outputs = (plan.out[1] + b.bands - 1) / b.bands;
  b.subplane = ((b.rows(b.outputs, sy) + sy - 1) / sy + 1) * b.pitch + slack + 2 * pack_slack;
  for (const Tap& tap : plan.taps) {
    std::int64_t dy = tap.offset[1] - b.top, dx = tap.offset[2] - b.left;
    b.offsets.push_back((dy % sy * sx + dx % sx) * b.subplane + dy / sy * b.pitch + dx / sx);
  }
  return b;
}

HWY_INLINE void zero_row(float* to, std::int64_t n) {  // writes whole vectors
  const hn::ScalableTag<float> d;
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
}

// `rows` rows of the input from row y0 on, which may be outside, each with its padding. What is written past
// the end of a row is overwritten by the next one.
template <class T>
HWY_NOINLINE void fill_band(const ConvPlan& plan, const Band& b, Source<T> x, std::int64_t y0,
                            std::int64_t rows, float* to) {
  std::int64_t sy = plan.stride[1], sx = plan.stride[2];
  for (std::int64_t phase = 0; phase < sx; ++phase) {
    Phase p = phase_of(b.left, sx, plan.in[2], phase);
    p.low = std::min(p.low, b.pitch), p.count = std::min(p.count, b.pitch - p.low);
    std::int64_t gap = b.pitch - p.count;  // up to the next row's first element
    for (std::int64_t sub = 0; sub < sy; ++sub) zero_row(to + (sub * sx + phase) * b.subplane, p.low);
    std::int64_t sub = 0, line = p.low;
    for (std::int64_t r = 0; r < rows; ++r) {
      float* row = to + (sub * sx + phase) * b.subplane + line;
      if (++sub == sy) sub = 0, line += b.pitch;
      std::int64_t y = y0 + r;
      if (y < 0 || y >= plan.in[1]) {
        zero_row(row, b.pitch);
        continue;
      }
      copy_piece({0, static_cast<int>(p.count), y * plan.in[2] + p.from}, x.data, x.end, sx, row);
      zero_row(row + p.count, gap);
    }
  }
}

template <int U>
HWY_INLINE void sum_vectors(const float* x, const std::int64_t* offsets, const float* weight,
                            std::size_t taps, float* out) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[U];
  HWY_UNROLL(8) for (auto& s : sum) s = hn::Zero(d);
  for (std::size_t t = 0; t < taps; ++t) {
    auto w = hn::Set(d, weight[t]);
    const float* from = x + offsets[t];
    HWY_UNROLL(8)
    for (int u = 0; u < U; ++u) sum[u] = hn::MulAdd(w, hn::LoadU(d, from + u * gemm_lanes), sum[u]);
  }
  HWY_UNROLL(8) for (int u = 0; u < U; ++u) hn::StoreU(sum[u], d, out + u * gemm_lanes);
}

// n sums over taps of weight times what lies `offsets` further. Whole vectors: out has room for them.
HWY_NOINLINE void sum_band(const float* x, const Band& b, const float* weight, std::int64_t n, float* out) {
  const std::int64_t* offsets = b.offsets.data();
  std::size_t taps = b.offsets.size();
  std::int64_t i = 0;
  for (; i + (unroll - 1) * gemm_lanes < n; i += unroll * gemm_lanes)
    sum_vectors<unroll>(x + i, offsets, weight, taps, out + i);
  std::int64_t left = (n - i + gemm_lanes - 1) / gemm_lanes;
  if (left >= 4) sum_vectors<4>(x + i, offsets, weight, taps, out + i), i += 4 * gemm_lanes, left -= 4;
  if (left == 3) sum_vectors<3>(x + i, offsets, weight, taps, out + i);
  else if (left == 2) sum_vectors<2>(x + i, offsets, weight, taps, out + i);
  else if (left == 1) sum_vectors<1>(x + i, offsets, weight, taps, out + i);
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
  if (first >= last) return;
  const T* plane = r.x + ng * plan.in_plane();
  const T* end = r.x + plan.batch * plan.groups * plan.in_plane();
  float* sums = scratch + plan.stride[1] * plan.stride[2] * b.subplane;
  fill_band(plan, b, Source<T>{plane, end}, first * plan.stride[1] + b.top,
            b.rows(last - first, plan.stride[1]), scratch);
  const Finish<T>& f = r.finish;
  const Finish<T> rest = f.block ? rest_of(f) : f;
  std::int64_t n = (last - first - 1) * b.pitch + width;
  for (std::int64_t o = 0; o < plan.outs; ++o) {
    std::int64_t channel = g * plan.outs + o;
    sum_band(scratch, b, r.weights + channel * static_cast<std::int64_t>(plan.taps.size()), n, sums);
    if (f.block) apply_row<false>(sums, r.bias + channel, static_cast<int>(padded_columns(n)), f);
    const float* bias = f.block ? no_bias : r.bias + channel;
    std::int64_t at = ((ng * plan.outs + o) * plan.out[1] + first) * width;
    const float* from = sums;
    for (std::int64_t y = first; y < last; ++y, from += b.pitch, at += width)
      finish_run<gemm_lanes, false>(from, bias, static_cast<int>(width), rest, at);
  }
}

template <class T> class ConvDepthwise final : public Kernel {
 public:
  ConvDepthwise(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)),
        band_(lay_out(plan_)),
        fused_(fused),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1) {
    std::int64_t floats =
        plan_.stride[1] * plan_.stride[2] * band_.subplane + band_.outputs * band_.pitch + slack;
    slot_floats_ = static_cast<std::int64_t>(aligned_bytes(floats * 4) / 4);
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
