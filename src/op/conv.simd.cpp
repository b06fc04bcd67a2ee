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
#include "simd/quick.inc"
#include "simd/quick_finish.inc"
#include "op/conv_copy.inc"

#include "op/codes_decode.inc"

#include "op/conv_decode.inc"
// clang-format on
namespace {

// ---- packing patches: [depth][rows], depth over taps, then channels

// The patches of `rows` outputs from `first` on, of one group: x is its first channel, end the end of the
// whole input.
template <class T>
HWY_NOINLINE void pack_patches(const ConvPlan& plan, Source<T> x, std::int64_t first, int rows, float* to) {
  Piece pieces[3 * tile_rows];
  std::int64_t plane = plan.in_plane(), step = plan.stride[2];
  for (const Tap& tap : plan.taps) {
    int n = find_pieces(plan, tap, first, rows, pieces);
    for (std::int64_t c = 0; c < plan.channels; ++c, to += rows)
      for (int i = 0; i < n; ++i) copy_piece(pieces[i], x.data + c * plane, x.end, step, to);
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

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

// As few tasks as give each slot the same work: each part of the channels packs its block again, and each
// block decodes its panels again.
Cut cut_work(const ConvPlan& plan, int slots, bool decodes) {
  constexpr std::int64_t cache = 448 << 10;
  Cut cut;
  std::int64_t plane = plan.out_plane(), tile = std::max<std::int64_t>(1, plan.depth()) * tile_rows * 4;
  std::int64_t tiles = std::max<std::int64_t>(1, parts_of(plane, tile_rows));
  cut.blocks = parts_of(tiles, std::min(tiles, std::clamp<std::int64_t>(cache / tile, decodes ? 8 : 1, 32)));
  if (tiles >= 4 * slots) cut.blocks = std::min(tiles, parts_of(cut.blocks, slots) * slots);
  cut.block = parts_of(tiles, cut.blocks) * tile_rows;
  cut.blocks = parts_of(tiles * tile_rows, cut.block);
  cut.panels = parts_of(plan.outs, tile_columns);
  std::int64_t have = std::max<std::int64_t>(1, plan.batch * plan.groups * cut.blocks), wanted = 1;
  if (slots > 1 && have < 8 * slots) wanted = have % slots == 0 ? 2 * slots : 4 * slots;
  if (decodes && have <= slots) wanted = slots;
  std::int64_t parts =
      std::clamp<std::int64_t>(parts_of(wanted, have), 1, std::max<std::int64_t>(1, cut.panels / 2));
  cut.part = parts_of(cut.panels, parts);
  cut.parts = cut.part ? parts_of(cut.panels, cut.part) : 0;
  return cut;
}

std::size_t slot_bytes(const ConvPlan& plan, const Cut& cut) {
  return aligned_bytes((cut.block * plan.depth() + pack_slack) * 4) +
         aligned_bytes(tile_rows_padded * tile_columns * 8);
}

// Compressed weights: the panels of a plan, none where weights are dense.
template <class TB> struct Codes {
  std::vector<CodePanels> plans = {};
  DecodePanel<TB>* decode = nullptr;
};

std::size_t panel_floats(const ConvPlan& plan) {
  return static_cast<std::size_t>(plan.depth() * tile_columns + decode_slack);
}

PanelCut panels_of(const ConvPlan& plan) {
  PanelCut cut{{}, gemm_lanes};
  for (std::int64_t first = 0; first < plan.outs; first += tile_columns)
    cut.panels.push_back(
        {first, std::min<std::int64_t>(tile_columns, plan.outs - first), panel_width(plan.outs - first)});
  return cut;
}

template <class T, class TB> struct ConvRun {
  const ConvPlan& plan;
  const Cut& cut;
  const T* x;
  const TB* weights;
  const float* bias;  // one per channel, groups after one another
  Finish<T> finish;
  const CodePanels* codes = nullptr;  // instead of weights
  DecodePanel<TB>* decode = nullptr;
  Quick quick = Quick::none;  // in place of the row

  const TB* panel(std::int64_t g, std::int64_t i, void* room) const {
    if (!codes) return weights + (g * padded_columns(plan.outs) + i * tile_columns) * plan.depth();
    decode(*codes, g, i, static_cast<TB*>(room), codes->panels[static_cast<std::size_t>(i)].width);
    return static_cast<const TB*>(room);
  }
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
    pack_patches(plan, Source<T>{x, end}, p, static_cast<int>(std::min<std::int64_t>(tile_rows, last - p)),
                 a + (p - first) * depth);
  std::int64_t panel_end = std::min((part + 1) * r.cut.part, r.cut.panels);
  for (std::int64_t panel = part * r.cut.part; panel < panel_end; ++panel) {
    std::int64_t column = panel * tile_columns, left = plan.outs - column;
    int columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
    const TB* weights = r.panel(g, panel, turned + tile_rows_padded * tile_columns);
    for (std::int64_t p = first; p < last; p += tile_rows) {
      int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, last - p));
      tile_function<TB>(rows, left)(a + (p - first) * depth, weights, depth, panel_width(left), c);
      turn_tile(c, rows, columns, turned);
      std::int64_t channel = g * plan.outs + column;
      if (r.finish.block)
        apply_channels(r.quick, turned, r.bias + channel, columns, tile_rows_padded, r.finish);
      Finish<T> finish = r.finish.block ? rest_of(r.finish) : r.finish;
      for (int j = 0; j < columns; ++j)
        finish_run<std::min(gemm_lanes, 8), false>(turned + j * tile_rows_padded,
                                                   r.finish.block ? no_bias : r.bias + channel + j, rows,
                                                   finish, (ng * plan.outs + column + j) * plane + p);
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

// ---- the kernel: one plan, or the phases of a transposed convolution, which are put together in the end

struct Phase {
  ConvPlan plan;
  Cut cut;
  std::size_t weights = 0;  // where its packed weights begin, in elements
  std::size_t out = 0;      // where its outputs begin, in elements
};

// The outputs of all phases, one after another, to where they belong.
template <class T>
void gather_phases(const std::vector<Phase>& phases, const std::array<std::int64_t, 3>& whole, const T* from,
                   T* to, const ThreadPool& pool) {
  std::int64_t planes = phases[0].plan.batch * phases[0].plan.groups * phases[0].plan.outs;
  std::int64_t size = whole[0] * whole[1] * whole[2];
  pool.ranges(planes, 1 + 16384 / (1 + size), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      for (const Phase& phase : phases) {
        const ConvPlan& p = phase.plan;
        const T* in = from + phase.out + i * p.out_plane();
        for (std::int64_t z = 0; z < p.out[0]; ++z)
          for (std::int64_t y = 0; y < p.out[1]; ++y, in += p.out[2]) {
            std::int64_t row = (p.first[0] + z * p.step[0]) * whole[1] + p.first[1] + y * p.step[1];
            T* out = to + i * size + row * whole[2] + p.first[2];
            for (std::int64_t x = 0; x < p.out[2]; ++x) out[x * p.step[2]] = in[x];
          }
      }
  });
}

template <class T, class TB> class ConvGemm final : public Kernel {
 public:
  ConvGemm(const KernelRequest& request, std::vector<ConvPlan> plans, Fused fused, Codes<TB> codes)
      : fused_(fused),
        quick_(quick_of(request)),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1),
        codes_(std::move(codes)) {
    const bool decodes = codes_.decode != nullptr;
    std::size_t elements = 0, outputs = 0;
    for (ConvPlan& plan : plans) {
      Phase phase{std::move(plan), {}, elements, outputs};
      const ConvPlan& p = phase.plan;
      phase.cut = cut_work(p, slots_, decodes);
      std::size_t room = decodes ? aligned_bytes(static_cast<std::int64_t>(panel_floats(p) * sizeof(TB))) : 0;
      slot_bytes_ = std::max(slot_bytes_, slot_bytes(p, phase.cut) + room);
      elements += static_cast<std::size_t>(p.groups * padded_columns(p.outs) * p.depth());
      outputs += static_cast<std::size_t>(p.batch * p.groups * p.outs * p.out_plane());
      flops += 2.0 * static_cast<double>(p.batch * p.groups * p.outs) *
               static_cast<double>(p.out_plane() * p.depth());
      phases_.push_back(std::move(phase));
    }
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    const Shape& out = request.out[0].shape;
    std::copy(out.begin() + 2, out.end(), whole_.begin() + static_cast<std::ptrdiff_t>(5 - out.size()));
    channels_ = out[1];
    staged_ = phases_.size() > 1;
    stage_at_ = reserve(staged_ ? outputs * sizeof(T) : 0);
    packed.assign(request.in.size(), false);
    take_weights(request, elements);
    take_bias(request);
  }

  void run(const KernelCall& call) const noexcept override {
    const TB* weights = weights_ ? reinterpret_cast<const TB*>(weights_->data()) : nullptr;
    if (!weights && !codes_.decode) {
      TB* to = reinterpret_cast<TB*>(call.scratch + weights_at_);
      pack_all(call.in[1], to, &call.pool);
      weights = to;
    }
    const float* bias = bias_.data();
    if (has_bias_) {
      float* to = reinterpret_cast<float*>(call.scratch + bias_at_);
      widen_bias(bias_dtype_, call.in[2], channels_, to);
      bias = to;
    }
    Finish<T> finish = finish_of<T>(fused_, call);
    T* out = staged_ ? reinterpret_cast<T*>(call.scratch + stage_at_) : call.output<T>(0);
    for (std::size_t i = 0; i < phases_.size(); ++i) {
      const Phase& phase = phases_[i];
      finish.out = out + phase.out;
      ConvRun<T, TB> r{phase.plan, phase.cut, call.input<T>(0), weights ? weights + phase.weights : nullptr,
                       bias,       finish};
      r.quick = quick_;
      if (codes_.decode) r.codes = &codes_.plans[i], r.decode = codes_.decode;
      run_all(r, slots_, slot_bytes_, call.scratch, call.pool);
    }
    if (staged_) gather_phases(phases_, whole_, out, call.output<T>(0), call.pool);
  }

 private:
  std::size_t reserve(std::size_t bytes) {
    std::size_t at = scratch;
    scratch += aligned_bytes(static_cast<std::int64_t>(bytes));
    return at;
  }

  void pack_all(const std::byte* from, TB* to, const ThreadPool* pool) const {
    for (const Phase& phase : phases_)
      pack_weights(phase.plan, weight_dtype_, from, to + phase.weights, pool);
  }

  void take_weights(const KernelRequest& request, std::size_t elements) {
    weight_dtype_ = request.in[1].dtype;
    packed[1] = codes_.decode || request.constant(1);
    if (codes_.decode) return;
    const Tensor* weight = request.constant(1);
    if (!weight) {
      weights_at_ = reserve(elements * sizeof(TB));
      return;
    }
    std::string form = std::to_string(sizeof(TB));
    for (const Phase& phase : phases_) form += weight_form(" conv_gemm", phase.plan);
    weights_ = packed_constant(
        request.machine, *weight, std::move(form), elements * sizeof(TB) + 1,
        [&](std::byte* to) { pack_all(weight->data(), reinterpret_cast<TB*>(to), request.machine.pool); });
  }

  void take_bias(const KernelRequest& request) {
    bias_.assign(static_cast<std::size_t>(channels_), 0);
    has_bias_ = request.has(2);
    if (!has_bias_) return;
    bias_dtype_ = request.in[2].dtype;
    if (const Tensor* bias = request.constant(2)) {
      widen_bias(bias_dtype_, bias->data(), channels_, bias_.data());
      packed[2] = true, has_bias_ = false;
    } else {
      bias_at_ = reserve(static_cast<std::size_t>(channels_) * 4);
    }
  }

  std::vector<Phase> phases_;
  Fused fused_;
  Quick quick_ = Quick::none;
  int slots_;
  std::array<std::int64_t, 3> whole_ = {1, 1, 1};
  std::int64_t channels_ = 0;
  std::size_t slot_bytes_ = 0, weights_at_ = 0, bias_at_ = 0, stage_at_ = 0;
  DType weight_dtype_ = DType::f32, bias_dtype_ = DType::f32;
  bool has_bias_ = false, staged_ = false;
  StoragePtr weights_;
  Codes<TB> codes_;
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

template <class T, class TB>
std::unique_ptr<Kernel> make_gemm(const KernelRequest& request, std::vector<ConvPlan> plans, Fused f) {
  Codes<TB> codes;
  if (const Compressed* how = request.compressed_constant(1))
    for (const ConvPlan& plan : plans) {
      auto panels = pack_panels(*how, request.in[1], plan, panels_of(plan), request.machine);
      if (!panels) return nullptr;
      codes.decode = decoder_of<TB>(*panels);
      codes.plans.push_back(std::move(*panels));
    }
  return std::make_unique<ConvGemm<T, TB>>(request, std::move(plans), f, std::move(codes));
}

std::unique_ptr<Kernel> make_any(const KernelRequest& request, std::vector<ConvPlan> plans, Fused f) {
  bool half = request.in[0].dtype == DType::f16, packs = packs_halves(request);
  if (half && packs) return make_gemm<Half, Half>(request, std::move(plans), f);
  if (half) return make_gemm<Half, float>(request, std::move(plans), f);
  if (packs) return make_gemm<float, Half>(request, std::move(plans), f);
  return make_gemm<float, float>(request, std::move(plans), f);
}

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes(request)) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  std::int64_t groups = request.attrs.integer("groups");
  return make_any(request, {plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), groups)}, *what);
}

std::unique_ptr<Kernel> make_conv_transpose(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes(request)) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  std::int64_t groups = request.attrs.integer("groups");
  std::vector<Window> windows = windows_of(ops::conv_transpose, x, w, request.attrs);
  std::vector<ConvPlan> plans = plan_conv_transpose(x, w, windows, groups);
  if (plans.empty() || (plans.size() > 1 && what->residual >= 0)) return nullptr;
  return make_any(request, std::move(plans), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_gemm", make_conv},
    {&ops::conv_transpose, "conv_gemm", make_conv_transpose},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv)
