// SPDX-License-Identifier: Apache-2.0
// Convolution by windows of 3 x 3 without strides with a quarter of the multiplications: Winograd's
// F(4 x 4, 3 x 3) in fp32, for fp16 data: its error is far below their rounding. Inputs in overlapping tiles
// of 6 x 6 and weights are transformed, 36 matrix products follow, and their results are transformed back to
// tiles of 4 x 4. Asked before the kernel for all convolutions (op/conv.simd.cpp).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_winograd.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <utility>

#include "op/conv_panels.h"
#include "op/conv_plan.h"
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
#include "simd/pack.inc"
#include "simd/finish.inc"

#include "op/codes_decode.inc"

#include "op/conv_decode.inc"
// clang-format on
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr std::int64_t span =
    gemm_lanes - 1;  // tiles that a vector transforms: its last lane lacks a neighbour
constexpr std::int64_t side = 6, products = side * side, step = 4;

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }
std::int64_t rounded_up(std::int64_t n, std::int64_t to) { return parts_of(n, to) * to; }

// How the plane is cut: tiles in rows, some rows of tiles at a time (a strip), so that what is transformed
// stays in a cache; the output channels in groups of nearly the same number.
struct Cut {
  std::int64_t wide = 0, high = 0;       // tiles of the plane
  std::int64_t strip = 0;                // rows of tiles at a time
  std::int64_t tiles = 0;                // room for those of a strip
  std::int64_t chunks = 0;               // vectors of a row of tiles
  std::int64_t pitch = 0, rows = 0;      // of a strip of the padded input
  std::int64_t groups = 0;               // of output channels
  std::size_t transformed = 0, own = 0;  // bytes of scratch: of all, of each slot

  std::int64_t plane_floats() const { return rounded_up(rows * pitch + 5 * gemm_lanes, 16); }
  std::int64_t turned_floats() const { return rows * chunks * side * gemm_lanes; }
};

Cut cut_work(const ConvPlan& plan) {
  constexpr std::int64_t cache = 3 << 20;
  Cut cut;
  cut.wide = parts_of(plan.out[2], step), cut.high = parts_of(plan.out[1], step);
  std::int64_t row_bytes = products * plan.channels * cut.wide * 4;
  cut.strip = std::clamp<std::int64_t>(cache / row_bytes, 1, cut.high);
  cut.strip = parts_of(cut.high, parts_of(cut.high, cut.strip));
  cut.tiles = rounded_up((cut.strip - 1) * cut.wide + rounded_up(cut.wide, span) + 1, gemm_lanes);
  cut.chunks = parts_of(cut.wide, span);
  cut.rows = cut.strip * step + 2;
  cut.pitch = cut.wide * step + 2;
  cut.groups = parts_of(plan.outs, tile_rows);
  cut.transformed = aligned_bytes(products * plan.channels * cut.tiles * 4);
  std::int64_t input = cut.plane_floats() + cut.turned_floats();
  std::int64_t output = products * tile_rows * tile_columns + 2 * 16 * tile_columns;
  cut.own = aligned_bytes(std::max(input, output) * 4);
  return cut;
}

std::int64_t first_out(const Cut& cut, std::int64_t outs, std::int64_t group) {
  return outs * group / cut.groups;
}

struct WinogradRun {
  const ConvPlan& plan;
  const Cut& cut;
  const Half* x;  // of one element of the batch
  const Half* end;
  const float* weights;  // [group of outs][product][channel][outs of the group]
  const float* bias;
  Finish<Half> finish;
  float* transformed;                 // [product][channel][tile]
  const CodePanels* codes = nullptr;  // instead of weights
  std::int64_t first = 0, high = 0;   // rows of tiles of this strip
  std::int64_t out = 0;               // where the output of this element begins
};

#include "op/conv_winograd_weight.inc"

// ---- one dimension of the transforms

HWY_INLINE void transform_six(const V (&x)[6], V (&y)[6]) {
  V four = hn::Set(d, 4), five = hn::Set(d, 5), two = hn::Set(d, 2);
  V a = hn::NegMulAdd(four, x[2], x[4]), b = hn::NegMulAdd(four, x[1], x[3]);
  V e = hn::Sub(x[4], x[2]), f = hn::Mul(two, hn::Sub(x[3], x[1]));
  y[0] = hn::MulAdd(four, x[0], hn::NegMulAdd(five, x[2], x[4]));
  y[1] = hn::Add(a, b), y[2] = hn::Sub(a, b);
  y[3] = hn::Add(e, f), y[4] = hn::Sub(e, f);
  y[5] = hn::MulAdd(four, x[1], hn::NegMulAdd(five, x[3], x[5]));
}

