// SPDX-License-Identifier: Apache-2.0
// Convolution on a matrix unit (simd/unit.h): the input is staged in the unit's format (op/conv_stage.h),
// then packed weights times what is staged, tile by tile, finished and stored as it leaves the registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_unit.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "op/conv_stage.h"
#include "op/fuse.h"
#include "op/home.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/finish.inc"
// clang-format on
namespace {

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }
std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T> struct UnitRun {
  const MatrixUnit& unit;
  const ConvPlan& plan;
  const ConvStage& stage;
  const T* x;  // of one element of the batch
  const std::byte* weights;
  const std::size_t* tile_at;  // where the weights of a tile begin, group by group
  const float* bias;
  Finish<T> finish;
  std::int64_t out = 0;  // where the output of this element begins
};

// What a task is of, and its scratch.
template <class T> struct Task {
  std::int64_t g = 0, block = 0, part = 0;
  std::byte* staged = nullptr;
  T* own = nullptr;  // room for two rows
  float* c = nullptr;
};

// ---- staging

// `count` elements of up to two channels, `step` apart, to columns.
template <class T>
void stage_run(const MatrixUnit& unit, const T* const* from, int lines, std::int64_t step, std::int64_t count,
               std::byte* to, std::int64_t low, T* own) {
  const std::byte* starts[2] = {};
  for (int i = 0; i < lines; ++i) {
    const T* line = from[i];
    if (step != 1) {
      for (std::int64_t j = 0; j < count; ++j) own[i * count + j] = line[j * step];
      line = own + i * count;
    }
    starts[i] = reinterpret_cast<const std::byte*>(line);
  }
  unit.pack_group({starts, std::is_same_v<T, Half>, lines, count}, to, low,
                  unit.columns * unit.group_bytes());
}

template <class T> void zero(const UnitRun<T>& r, std::byte* to, std::int64_t columns) {
  if (columns <= 0) return;
  std::memset(to, 0, at(columns * r.unit.group_bytes()));
  if (r.unit.parts == 2) std::memset(to + r.stage.bytes, 0, at(columns * r.unit.group_bytes()));
}

template <class T> struct Channels {  // of a group
  const T* at[2] = {};
  int count = 0;
};
template <class T> Channels<T> channels_of(const UnitRun<T>& r, const T* x, std::int64_t group) {
  Channels<T> all;
  std::int64_t c = group * r.unit.terms;
  all.count = static_cast<int>(std::clamp<std::int64_t>(r.plan.channels - c, 0, r.unit.terms));
  for (int j = 0; j < all.count; ++j) all.at[j] = x + (c + j) * r.plan.in_plane();
  return all;
}

// The planes of one group of channels, for outputs from row `top` on.
template <class T>
void stage_planes(const UnitRun<T>& r, const Channels<T>& channels, std::int64_t top, std::byte* to, T* own) {
  const ConvPlan& plan = r.plan;
  const ConvStage& s = r.stage;
  std::int64_t bytes = r.unit.group_bytes(), sx = plan.stride[2], width = plan.in[2];
  for (auto [py, px] : s.phases) {
    std::int64_t low = s.first[1] * sx + px;  // where column 0 lies in the input
    std::int64_t q0 = low < 0 ? std::min(s.pitch, parts_of(-low, sx)) : 0;
    std::int64_t q1 = std::clamp(width > low ? parts_of(width - low, sx) : 0, q0, s.pitch);
    for (std::int64_t row = 0; row < s.block + s.more_rows; ++row) {
      std::byte* line = to + row * s.pitch * bytes;
      std::int64_t y = (top + row + s.first[0]) * plan.stride[1] + py;
      if (y < 0 || y >= plan.in[1] || channels.count == 0) {
        zero(r, line, s.pitch);
        continue;
      }
      const T* from[2] = {};
      for (int i = 0; i < channels.count; ++i) from[i] = channels.at[i] + y * width + low + q0 * sx;
      zero(r, line, q0);
      if (q1 > q0) stage_run(r.unit, from, channels.count, sx, q1 - q0, line + q0 * bytes, s.bytes, own);
      zero(r, line + q1 * bytes, s.pitch - q1);
    }
    std::int64_t end =
        (s.block + s.more_rows) * s.pitch * bytes;  // the last row is read beyond its end as the others are
    zero(r, to + end, (s.plane - end) / bytes);
    to += s.plane;
  }
}

