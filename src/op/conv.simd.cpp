// SPDX-License-Identifier: Apache-2.0
// Convolution on the CPU: an implicit matrix product of packed patches and packed weights, and a direct
// kernel for depthwise ones. What a kernel knows about windows is in op/conv_plan.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
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
// clang-format on
namespace {

// ---- packing patches: [depth][rows], depth over taps, then channels

// Every second element.
HWY_INLINE void copy_even(const float* from, const float* end, int length, float* to) {
  const hn::ScalableTag<float> d;
  for (int i = 0; i < length; i += gemm_lanes) {
    if (end - (from + 2 * i) < 2 * gemm_lanes) return copy_slowly(from + 2 * i, length - i, 2, to + i);
    hn::StoreU(hn::ConcatEven(d, hn::LoadU(d, from + 2 * i + gemm_lanes), hn::LoadU(d, from + 2 * i)), d,
               to + i);
  }
}
HWY_INLINE void copy_even(const Half* from, const Half* end, int length, float* to) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<std::int32_t> pair;
  const hn::Rebind<std::uint16_t, decltype(d)> half;
  HWY_ALIGN Half even[gemm_lanes];
  for (int i = 0; i < length; i += gemm_lanes) {
    if (end - (from + 2 * i) < 2 * gemm_lanes) return copy_slowly(from + 2 * i, length - i, 2, to + i);
    auto both = hn::LoadU(pair, reinterpret_cast<const std::int32_t*>(from + 2 * i));
    hn::StoreU(hn::DemoteTo(half, hn::And(both, hn::Set(pair, 0xffff))), half, &even[0].bits);
    hn::StoreU(load_wide(d, even), d, to + i);
  }
}