HWY_INLINE void transform_back(const V (&x)[6], V (&y)[4]) {
  V a = hn::Add(x[1], x[2]), b = hn::Sub(x[1], x[2]), e = hn::Add(x[3], x[4]), f = hn::Sub(x[3], x[4]);
  y[0] = hn::Add(hn::Add(x[0], a), e);
  y[1] = hn::MulAdd(hn::Set(d, 2), f, b);
  y[2] = hn::MulAdd(hn::Set(d, 4), e, a);
  y[3] = hn::Add(hn::MulAdd(hn::Set(d, 8), f, b), x[5]);
}

// ---- the input

HWY_INLINE void zero_row(float* to, std::int64_t n) {  // writes whole vectors
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
}

// The rows of a strip of one channel, widened and padded. What is written past a row the next one overwrites.
HWY_INLINE void fill_strip(const WinogradRun& r, const Half* plane, float* to) {
  const Cut& cut = r.cut;
  std::int64_t height = r.plan.in[1], width = r.plan.in[2];
  std::int64_t top = r.plan.taps[0].offset[1], left = -r.plan.taps[0].offset[2];
  std::int64_t count = std::min(width, cut.pitch - left);
  for (std::int64_t row = 0; row < cut.rows; ++row, to += cut.pitch) {
    std::int64_t y = r.first * step + row + top;
    if (y < 0 || y >= height) {
      zero_row(to, cut.pitch);
      continue;
    }
    zero_row(to, left);
    copy_row(plane + y * width, r.end, static_cast<int>(count), to + left);
    zero_row(to + left + count, cut.pitch - left - count);
  }
  zero_row(to, 5 * gemm_lanes - gemm_lanes);
}

// Rows of tiles transformed along the rows: to[row][chunk][6][lane]. False if a value is not finite.
HWY_INLINE bool transform_rows(const Cut& cut, const float* from, float* to) {
  alignas(64) std::int32_t next[gemm_lanes];
  for (int i = 0; i < gemm_lanes; ++i) next[i] = std::min(i + 1, gemm_lanes - 1);
  const auto after = hn::SetTableIndices(d, next);
  V odd = hn::Zero(d), zero = hn::Zero(d);
  for (std::int64_t row = 0; row < cut.rows; ++row, from += cut.pitch)
    for (std::int64_t chunk = 0; chunk < cut.chunks; ++chunk, to += side * gemm_lanes) {
      const float* at = from + chunk * span * step;
      V a = hn::LoadU(d, at), b = hn::LoadU(d, at + gemm_lanes), c = hn::LoadU(d, at + 2 * gemm_lanes),
        e = hn::LoadU(d, at + 3 * gemm_lanes);
      V even0 = hn::ConcatEven(d, b, a), even1 = hn::ConcatEven(d, e, c), odd0 = hn::ConcatOdd(d, b, a),
        odd1 = hn::ConcatOdd(d, e, c);
      V x[6] = {hn::ConcatEven(d, even1, even0), hn::ConcatEven(d, odd1, odd0),
                hn::ConcatOdd(d, even1, even0), hn::ConcatOdd(d, odd1, odd0)};
      odd = hn::MulAdd(hn::Add(hn::Add(x[0], x[1]), hn::Add(x[2], x[3])), zero, odd);
      x[4] = hn::TableLookupLanes(x[0], after), x[5] = hn::TableLookupLanes(x[1], after);
      V y[6];
      transform_six(x, y);
      for (int i = 0; i < 6; ++i) hn::Store(y[i], d, to + i * gemm_lanes);
    }
  return hn::AllTrue(d, hn::Eq(odd, odd));
}