// One group of channels of one panel, whose pieces are these.
template <class T>
void stage_panel(const UnitRun<T>& r, const Channels<T>& channels, std::span<const Piece> pieces,
                 std::byte* to, T* own) {
  std::int64_t bytes = r.unit.group_bytes();
  if (channels.count == 0) return zero(r, to, r.unit.columns);
  for (const Piece& piece : pieces) {
    std::byte* place = to + piece.at * bytes;
    if (piece.from < 0) {
      zero(r, place, piece.length);
      continue;
    }
    const T* from[2] = {};
    for (int j = 0; j < channels.count; ++j) from[j] = channels.at[j] + piece.from;
    stage_run(r.unit, from, channels.count, r.plan.stride[2], piece.length, place, r.stage.bytes, own);
  }
}

// Without strides and padding the columns of a block are one run of each channel.
template <class T> void stage_run_of_panels(const UnitRun<T>& r, const Task<T>& t, const T* x) {
  const ConvStage& s = r.stage;
  std::int64_t first = t.block * s.block * r.unit.columns;
  std::int64_t count = std::min(s.block * r.unit.columns, r.plan.out_plane() - first);
  for (std::int64_t group = 0; group < s.groups; ++group) {
    Channels<T> channels = channels_of(r, x + first, group);
    std::byte* to = t.staged + group * s.step;
    const std::byte* starts[2] = {reinterpret_cast<const std::byte*>(channels.at[0]),
                                  reinterpret_cast<const std::byte*>(channels.at[1])};
    if (channels.count)
      r.unit.pack_group({starts, std::is_same_v<T, Half>, channels.count, count}, to, s.bytes, s.panel_step);
    else
      for (std::int64_t at = 0; at < count; at += r.unit.columns, to += s.panel_step)
        zero(r, to, r.unit.columns);
  }
}

template <class T> void stage_panels(const UnitRun<T>& r, const Task<T>& t, const T* x) {
  if (r.plan.in == r.plan.out && r.plan.taps[0].offset == std::array<std::int64_t, 3>{})
    return stage_run_of_panels(r, t, x);
  constexpr int most_pieces = 3 * tile_columns, most_panels = 8;
  const ConvStage& s = r.stage;
  const Panels& panels = t.block + 1 == s.blocks ? s.last_panels : s.panels;
  std::int64_t base = t.block * s.block * r.unit.columns, all = static_cast<std::int64_t>(panels.size());
  Piece pieces[most_panels][most_pieces];
  for (std::int64_t begin = 0; begin < all; begin += most_panels) {
    int count[most_panels], n = static_cast<int>(std::min<std::int64_t>(most_panels, all - begin));
    for (int k = 0; k < n; ++k) {
      const Stretch& outs = panels[at(begin + k)][0];
      count[k] = find_pieces(r.plan, r.plan.taps[0], base + outs.out, outs.length, pieces[k]);
    }
    for (std::int64_t group = 0; group < s.groups; ++group) {
      Channels<T> channels = channels_of(r, x, group);
      for (int k = 0; k < n; ++k)
        stage_panel(r, channels, {pieces[k], at(count[k])},
                    t.staged + (begin + k) * s.panel_step + group * s.step, t.own);
    }
  }
}

template <class T> HWY_NOINLINE void stage(const UnitRun<T>& r, const Task<T>& t) {
  const T* x = r.x + t.g * r.plan.channels * r.plan.in_plane();
  if (!r.stage.planes) return stage_panels(r, t, x);
  for (std::int64_t group = 0; group < r.stage.groups; ++group)
    stage_planes(r, channels_of(r, x, group), t.block * r.stage.block, t.staged + group * r.stage.step,
                 t.own);
}

// ---- the product