// May write up to pack_slack floats past `to + length`: what follows is written later.
template <class T>
HWY_INLINE void copy_piece(const Piece& piece, const T* plane, const T* end, std::int64_t step, float* to) {
  const T* from = plane + piece.from;
  to += piece.at;
  if (piece.from < 0) {
    const hn::ScalableTag<float> d;
    for (int i = 0; i < piece.length; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
  } else if (step == 1) {
    copy_row(from, end, piece.length, to);
  } else if (step == 2) {
    copy_even(from, end, piece.length, to);
  } else {
    copy_slowly(from, piece.length, step, to);
  }
}

// The patches of `rows` outputs from `first` on, of one group: x is its first channel, end the end of the
// whole input.
template <class T>
HWY_NOINLINE void pack_patches(const ConvPlan& plan, const T* x, const T* end, std::int64_t first, int rows,
                               float* to) {
  Piece pieces[3 * tile_rows];
  std::int64_t plane = plan.in_plane(), step = plan.stride[2];
  for (const Tap& tap : plan.taps) {
    int n = find_pieces(plan, tap, first, rows, pieces);
    for (std::int64_t c = 0; c < plan.channels; ++c, to += rows)
      for (int i = 0; i < n; ++i) copy_piece(pieces[i], x + c * plane, end, step, to);
  }
}

// ---- packing weights

// The panels of group g; panel j begins at column j * tile_columns and at element that times depth.
template <class From, class To>
void pack_weight_panel(const ConvPlan& plan, std::int64_t g, std::int64_t panel, const From* weight, To* to) {
  std::int64_t first = panel * tile_columns, width = panel_width(plan.outs - first);
  for (std::int64_t column = 0; column < width; ++column) {
    std::int64_t o = first + column, k = 0;
    for (const Tap& tap : plan.taps)
      for (std::int64_t c = 0; c < plan.channels; ++c, ++k) {
        To& place = to[k * width + column];
        if (o >= plan.outs) place = To{};
        else if constexpr (std::is_same_v<From, To>) place = weight[plan.weight_at(g, o, c, tap)];
        else put(widened(weight[plan.weight_at(g, o, c, tap)]), &place);
      }
  }
}

template <class From, class To>
void pack_weights(const ConvPlan& plan, const From* weight, To* to, const ThreadPool* pool) {
  std::int64_t panels = (plan.outs + tile_columns - 1) / tile_columns,
               group = padded_columns(plan.outs) * plan.depth();
  auto one = [&](std::int64_t i) {
    std::int64_t g = i / panels, panel = i % panels;
    pack_weight_panel(plan, g, panel, weight, to + g * group + panel * tile_columns * plan.depth());
  };
  if (pool) return pool->each(plan.groups * panels, one);
  for (std::int64_t i = 0; i < plan.groups * panels; ++i) one(i);
}

template <class To>
void pack_weights(const ConvPlan& plan, DType dtype, const std::byte* weight, To* to,
                  const ThreadPool* pool) {
  if (dtype == DType::f16) pack_weights(plan, reinterpret_cast<const Half*>(weight), to, pool);
  else pack_weights(plan, reinterpret_cast<const float*>(weight), to, pool);
}

void widen_bias(DType dtype, const std::byte* bias, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = dtype == DType::f16 ? to_float(reinterpret_cast<const Half*>(bias)[i])
                                : reinterpret_cast<const float*>(bias)[i];
}

// ---- the product

// How the work of one convolution is cut: blocks of outputs, so that their patches stay in the second cache,
// times parts of the channels where there are few blocks.
struct Cut {
  std::int64_t block = 0, blocks = 0;  // outputs in a block
  std::int64_t part = 0, parts = 0;    // panels in a part
  std::int64_t panels = 0;
};

Cut cut_work(const ConvPlan& plan, int slots) {
  constexpr std::int64_t cache = 384 << 10;
  Cut cut;
  std::int64_t plane = plan.out_plane(), tile = std::max<std::int64_t>(1, plan.depth()) * tile_rows * 4;
  std::int64_t tiles = (plane + tile_rows - 1) / tile_rows,
               in_block = std::clamp<std::int64_t>(cache / tile, 1, 32);
  in_block = std::max<std::int64_t>(1, std::min(in_block, tiles));
  cut.blocks = (tiles + in_block - 1) / in_block;
  cut.block =
      (tiles + std::max<std::int64_t>(1, cut.blocks) - 1) / std::max<std::int64_t>(1, cut.blocks) * tile_rows;
  cut.panels = (plan.outs + tile_columns - 1) / tile_columns;
  std::int64_t wanted = slots == 1 ? 1 : 4 * slots,
               have = std::max<std::int64_t>(1, plan.batch * plan.groups * cut.blocks);
  std::int64_t parts =
      std::clamp<std::int64_t>((wanted + have - 1) / have, 1, std::max<std::int64_t>(1, cut.panels / 2));
  cut.part = (cut.panels + parts - 1) / parts;
  cut.parts = cut.part ? (cut.panels + cut.part - 1) / cut.part : 0;
  return cut;
}

std::size_t slot_bytes(const ConvPlan& plan, const Cut& cut) {
  return aligned_bytes((cut.block * plan.depth() + pack_slack) * 4) +
         aligned_bytes(tile_rows_padded * tile_columns * 8);
}

template <class T, class TB> struct ConvRun {
  const ConvPlan& plan;
  const Cut& cut;
  const T* x;
  const TB* weights;
  const float* bias;  // one per channel, groups after one another
  Finish<T> finish;
  T* out;
};

// Task i: a block of outputs and a part of the channels.
template <class T, class TB>
HWY_NOINLINE void run_task(const ConvRun<T, TB>& r, std::int64_t i, std::byte* scratch) {
  const ConvPlan& plan = r.plan;
  std::int64_t part = i % r.cut.parts, block = i / r.cut.parts % r.cut.blocks,
               ng = i / r.cut.parts / r.cut.blocks;
  std::int64_t g = ng % plan.groups, depth = plan.depth(), plane = plan.out_plane();
  std::int64_t first = block * r.cut.block, last = std::min(first + r.cut.block, plane);
  float* a = reinterpret_cast<float*>(scratch);
  float* c = reinterpret_cast<float*>(scratch + aligned_bytes((r.cut.block * depth + pack_slack) * 4));
  float* turned = c + tile_rows_padded * tile_columns;
  const T* x = r.x + ng * plan.channels * plan.in_plane();
  const T* end = r.x + plan.batch * plan.groups * plan.channels * plan.in_plane();
  for (std::int64_t p = first; p < last; p += tile_rows)
    pack_patches(plan, x, end, p, static_cast<int>(std::min<std::int64_t>(tile_rows, last - p)),
                 a + (p - first) * depth);
  const TB* group = r.weights + g * padded_columns(plan.outs) * depth;
  std::int64_t panel_end = std::min((part + 1) * r.cut.part, r.cut.panels);
  for (std::int64_t panel = part * r.cut.part; panel < panel_end; ++panel) {
    std::int64_t column = panel * tile_columns, left = plan.outs - column;
    int columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
    for (std::int64_t p = first; p < last; p += tile_rows) {
      int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, last - p));
      tile_function<TB>(rows, left)(a + (p - first) * depth, group + column * depth, depth, panel_width(left),
                                    c);
      turn_tile(c, rows, columns, turned);
      for (int j = 0; j < columns; ++j)
        finish_run<std::min(gemm_lanes, 8), false>(turned + j * tile_rows_padded,
                                                   r.bias + g * plan.outs + column + j, rows, r.finish,
                                                   (ng * plan.outs + column + j) * plane + p, r.out);
    }
  }
}