// And along the columns, to r.transformed. Lanes beyond the row of tiles are overwritten by the next row.
HWY_INLINE void transform_columns(const WinogradRun& r, std::int64_t channel, const float* from) {
  const Cut& cut = r.cut;
  std::int64_t row = cut.chunks * side * gemm_lanes, product = r.plan.channels * cut.tiles;
  for (std::int64_t ty = 0; ty < r.high; ++ty)
    for (std::int64_t chunk = 0; chunk < cut.chunks; ++chunk) {
      float* to = r.transformed + channel * cut.tiles + ty * cut.wide + chunk * span;
      for (std::int64_t j = 0; j < side; ++j) {
        const float* at = from + ty * step * row + (chunk * side + j) * gemm_lanes;
        V x[6], y[6];
        for (int i = 0; i < 6; ++i) x[i] = hn::Load(d, at + i * row);
        transform_six(x, y);
        for (int i = 0; i < 6; ++i) hn::StoreU(y[i], d, to + (i * side + j) * product);
      }
    }
}

HWY_NOINLINE bool transform_channel(const WinogradRun& r, std::int64_t channel, float* scratch) {
  float* turned = scratch + r.cut.plane_floats();
  fill_strip(r, r.x + channel * r.plan.in_plane(), scratch);
  bool finite = transform_rows(r.cut, scratch, turned);
  transform_columns(r, channel, turned);
  return finite;
}

// ---- the output

// from[product][lanes of a panel] of one channel to tiles of 4 x 4: to[4][4][tile_columns].
HWY_INLINE void transform_tiles(const float* from, std::int64_t product, int width, float* to) {
  for (int v = 0; v < width; v += gemm_lanes) {
    V half[4][6];
    for (int j = 0; j < 6; ++j) {
      V x[6], y[4];
      for (int i = 0; i < 6; ++i) x[i] = hn::LoadU(d, from + (i * side + j) * product + v);
      transform_back(x, y);
      for (int i = 0; i < 4; ++i) half[i][j] = y[i];
    }
    for (int i = 0; i < 4; ++i) {
      V y[4];
      transform_back(half[i], y);
      for (int j = 0; j < 4; ++j) hn::StoreU(y[j], d, to + (i * step + j) * tile_columns + v);
    }
  }
}

// Rows of the plane out of the tiles of a panel, finished.
HWY_INLINE void store_tiles(const WinogradRun& r, const float* tiles, std::int64_t first, std::int64_t count,
                            std::int64_t channel) {
  const hn::Full128<float> four;
  alignas(64) float row[step * tile_columns + 16];
  std::int64_t height = r.plan.out[1], width = r.plan.out[2];
  for (std::int64_t t = 0, n; t < count; t += n) {
    std::int64_t ty = (first + t) / r.cut.wide, tx = (first + t) % r.cut.wide;
    n = std::min(count - t, r.cut.wide - tx);
    int length = static_cast<int>(std::min(n * step, width - tx * step));
    for (std::int64_t i = 0; i < step; ++i) {
      std::int64_t y = (r.first + ty) * step + i;
      if (y >= height) break;
      const float* from = tiles + i * step * tile_columns + t;
      for (std::int64_t k = 0; k < n; k += 4) {
        hn::Vec<decltype(four)> v[4];
        for (int j = 0; j < 4; ++j) v[j] = hn::LoadU(four, from + j * tile_columns + k);
        turn_four(four, v);
        for (int j = 0; j < 4; ++j) hn::StoreU(v[j], four, row + (k + j) * step);
      }
      std::int64_t at = r.out + (channel * height + y) * width + tx * step;
      const float* bias = r.bias + channel;
      if (r.finish.block) {
        apply_row<false>(row, bias, static_cast<int>(padded_columns(length)), r.finish);
        finish_run<gemm_lanes, false>(row, no_bias, length, rest_of(r.finish), at);
      } else {
        finish_run<gemm_lanes, false>(row, bias, length, r.finish, at);
      }
    }
  }
}

// One panel of tiles of one group of output channels, whose weights are given.
HWY_NOINLINE void run_panel(const WinogradRun& r, std::int64_t panel, std::int64_t group,
                            const GroupWeights& weights, float* scratch) {
  const Cut& cut = r.cut;
  std::int64_t channels = r.plan.channels, first = panel * tile_columns, left = r.high * cut.wide - first;
  int width = left > gemm_lanes ? tile_columns : gemm_lanes;
  std::int64_t out = first_out(cut, r.plan.outs, group);
  int rows = static_cast<int>(first_out(cut, r.plan.outs, group + 1) - out);
  constexpr std::int64_t product = tile_rows * tile_columns;
  for (std::int64_t i = 0; i < products; ++i)
    tile_function<float>(rows, width)(weights.first + i * weights.step,
                                      r.transformed + i * channels * cut.tiles + first, channels, cut.tiles,
                                      scratch + i * product);
  float* tiles = scratch + products * product;
  for (int o = 0; o < rows; ++o) {
    transform_tiles(scratch + o * tile_columns, product, width, tiles);
    store_tiles(r, tiles, first, std::min<std::int64_t>(left, tile_columns), out + o);
  }
}