// Rows of a stretch of whole vectors, 16 or 32 columns, with no more than a bias, a clip and a residual.
template <int V, bool residual, class T>
HWY_INLINE void store_whole(const UnitRun<T>& r, const float* c, const float* bias, int rows,
                            std::int64_t out) {
  const hn::ScalableTag<float> d;
  const auto low = hn::Set(d, r.finish.before.low), high = hn::Set(d, r.finish.before.high);
  const auto low2 = hn::Set(d, r.finish.after.low), high2 = hn::Set(d, r.finish.after.high);
  std::int64_t plane = r.plan.out_plane();
  T* to = r.finish.out + out;
  const T* other = residual ? r.finish.residual + out : nullptr;
  for (int j = 0; j < rows; ++j, c += tile_columns, to += plane) {
    const auto b = hn::Set(d, bias[j]);
    for (int v = 0; v < V; ++v) {
      auto x = hn::Min(high, hn::Max(low, hn::Add(hn::LoadU(d, c + v * gemm_lanes), b)));
      if constexpr (residual)
        x = hn::Min(high2, hn::Max(low2, hn::Add(x, load_wide(d, other + v * gemm_lanes))));
      store_rounded(d, x, to + v * gemm_lanes);
    }
    if constexpr (residual) other += plane;
  }
}

template <class T>
HWY_INLINE bool store_simply(const UnitRun<T>& r, const float* c, const float* bias, int rows,
                             std::int64_t out, const Stretch& s) {
  if (s.length % gemm_lanes != 0 || r.finish.block || (r.finish.second && !r.finish.residual)) return false;
  c += s.at, out += s.out;
  if (s.length == gemm_lanes && r.finish.residual) store_whole<1, true>(r, c, bias, rows, out);
  else if (s.length == gemm_lanes) store_whole<1, false>(r, c, bias, rows, out);
  else if (r.finish.residual) store_whole<2, true>(r, c, bias, rows, out);
  else store_whole<2, false>(r, c, bias, rows, out);
  return true;
}

// `out`: where the first row's outputs of the block begin.
template <class T>
HWY_INLINE void store_rows(const UnitRun<T>& r, float* c, std::int64_t channel, int rows, std::int64_t out,
                           const std::vector<Stretch>& stretches) {
  Finish<T> finish = r.finish;
  const float* bias = r.bias + channel;
  int pitch = r.unit.columns;
  if (finish.block) {
    apply_rows<false>(c, bias, rows, pitch, finish);
    finish = rest_of(finish);
  }
  for (const Stretch& s : stretches)
    if (!store_simply(r, c, bias, rows, out, s))
      for (int j = 0; j < rows; ++j)
        finish_run<gemm_lanes, false>(c + j * pitch + s.at, r.finish.block ? no_bias : bias + j, s.length,
                                      finish, out + s.out + j * r.plan.out_plane());
}

template <class T>
HWY_INLINE void run_tile(const UnitRun<T>& r, const Task<T>& t, std::int64_t tile, std::int64_t panel) {
  const ConvPlan& plan = r.plan;
  const ConvStage& s = r.stage;
  const std::vector<Stretch>& stretches = (t.block + 1 == s.blocks ? s.last_panels : s.panels)[at(panel)];
  if (stretches.empty()) return;
  std::int64_t row = s.first_out(plan.outs, tile), segments = static_cast<std::int64_t>(plan.taps.size());
  int rows = static_cast<int>(s.first_out(plan.outs, tile + 1) - row);
  TileProduct p{.a = r.weights + r.tile_at[t.g * s.tiles + tile],
                .b = t.staged + panel * s.panel_step,
                .offsets = s.offsets.data(),
                .segments = segments,
                .groups = s.groups,
                .step = s.step,
                .a_low = static_cast<std::int64_t>(r.unit.a_bytes(rows, segments * s.groups)),
                .b_low = s.bytes,
                .rows = rows,
                .columns = stretches.back().at + stretches.back().length,
                .c = t.c};
  r.unit.multiply(p);
  std::int64_t channel = t.g * plan.outs + row, line = s.planes ? plan.out[2] : r.unit.columns;
  store_rows(r, t.c, channel, rows, r.out + channel * plan.out_plane() + t.block * s.block * line, stretches);
}

