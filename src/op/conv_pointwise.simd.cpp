// SPDX-License-Identifier: Apache-2.0
// Convolution with a window of one element on the CPU: weights times the input where it is, nothing packed
// and nothing turned. For planes of many elements; asked before the kernel for all (op/conv.simd.cpp).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_pointwise.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
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
#include "simd/finish.inc"

#include "op/codes_decode.inc"

#include "op/conv_decode.inc"
// clang-format on
namespace {

// The output channels of a group in tiles of nearly the same number of rows; the plane in panels of columns.
// A task is some panels times some tiles.
struct Cut {
  std::int64_t tiles = 0, panels = 0;
  std::int64_t block = 0, blocks = 0;  // panels of a task
  std::int64_t part = 0, parts = 0;    // tiles of a task
  std::int64_t chunk = 0;              // tiles whose weights are decoded at once; without decoding: all
};

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }
std::int64_t first_row(const Cut& cut, std::int64_t outs, std::int64_t tile) {
  return outs * tile / cut.tiles;
}

Cut cut_work(const ConvPlan& plan, int slots, bool decodes) {
  Cut cut;
  cut.tiles = parts_of(plan.outs, tile_rows);
  cut.panels = parts_of(plan.out_plane(), tile_columns);
  std::int64_t wanted = slots == 1 ? 1 : 8 * slots, have = plan.batch * plan.groups;
  std::int64_t blocks =
      std::clamp<std::int64_t>(parts_of(wanted, have), 1, parts_of(cut.panels, decodes ? 6 : 2));
  cut.block = parts_of(cut.panels, blocks);
  cut.blocks = parts_of(cut.panels, cut.block);
  std::int64_t parts = std::clamp<std::int64_t>(parts_of(wanted, 2 * have * cut.blocks), 1, cut.tiles);
  cut.part = parts_of(cut.tiles, parts);
  cut.parts = parts_of(cut.tiles, cut.part);
  std::int64_t in_cache = (96 << 10) / (plan.channels * tile_rows * 4);
  cut.chunk = decodes ? std::clamp<std::int64_t>(in_cache, 1, cut.part) : cut.part;
  return cut;
}

PanelCut panels_of(const ConvPlan& plan, const Cut& cut) {
  PanelCut panels{{}, gemm_lanes};
  for (std::int64_t tile = 0; tile < cut.tiles; ++tile) {
    std::int64_t first = first_row(cut, plan.outs, tile);
    panels.panels.push_back({first, first_row(cut, plan.outs, tile + 1) - first, gemm_lanes});
  }
  return panels;
}

template <class T> struct PointwiseRun {
  const ConvPlan& plan;
  const Cut& cut;
  const T* x;
  const float* weights;  // [group][tile][channel][rows of the tile]
  const float* bias;
  Finish<T> finish;
  const CodePanels* codes = nullptr;  // instead of weights
  DecodePanel<float>* decode = nullptr;

  // Of tiles [first, last) of group g, one after another.
  const float* tiles(std::int64_t g, std::int64_t first, std::int64_t last, float* room) const {
    std::int64_t row = first_row(cut, plan.outs, first);
    if (!codes) return weights + (g * plan.outs + row) * plan.channels;
    float* to = room;
    for (std::int64_t tile = first; tile < last; ++tile) {
      std::int64_t rows = codes->panels[static_cast<std::size_t>(tile)].columns;
      decode(*codes, g, tile, to, rows);
      to += rows * plan.channels;
    }
    return room;
  }
};

struct Columns {  // of a panel: where they are read, and which of those are stored
  std::int64_t from = 0;
  int width = 0, skip = 0, count = 0;
};

// The last panel is moved back to where it can be read whole.
Columns columns_of(std::int64_t plane, std::int64_t panel) {
  std::int64_t first = panel * tile_columns, left = plane - first;
  int width = left > gemm_lanes ? tile_columns : gemm_lanes;
  std::int64_t from = std::min(first, plane - width);
  return {from, width, static_cast<int>(first - from), static_cast<int>(std::min<std::int64_t>(left, width))};
}