// ---- what is not finite would spread over a tile: then each output is summed on its own

template <class At>  // a weight by input channel and tap
HWY_NOINLINE void run_directly(const WinogradRun& r, const At& weight, std::int64_t channel, float* scratch) {
  const ConvPlan& plan = r.plan;
  std::int64_t width = plan.in[2], left = -plan.taps[0].offset[2], out = plan.out[2];
  std::int64_t room = rounded_up(left + std::max(width, out + 2), gemm_lanes) + 4 * gemm_lanes;
  float *row = scratch, *sums = scratch + room;
  for (std::int64_t y = 0; y < plan.out[1]; ++y) {
    zero_row(sums, out);
    for (std::int64_t c = 0; c < plan.channels; ++c)
      for (std::int64_t k = 0; k < 3; ++k) {
        std::int64_t from = y + k + plan.taps[0].offset[1];
        if (from < 0 || from >= plan.in[1]) continue;
        zero_row(row, room - gemm_lanes);
        copy_row(r.x + (c * plan.in[1] + from) * width, r.end, static_cast<int>(width), row + left);
        zero_row(row + left + width, 2 * gemm_lanes);
        for (std::int64_t t = 0; t < 3; ++t) {
          V w = hn::Set(d, weight(c, k * 3 + t));
          for (std::int64_t i = 0; i < out; i += gemm_lanes)
            hn::StoreU(hn::MulAdd(w, hn::LoadU(d, row + i + t), hn::LoadU(d, sums + i)), d, sums + i);
        }
      }
    std::int64_t at = r.out + (channel * plan.out[1] + y) * out;
    if (r.finish.block)
      apply_row<false>(sums, r.bias + channel, static_cast<int>(padded_columns(out)), r.finish);
    finish_run<gemm_lanes, false>(sums, r.finish.block ? no_bias : r.bias + channel, static_cast<int>(out),
                                  r.finish.block ? rest_of(r.finish) : r.finish, at);
  }
}

// ---- the kernel

std::string form_of(const ConvPlan& plan, const Cut& cut) {
  return weight_form("conv_winograd", plan) + std::to_string(cut.groups);
}
std::size_t packed_bytes(const ConvPlan& plan) {
  return static_cast<std::size_t>(products * plan.channels * plan.outs) * sizeof(float);
}