template <class T> HWY_NOINLINE void run_task(const UnitRun<T>& r, const Task<T>& t) {
  const ConvStage& s = r.stage;
  stage(r, t);
  std::int64_t first = t.part * s.part, tiles = std::min(first + s.part, s.tiles);
  std::int64_t panels =
      static_cast<std::int64_t>((t.block + 1 == s.blocks ? s.last_panels : s.panels).size());
  if (s.tiles_first) {
    for (std::int64_t tile = first; tile < tiles; ++tile)
      for (std::int64_t panel = 0; panel < panels; ++panel) run_tile(r, t, tile, panel);
  } else {
    for (std::int64_t panel = 0; panel < panels; ++panel)
      for (std::int64_t tile = first; tile < tiles; ++tile) run_tile(r, t, tile, panel);
  }
}

// ---- the kernel

template <class T> class ConvUnit final : public Kernel {
 public:
  ConvUnit(const KernelRequest& request, const MatrixUnit& unit, ConvPlan plan, ConvStage stage)
      : unit_(unit), plan_(std::move(plan)), stage_(std::move(stage)), fused_(*fused(request)) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    tile_at_ = aligned_bytes(stage_.bytes * unit_.parts);
    own_at_ = tile_at_ + aligned_bytes(unit_.rows * unit_.columns * 4);
    slot_bytes_ = own_at_ + aligned_bytes(2 * (plan_.in[2] + 64) * 4);
    scratch = slot_bytes_ * at(slots_);
    packed.assign(request.in.size(), false);
    packed[1] = true;
    pack(*request.constant(1), request.machine);
    bias_.assign(at(plan_.groups * plan_.outs), 0);
    if (request.has(2)) {
      packed[2] = true;
      std::vector<double> bias = to_doubles(*request.constant(2));
      std::copy(bias.begin(), bias.end(), bias_.begin());
    }
    flops = 2.0 * static_cast<double>(plan_.batch * plan_.groups * plan_.outs) *
            static_cast<double>(plan_.out_plane() * plan_.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    UnitRun<T> r{unit_,
                 plan_,
                 stage_,
                 call.input<T>(0),
                 weights_->data(),
                 tiles_.data(),
                 bias_.data(),
                 finish_of<T>(fused_, call)};
    for (std::int64_t n = 0; n < plan_.batch; ++n) {
      each_at_home(call.pool, plan_.groups * stage_.blocks * stage_.parts, slots_,
                   [&](std::int64_t i, int slot) {
                     std::byte* own = call.scratch + slot_bytes_ * at(slot);
                     UnitScope scope(unit_);
                     run_task(r, Task<T>{i / stage_.parts / stage_.blocks, i / stage_.parts % stage_.blocks,
                                         i % stage_.parts, own, reinterpret_cast<T*>(own + own_at_),
                                         reinterpret_cast<float*>(own + tile_at_)});
                   });
      r.x += plan_.groups * plan_.channels * plan_.in_plane();
      r.out += plan_.groups * plan_.outs * plan_.out_plane();
    }
  }

 private:
  void pack(const Tensor& weight, const Machine& machine) {
    std::int64_t groups = static_cast<std::int64_t>(plan_.taps.size()) * stage_.groups;
    std::size_t bytes = 0;
    for (std::int64_t i = 0; i < plan_.groups * stage_.tiles; ++i) {
      tiles_.push_back(bytes);
      bytes += aligned_bytes(static_cast<std::int64_t>(unit_.a_bytes(rows_of(i % stage_.tiles), groups)) *
                             unit_.parts);
    }
    std::string form = weight_form(unit_.name, plan_) + std::to_string(stage_.tiles);
    weights_ = packed_constant(machine, weight, std::move(form), bytes,
                               [&](std::byte* to) { pack_tiles(weight, to, machine.pool); });
  }

  void pack_tiles(const Tensor& weight, std::byte* to, const ThreadPool* pool) const {
    auto one = [&](std::int64_t i) {
      if (weight.dtype() == DType::f16) pack_tile(reinterpret_cast<const Half*>(weight.data()), i, to);
      else pack_tile(reinterpret_cast<const float*>(weight.data()), i, to);
    };
    if (pool) return pool->each(plan_.groups * stage_.tiles, one);
    for (std::int64_t i = 0; i < plan_.groups * stage_.tiles; ++i) one(i);
  }

  int rows_of(std::int64_t tile) const {
    return static_cast<int>(stage_.first_out(plan_.outs, tile + 1) - stage_.first_out(plan_.outs, tile));
  }

  // Tile i in rows of all taps of all channels, each tap filled with zeros.
  template <class W> void pack_tile(const W* weight, std::int64_t i, std::byte* all) const {
    std::int64_t g = i / stage_.tiles, tile = i % stage_.tiles, first = stage_.first_out(plan_.outs, tile);
    std::int64_t taps = static_cast<std::int64_t>(plan_.taps.size()), each = stage_.groups * unit_.terms;
    int rows = rows_of(tile);
    std::vector<W> line(at(rows * taps * each), W{});
    std::vector<const std::byte*> starts;
    for (int r = 0; r < rows; ++r) {
      W* to = line.data() + r * taps * each;
      starts.push_back(reinterpret_cast<const std::byte*>(to));
      for (std::int64_t t = 0; t < taps; ++t)
        for (std::int64_t c = 0; c < plan_.channels; ++c)
          to[t * each + c] = weight[plan_.weight_at(g, first + r, c, plan_.taps[at(t)])];
    }
    unit_.pack_rows({starts.data(), std::is_same_v<W, Half>, rows, taps * each}, taps * stage_.groups,
                    all + tiles_[at(i)],
                    static_cast<std::int64_t>(unit_.a_bytes(rows, taps * stage_.groups)));
  }

  const MatrixUnit& unit_;
  ConvPlan plan_;
  ConvStage stage_;
  Fused fused_;
  int slots_ = 1;
  std::size_t tile_at_ = 0, own_at_ = 0, slot_bytes_ = 0;
  StoragePtr weights_;
  std::vector<std::size_t> tiles_;
  std::vector<float> bias_;
};