template <class T>
HWY_INLINE void store_rows(const PointwiseRun<T>& r, float* c, std::int64_t channel, int rows,
                           const Columns& columns, std::int64_t at) {
  Finish<T> finish = r.finish;
  const float* bias = r.bias + channel;
  if (finish.block) {
    if (columns.width == tile_columns) apply_rows<false>(c, bias, rows, tile_columns, finish);
    else
      for (int j = 0; j < rows; ++j) apply_row<false>(c + j * tile_columns, bias + j, gemm_lanes, finish);
    finish = rest_of(finish);
  }
  for (int j = 0; j < rows; ++j)
    finish_run<gemm_lanes, false>(c + j * tile_columns + columns.skip, r.finish.block ? no_bias : bias + j,
                                  columns.count, finish, at + j * r.plan.out_plane());
}

// The product of a panel of columns and the tiles [first, last), whose weights are given.
template <class T>
HWY_INLINE void run_panel(const PointwiseRun<T>& r, std::int64_t ng, std::int64_t panel,
                          std::array<std::int64_t, 2> tiles, const float* weights) {
  const ConvPlan& plan = r.plan;
  alignas(64) float c[tile_rows * tile_columns];
  std::int64_t g = ng % plan.groups, depth = plan.channels, plane = plan.out_plane();
  const T* x = r.x + ng * depth * plane;
  Columns columns = columns_of(plane, panel);
  for (std::int64_t tile = tiles[0]; tile < tiles[1]; ++tile) {
    std::int64_t row = first_row(r.cut, plan.outs, tile);
    int rows = static_cast<int>(first_row(r.cut, plan.outs, tile + 1) - row);
    tile_function<T>(rows, columns.width)(weights, x + columns.from, depth, plane, c);
    store_rows(r, c, g * plan.outs + row, rows, columns,
               (ng * plan.outs + row) * plane + columns.from + columns.skip);
    weights += rows * depth;
  }
}

template <class T> HWY_NOINLINE void run_task(const PointwiseRun<T>& r, std::int64_t i, float* room) {
  const Cut& cut = r.cut;
  std::int64_t part = i % cut.parts, block = i / cut.parts % cut.blocks, ng = i / cut.parts / cut.blocks;
  std::int64_t end = std::min((part + 1) * cut.part, cut.tiles),
               panel_end = std::min((block + 1) * cut.block, cut.panels);
  for (std::int64_t first = part * cut.part; first < end; first += cut.chunk) {
    std::int64_t last = std::min(first + cut.chunk, end);
    const float* weights = r.tiles(ng % r.plan.groups, first, last, room);
    for (std::int64_t panel = block * cut.block; panel < panel_end; ++panel)
      run_panel(r, ng, panel, {first, last}, weights);
  }
}