class Winograd final : public Kernel {
 public:
  Winograd(const KernelRequest& request, ConvPlan plan, Fused fused, std::optional<CodePanels> codes)
      : plan_(std::move(plan)), cut_(cut_work(plan_)), fused_(fused), codes_(std::move(codes)) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    std::int64_t direct = 2 * (plan_.in[2] + plan_.out[2] + 64 + 8 * gemm_lanes);
    cut_.own = std::max(cut_.own, aligned_bytes(direct * 4));
    if (codes_) weights_at_ = cut_.own, cut_.own += group_bytes(plan_.channels);
    scratch = cut_.transformed + cut_.own * static_cast<std::size_t>(slots_);
    if (!codes_) take_weights(request);
    bias_.assign(static_cast<std::size_t>(plan_.outs), 0);
    if (request.has(2)) {
      std::vector<double> bias = to_doubles(*request.constant(2));
      std::copy(bias.begin(), bias.end(), bias_.begin());
    }
    packed.assign(request.in.size(), false);
    packed[1] = codes_.has_value();
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const Half* x = call.input<Half>(0);
    std::int64_t size = plan_.channels * plan_.in_plane();
    WinogradRun r{plan_,
                  cut_,
                  x,
                  x + plan_.batch * size,
                  codes_ ? nullptr : reinterpret_cast<const float*>(weights_->data()),
                  bias_.data(),
                  finish_of<Half>(fused_, call),
                  reinterpret_cast<float*>(call.scratch)};
    if (codes_) r.codes = &*codes_;
    for (std::int64_t n = 0; n < plan_.batch; ++n, r.x += size, r.out += plan_.outs * plan_.out_plane()) {
      bool finite = true;
      for (r.first = 0; finite && r.first < cut_.high; r.first += cut_.strip) {
        r.high = std::min(cut_.strip, cut_.high - r.first);
        finite = run_strip(r, call);
      }
      if (!finite) run_slowly(r, call);
    }
  }

 private:
  float* own(const KernelCall& call, int slot) const {
    return reinterpret_cast<float*>(call.scratch + cut_.transformed +
                                    cut_.own * static_cast<std::size_t>(slot));
  }

  float* room(const KernelCall& call, int slot) const {  // of a group's weights
    return own(call, slot) + weights_at_ / sizeof(float);
  }

  // A task is a group and some panels: its weights are decoded once.
  void run_groups(const WinogradRun& r, std::int64_t panels, const KernelCall& call) const {
    std::int64_t chunks =
        codes_ ? std::clamp<std::int64_t>(parts_of(4 * slots_, cut_.groups), 1, panels) : panels;
    each_in_slots(call.pool, chunks * cut_.groups, slots_, [&](std::int64_t i, int slot) {
      std::int64_t chunk = i / cut_.groups, group = i % cut_.groups;
      GroupWeights weights = weights_of(r, group, codes_ ? room(call, slot) : nullptr);
      for (std::int64_t panel = panels * chunk / chunks; panel < panels * (chunk + 1) / chunks; ++panel)
        run_panel(r, panel, group, weights, own(call, slot));
    });
  }

  bool run_strip(const WinogradRun& r, const KernelCall& call) const {
    std::atomic<bool> finite{true};
    std::int64_t each = parts_of(plan_.channels, 8 * slots_);
    each_in_slots(call.pool, parts_of(plan_.channels, each), slots_, [&](std::int64_t i, int slot) {
      for (std::int64_t c = i * each; c < std::min(plan_.channels, (i + 1) * each); ++c)
        if (!transform_channel(r, c, own(call, slot))) finite.store(false, std::memory_order_relaxed);
    });
    if (!finite) return false;
    run_groups(r, parts_of(r.high * cut_.wide, tile_columns), call);
    return true;
  }

  void run_slowly(const WinogradRun& r, const KernelCall& call) const {
    if (codes_) return run_codes_slowly(r, call);
    const Half* weight = call.input<Half>(1);
    each_in_slots(call.pool, plan_.outs, slots_, [&](std::int64_t channel, int slot) {
      const Half* own_weight = weight + channel * plan_.channels * 9;
      run_directly(
          r, [&](std::int64_t c, std::int64_t tap) { return to_float(own_weight[c * 9 + tap]); }, channel,
          own(call, slot));
    });
  }

  void run_codes_slowly(const WinogradRun& r, const KernelCall& call) const {
    each_in_slots(call.pool, cut_.groups, slots_, [&](std::int64_t group, int slot) {
      float* decoded = room(call, slot);
      decoder_of<float> (*codes_)(*codes_, 0, group, decoded, gemm_lanes);
      std::int64_t first = first_out(cut_, plan_.outs, group), last = first_out(cut_, plan_.outs, group + 1);
      for (std::int64_t channel = first; channel < last; ++channel)
        run_directly(
            r,
            [&](std::int64_t c, std::int64_t tap) {
              return decoded[(tap * plan_.channels + c) * gemm_lanes + channel - first];
            },
            channel, own(call, slot));
    });
  }

  void take_weights(const KernelRequest& request) {
    const Tensor& weight = *request.constant(1);
    weights_ = packed_constant(request.machine, weight, form_of(plan_, cut_), packed_bytes(plan_),
                               [&](std::byte* to) {
                                 pack(reinterpret_cast<const Half*>(weight.data()),
                                      reinterpret_cast<float*>(to), request.machine.pool);
                               });
  }

  void pack(const Half* weight, float* to, const ThreadPool* pool) const {
    auto one = [&](std::int64_t group) {
      std::int64_t first = first_out(cut_, plan_.outs, group), last = first_out(cut_, plan_.outs, group + 1);
      for (std::int64_t o = first; o < last; ++o)
        for (std::int64_t c = 0; c < plan_.channels; ++c)
          pack_one(weight + (o * plan_.channels + c) * 9,
                   to + first * products * plan_.channels + c * (last - first) + o - first,
                   plan_.channels * (last - first));
    };
    if (pool) return pool->each(cut_.groups, one);
    for (std::int64_t group = 0; group < cut_.groups; ++group) one(group);
  }

  static void pack_one(const Half* weight, float* to, std::int64_t product) {
    constexpr double g[6][3] = {{1 / 4., 0, 0},
                                {-1 / 6., -1 / 6., -1 / 6.},
                                {-1 / 6., 1 / 6., -1 / 6.},
                                {1 / 24., 1 / 12., 1 / 6.},
                                {1 / 24., -1 / 12., 1 / 6.},
                                {0, 0, 1}};
    double rows[6][3] = {};
    for (int i = 0; i < 6; ++i)
      for (int k = 0; k < 3; ++k)
        for (int j = 0; j < 3; ++j) rows[i][j] += g[i][k] * static_cast<double>(to_float(weight[k * 3 + j]));
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j) {
        double sum = 0;
        for (int k = 0; k < 3; ++k) sum += rows[i][k] * g[j][k];
        to[(i * 6 + j) * product] = static_cast<float>(sum);
      }
  }

  ConvPlan plan_;
  Cut cut_;
  Fused fused_;
  int slots_ = 1;
  StoragePtr weights_;
  std::vector<float> bias_;
  std::optional<CodePanels> codes_;
  std::size_t weights_at_ = 0;  // in a slot's scratch
};