bool is_real(DType d) { return d == DType::f16 || d == DType::f32; }

// Whether tiles are mostly full.
bool pays(const ConvPlan& plan) {
  return plan.batch > 0 && plan.channels >= 3 && plan.outs >= 8 && plan.out_plane() >= 8;
}

std::unique_ptr<Kernel> make_unit(const KernelRequest& request) {
  DType dtype = request.in[0].dtype;
  bool half = dtype == DType::f16 && request.in[1].dtype == DType::f16;
  const MatrixUnit* unit =
      half || request.machine.bf16 ? matrix_unit(request.machine.isa, request.machine.bf16) : nullptr;
  if (!unit || !is_real(dtype) || !is_real(request.in[1].dtype) || dtype != request.out[0].dtype)
    return nullptr;
  if (!request.constant(1) || (request.has(2) && !request.constant(2)) || !fused(request)) return nullptr;
  const Shape &x = request.in[0].shape, &w = request.in[1].shape;
  ConvPlan plan =
      plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), request.attrs.integer("groups"));
  int slots = request.machine.pool ? request.machine.pool->threads() : 1;
  std::optional<ConvStage> stage = pays(plan) ? plan_stage(plan, *unit, slots) : std::nullopt;
  if (!stage) return nullptr;
  if (dtype == DType::f16)
    return std::make_unique<ConvUnit<Half>>(request, *unit, std::move(plan), std::move(*stage));
  return std::make_unique<ConvUnit<float>>(request, *unit, std::move(plan), std::move(*stage));
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::conv, "conv_unit", make_unit},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#else
namespace tl::HWY_NAMESPACE {
constexpr KernelTable rows;  // units belong to later instruction sets
}
#endif
TL_EXPORT_KERNELS(conv_unit)