template <class T> class ConvPointwise final : public Kernel {
 public:
  ConvPointwise(const KernelRequest& request, ConvPlan plan, Fused fused, std::optional<CodePanels> codes)
      : plan_(std::move(plan)), fused_(fused), codes_(std::move(codes)) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    cut_ = cut_work(plan_, slots_, codes_.has_value());
    room_ = codes_ ? aligned_bytes((cut_.chunk * tile_rows * plan_.channels + decode_slack) * 4) : 0;
    scratch = room_ * static_cast<std::size_t>(slots_);
    packed.assign(request.in.size(), false);
    packed[1] = true;
    if (!codes_) take_weights(request);
    bias_.assign(static_cast<std::size_t>(plan_.groups * plan_.outs), 0);
    if (request.has(2)) {
      packed[2] = true;
      std::vector<double> bias = to_doubles(*request.constant(2));
      std::copy(bias.begin(), bias.end(), bias_.begin());
    }
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.groups * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.channels);
  }

  void run(const KernelCall& call) const noexcept override {
    PointwiseRun<T> r{plan_,
                      cut_,
                      call.input<T>(0),
                      codes_ ? nullptr : reinterpret_cast<const float*>(weights_->data()),
                      bias_.data(),
                      finish_of<T>(fused_, call)};
    std::int64_t tasks = plan_.batch * plan_.groups * cut_.blocks * cut_.parts;
    if (codes_) r.codes = &*codes_, r.decode = decoder_of<float>(*codes_);
    each_in_slots(call.pool, tasks, slots_, [&](std::int64_t i, int slot) {
      run_task(r, i, reinterpret_cast<float*>(call.scratch + room_ * static_cast<std::size_t>(slot)));
    });
  }

 private:
  void take_weights(const KernelRequest& request) {
    const Tensor& weight = *request.constant(1);
    weights_ = packed_constant(
        request.machine, weight, weight_form("conv_pointwise", plan_) + std::to_string(cut_.tiles),
        static_cast<std::size_t>(weight.size()) * sizeof(float),
        [&](std::byte* to) { pack(to_doubles(weight), reinterpret_cast<float*>(to)); });
  }

  void pack(const std::vector<double>& weight, float* to) const {
    for (std::int64_t g = 0; g < plan_.groups; ++g)
      for (std::int64_t tile = 0; tile < cut_.tiles; ++tile)
        for (std::int64_t c = 0; c < plan_.channels; ++c)
          for (std::int64_t o = first_row(cut_, plan_.outs, tile); o < first_row(cut_, plan_.outs, tile + 1);
               ++o)
            *to++ = static_cast<float>(
                weight[static_cast<std::size_t>((g * plan_.outs + o) * plan_.channels + c)]);
  }

  ConvPlan plan_;
  Cut cut_;
  Fused fused_;
  int slots_ = 1;
  StoragePtr weights_;
  std::vector<float> bias_;
  std::optional<CodePanels> codes_;
  std::size_t room_ = 0;  // bytes of a slot's scratch
};

// Whether panels of columns fit the plane well, and weights are few: here they take twice the memory.
bool pays(const ConvPlan& plan) {
  std::int64_t plane = plan.out_plane();
  if (plane < 4 * tile_columns || plan.outs < 4) return false;
  std::int64_t wide = (plane + gemm_lanes - 1) / gemm_lanes * gemm_lanes;
  return wide * 9 <= plane * 10 && plan.outs * plan.channels <= 320 << 10;
}

template <class T>
std::unique_ptr<Kernel> make_of(const KernelRequest& request, ConvPlan plan, const Fused& what) {
  std::optional<CodePanels> codes;
  if (const Compressed* how = request.compressed_constant(1)) {
    if (tile_rows > gemm_lanes) return nullptr;  // a tile's weights are decoded a vector at a time
    PanelCut panels = panels_of(plan, cut_work(plan, 1, true));
    codes = pack_panels(*how, request.in[1], plan, std::move(panels), request.machine);
    if (!codes) return nullptr;
  }
  return std::make_unique<ConvPointwise<T>>(request, std::move(plan), what, std::move(codes));
}

std::unique_ptr<Kernel> make_pointwise(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  DType dtype = request.in[0].dtype;
  bool half = dtype == DType::f16, real = half || dtype == DType::f32;
  if (!what || !real || dtype != request.out[0].dtype || (HWY_TARGET == HWY_SSE4 && half)) return nullptr;
  bool known = request.constant(1) || request.compressed_constant(1);
  if (!known || (request.has(2) && !request.constant(2))) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  ConvPlan plan =
      plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), request.attrs.integer("groups"));
  bool plain = plan.taps.size() == 1 && plan.taps[0].offset == std::array<std::int64_t, 3>{} &&
               plan.in == plan.out && plan.stride == std::array<std::int64_t, 3>{1, 1, 1};
  if (!plain || plan.batch == 0 || !pays(plan)) return nullptr;
  if (half) return make_of<Half>(request, std::move(plan), *what);
  return make_of<float>(request, std::move(plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_pointwise", make_pointwise},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_pointwise)