template <class T, class TB>
void run_all(const ConvRun<T, TB>& r, int slots, std::size_t bytes, std::byte* scratch,
             const ThreadPool& pool) {
  std::int64_t tasks = r.plan.batch * r.plan.groups * r.cut.blocks * r.cut.parts;
  each_in_slots(pool, tasks, slots, [&](std::int64_t i, int slot) {
    run_task(r, i, scratch + static_cast<std::size_t>(slot) * bytes);
  });
}

// ---- kernels

template <class T, class TB> class ConvGemm final : public Kernel {
 public:
  ConvGemm(const KernelRequest& request, ConvPlan plan, Fused fused)
      : plan_(std::move(plan)),
        fused_(fused),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1) {
    cut_ = cut_work(plan_, slots_);
    slot_bytes_ = slot_bytes(plan_, cut_);
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    std::int64_t channels = plan_.groups * plan_.outs,
                 elements = plan_.groups * padded_columns(plan_.outs) * plan_.depth();
    weight_dtype_ = request.in[1].dtype;
    bias_dtype_ = request.has(2) ? request.in[2].dtype : DType::f32;
    has_bias_ = request.has(2);
    packed.assign(request.in.size(), false);
    if (const Tensor* weight = request.constant(1)) {
      weights_ = allocate(static_cast<std::size_t>(elements) * sizeof(TB));
      pack_weights(plan_, weight_dtype_, weight->data(), reinterpret_cast<TB*>(weights_->data()),
                   request.machine.pool);
      packed[1] = true;
    } else {
      weights_at_ = scratch;
      scratch += aligned_bytes(elements * static_cast<std::int64_t>(sizeof(TB)));
    }
    bias_.assign(static_cast<std::size_t>(channels), 0);
    if (const Tensor* bias = request.constant(2); bias && has_bias_) {
      widen_bias(bias_dtype_, bias->data(), channels, bias_.data());
      packed[2] = true, has_bias_ = false;
    }
    bias_at_ = scratch;
    if (has_bias_) scratch += aligned_bytes(channels * 4);
    flops = 2.0 * static_cast<double>(plan_.batch * channels) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const TB* weights = weights_ ? reinterpret_cast<const TB*>(weights_->data()) : nullptr;
    if (!weights) {
      TB* to = reinterpret_cast<TB*>(call.scratch + weights_at_);
      pack_weights(plan_, weight_dtype_, call.in[1], to, &call.pool);
      weights = to;
    }
    const float* bias = bias_.data();
    if (has_bias_) {
      float* to = reinterpret_cast<float*>(call.scratch + bias_at_);
      widen_bias(bias_dtype_, call.in[2], plan_.groups * plan_.outs, to);
      bias = to;
    }
    Finish<T> finish{fused_.before, fused_.after, nullptr};
    if (fused_.residual >= 0) finish.residual = call.input<T>(static_cast<std::size_t>(fused_.residual));
    ConvRun<T, TB> r{plan_, cut_, call.input<T>(0), weights, bias, finish, call.output<T>(0)};
    run_all(r, slots_, slot_bytes_, call.scratch, call.pool);
  }

 private:
  ConvPlan plan_;
  Fused fused_;
  Cut cut_;
  int slots_;
  std::size_t slot_bytes_ = 0, weights_at_ = 0, bias_at_ = 0;
  DType weight_dtype_, bias_dtype_;
  bool has_bias_ = false;
  StoragePtr weights_;
  std::vector<float> bias_;
};

bool takes(const KernelRequest& request) {
  auto real = [](DType d) { return d == DType::f16 || d == DType::f32; };
  for (std::size_t i = 0; i < 3 && i < request.in.size(); ++i)
    if (request.has(i) && !real(request.in[i].dtype)) return false;
  return request.in[0].dtype == request.out[0].dtype;
}

// Halves stay halves where they are widened in the registers at no cost.
bool packs_halves(const KernelRequest& request) {
  return HWY_TARGET != HWY_SSE4 && request.in[1].dtype == DType::f16;
}

template <class T>
std::unique_ptr<Kernel> make_gemm(const KernelRequest& request, ConvPlan plan, Fused fused) {
  if (packs_halves(request)) return std::make_unique<ConvGemm<T, Half>>(request, std::move(plan), fused);
  return std::make_unique<ConvGemm<T, float>>(request, std::move(plan), fused);
}

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes(request)) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  ConvPlan plan =
      plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), request.attrs.integer("groups"));
  if (request.in[0].dtype == DType::f16) return make_gemm<Half>(request, std::move(plan), *what);
  return make_gemm<float>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_gemm", make_conv},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv)