// What has been transformed before was found to be.
bool finite(const Tensor& weight, const ConvPlan& plan, const Machine& machine) {
  return is_packed(machine, weight, form_of(plan, cut_work(plan)), packed_bytes(plan)) || all_finite(weight);
}

// Whether 36 multiplications a tile, padded to whole vectors, and the larger weights are worth it.
bool pays(const ConvPlan& plan) {
  if (plan.channels < 32 || plan.outs < 32) return false;
  std::int64_t tiles = parts_of(plan.out[1], step) * parts_of(plan.out[2], step);
  double winograd = static_cast<double>(products * rounded_up(tiles, gemm_lanes));
  double direct = 9 * static_cast<double>(plan.out_plane());
  // a transformed weight comes from memory at the price of some 16 multiplications
  return (winograd + products * 16.0 / static_cast<double>(plan.batch)) * 1.25 < direct;
}

std::unique_ptr<Kernel> make_winograd(const KernelRequest& request) {
  if (HWY_TARGET == HWY_SSE4 || HWY_LANES(float) < 4) return nullptr;
  std::optional<Fused> what = fused(request);
  const Tensor* weight = request.constant(1);
  const Compressed* how = tile_rows <= gemm_lanes ? request.compressed_constant(1) : nullptr;
  if (!what || (!weight && !how) || (request.has(2) && !request.constant(2))) return nullptr;
  for (const Type& t : {request.in[0], request.in[1], request.out[0]})
    if (t.dtype != DType::f16) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  if (x.size() != 4 || w[2] != 3 || w[3] != 3 || request.attrs.integer("groups") != 1) return nullptr;
  ConvPlan plan = plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), 1);
  bool plain = plan.taps.size() == 9 && plan.stride == std::array<std::int64_t, 3>{1, 1, 1};
  if (!plain || plan.batch == 0 || plan.out_plane() == 0 || plan.in_plane() == 0) return nullptr;
  const auto &first = plan.taps[0].offset, &last = plan.taps[8].offset;
  bool dense = last[1] - first[1] == 2 && last[2] - first[2] == 2 && first[1] <= 0 && first[2] <= 0 &&
               first[1] >= -2 && first[2] >= -2;
  if (!dense || !pays(plan) || plan.in[2] > 1 << 20 || !(how || finite(*weight, plan, request.machine)))
    return nullptr;
  std::optional<CodePanels> codes;
  if (!weight) {
    codes = pack_panels(*how, request.in[1], plan, panels_of(plan, cut_work(plan)), request.machine);
    if (!codes || !codes->finite()) return nullptr;
  }
  return std::make_unique<Winograd>(request, std::move(plan), *what, std::move(codes));
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_winograd", make_winograd},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_winograd)
