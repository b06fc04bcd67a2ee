// SPDX-License-Identifier: Apache-2.0
// Inverted residuals over images in blocks of channels, in bands of rows (op/conv_inverted.h): what lies
// between the three convolutions stays in 32-bit floats and in a cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/conv_inverted.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "op/conv_inverted.h"
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
#include "op/conv_inverted.inc"
// clang-format on
namespace {

constexpr std::int64_t vectors_of_block = channel_block / gemm_lanes;

struct Weights {  // of a product: [panel][channel][outs of the panel]
  StoragePtr bytes = {};
  bool wide = false;  // they are fp32
  template <class T> const T* from(std::int64_t at) const {
    return reinterpret_cast<const T*>(bytes->data()) + at;
  }
};

struct Packed {
  Weights expand = {}, project = {};
  std::vector<float> window = {};  // [block][tap][16]
  std::array<std::vector<float>, 3> bias = {};
  std::vector<Panel> hidden = {}, outs = {};  // hidden: those of each part after one another
  std::vector<std::size_t> first = {};        // of each part, in `hidden`
};

struct Places {                                                         // bytes of scratch
  std::size_t shared = 0;                                               // sums of all tasks
  std::size_t x = 0, rows = 0, middle = 0, sums = 0, at = 0, kept = 0;  // of a slot, after one another
  std::size_t slot() const { return slot_bytes(x + rows + middle + sums + at + kept); }
};

struct InvertedRun {
  const InvertedPlan& plan;
  const Packed& packed;
  const Places& places;
  const Half* x;
  BlockedFinish finish;  // of the last product
  Half* out;             // of expand_depthwise
  float* shared;
};

struct Rows {
  std::int64_t y = 0, end = 0;         // of outputs
  std::int64_t fresh = 0, needed = 0;  // of the input: those that are new, and where they end
};

struct Chunk {  // blocks of hidden channels
  std::int64_t first = 0, end = 0;
  bool begins = false, ends = false;  // the part
};

// A task, and where it is in its steps.
struct Band {
  std::int64_t n = 0, band = 0, part = 0;
  Rows step = {};
  std::int64_t base = 0;     // the first row of the input that was ever needed
  std::int64_t x_first = 0;  // the row that `x` begins with
  float *x = nullptr, *rows = nullptr, *middle = nullptr, *sums = nullptr;
  std::int32_t *at = nullptr, *kept = nullptr;
};

// The rows from y on, after others of which the input is there up to `fresh`.
HWY_INLINE Rows rows_from(const InvertedPlan& p, std::int64_t y, std::int64_t end, std::int64_t fresh) {
  std::int64_t stride = p.window.stride[1];
  return {y, end, std::max(fresh, y * stride + p.top), (end - 1) * stride + p.top + p.halo};
}

// Where a row of the input is kept: floats from where a block's rows begin, before its padding.
HWY_INLINE std::int64_t kept_at(const Band& t, std::int64_t row) { return t.kept[row - t.base]; }

void place_rows(const InvertedPlan& p, Band& t, std::int64_t outputs) {
  std::int64_t rows = (outputs - 1) * p.window.stride[1] + p.halo, pitch = p.pitch * channel_block;
  for (std::int64_t i = 0, at = 0; i < rows; ++i, at = at + pitch == p.rows * pitch ? 0 : at + pitch)
    t.kept[i] = static_cast<std::int32_t>(at);
}

HWY_INLINE void zero(float* to, std::int64_t n) {
  const hn::ScalableTag<float> d;
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(hn::Zero(d), d, to + i);
}

HWY_INLINE void widen(const Half* from, std::int64_t n, float* to) {
  const hn::ScalableTag<float> d;
  for (std::int64_t i = 0; i < n; i += gemm_lanes) hn::StoreU(load_wide(d, from + i), d, to + i);
}

// The padding beside the rows stays as it is.
HWY_NOINLINE void clear_sides(const InvertedRun& r, const Band& t) {
  const InvertedPlan& p = r.plan;
  std::int64_t before = -p.left, after = p.pitch - before - p.window.in[2];
  for (std::int64_t i = 0; i < p.kept * p.rows; ++i) {
    zero(t.rows + i * p.pitch * channel_block, before * channel_block);
    zero(t.rows + ((i + 1) * p.pitch - after) * channel_block, after * channel_block);
  }
}

// The rows of x that the step needs first, widened: [block][pixel][16]; and where each goes.
HWY_NOINLINE void begin_step(const InvertedRun& r, Band& t) {
  const InvertedPlan& p = r.plan;
  std::int64_t height = p.window.in[1], width = p.window.in[2];
  std::int64_t from = std::clamp<std::int64_t>(t.step.fresh, 0, height),
               to = std::clamp<std::int64_t>(t.step.needed, from, height);
  t.x_first = from;
  std::int32_t* at = t.at;
  for (std::int64_t y = from; y < to; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      *at++ = static_cast<std::int32_t>(kept_at(t, y) + (x - p.left) * channel_block);
  if (!p.expands) return;
  std::int64_t blocks = blocks_of(p.channels), plane = height * width * channel_block;
  const Half* x = r.x + t.n * blocks * plane + from * width * channel_block;
  for (std::int64_t j = 0; j < blocks; ++j)
    widen(x + j * plane, (to - from) * width * channel_block, t.x + j * p.pixels * channel_block);
}

// Where the rows of a block begin.
HWY_INLINE float* rows_of(const InvertedRun& r, const Band& t, std::int64_t block, std::int64_t panel_block) {
  std::int64_t kept = r.plan.ring ? block - r.plan.first_block(t.part) : block - panel_block;
  return t.rows + kept * r.plan.rows * r.plan.pitch * channel_block;
}

// Of weights of so many bytes, of `blocks` blocks of channels: each of `times` products fetches a part.
HWY_INLINE Ahead ahead_of(const void* from, std::int64_t bytes, std::int64_t blocks, std::int64_t i,
                          std::int64_t times) {
  std::int64_t lines = parts_of(parts_of(bytes, 64), blocks * times);
  return {static_cast<const std::byte*>(from) + i * lines * blocks * 64, static_cast<int>(lines)};
}

template <class TB, bool silu>
HWY_NOINLINE void expand(const InvertedRun& r, const Band& t, const Rows& rows, const Panel& panel,
                         std::int64_t first) {
  const InvertedPlan& p = r.plan;
  ExpandTile tile;
  tile.a_step = p.pixels * channel_block;
  tile.depth.blocks = blocks_of(p.channels);
  tile.depth.last = static_cast<int>(p.channels - (tile.depth.blocks - 1) * channel_block);
  std::int64_t channel = (first * vectors_of_block + panel.first) * gemm_lanes;
  tile.bias = r.packed.bias[0].data() + channel;
  tile.clip = p.between[0].clip;
  for (int v = 0; v < panel.vectors; ++v) {
    std::int64_t c = channel + v * gemm_lanes;
    tile.to[static_cast<std::size_t>(v)] =
        rows_of(r, t, c / channel_block, channel / channel_block) + c % channel_block;
  }
  const TB* b = r.packed.expand.from<TB>(channel * p.channels);
  std::int64_t width = p.window.in[2], begin = std::max<std::int64_t>(rows.fresh, 0),
               before = (begin - t.x_first) * width,
               pixels = (std::min(rows.needed, p.window.in[1]) - begin) * width;
  std::int64_t tiles = parts_of(pixels, most_rows(panel.vectors)),
               n = panel.vectors * gemm_lanes * p.channels;
  for (std::int64_t i = 0; i < tiles; ++i) {
    std::int64_t from = before + pixels * i / tiles;
    tile.a = t.x + from * channel_block, tile.at = t.at + from;
    tile.ahead = ahead_of(b + n, n * static_cast<std::int64_t>(sizeof(TB)), tile.depth.blocks, i, tiles);
    expand_function<TB, silu>(static_cast<int>(before + pixels * (i + 1) / tiles - from), panel.vectors)(tile,
                                                                                                         b);
  }
}

// x itself.
HWY_NOINLINE void take(const InvertedRun& r, const Band& t, const Rows& which, std::int64_t block,
                       float* rows) {
  const InvertedPlan& p = r.plan;
  std::int64_t height = p.window.in[1], width = p.window.in[2] * channel_block;
  const Half* x = r.x + (t.n * p.blocks() + block) * height * width;
  for (std::int64_t y = std::max<std::int64_t>(which.fresh, 0); y < std::min(which.needed, height); ++y)
    widen(x + y * width, width, rows + kept_at(t, y) - p.left * channel_block);
}

// The new rows of a panel.
void fill(const InvertedRun& r, const Band& t, const Rows& which, const Panel& panel, std::int64_t first) {
  const InvertedPlan& p = r.plan;
  std::int64_t from = first + panel.first / vectors_of_block,
               end = first + (panel.first + panel.vectors) / vectors_of_block;
  for (std::int64_t block = from; block < end; ++block) {
    float* rows = rows_of(r, t, block, from);
    for (std::int64_t y = which.fresh; y < which.needed; ++y)
      if (y < 0 || y >= p.window.in[1]) zero(rows + kept_at(t, y), p.pitch * channel_block);
    if (!p.expands) take(r, t, which, block, rows);
  }
  if (!p.expands || std::max<std::int64_t>(which.fresh, 0) >= std::min(which.needed, p.window.in[1])) return;
  bool silu = p.between[0].silu;
  if (r.packed.expand.wide) (silu ? expand<float, true> : expand<float, false>)(r, t, which, panel, first);
  else (silu ? expand<Half, true> : expand<Half, false>)(r, t, which, panel, first);
}

// The sums of a band, of each channel.
HWY_INLINE float* band_sums(const InvertedRun& r, const Band& t) {
  return r.shared + (t.n * r.plan.bands + t.band) * r.plan.blocks() * channel_block;
}

// The depthwise sums of a block, to consecutive pixels.
template <bool silu, class Out>
HWY_NOINLINE void sum_block(const InvertedRun& r, const Band& t, const Rows& which, std::int64_t block,
                            const float* rows, Out* out) {
  const InvertedPlan& p = r.plan;
  const ConvPlan& w = p.window;
  const float* from[InvertedPlan::most_taps];
  auto taps = static_cast<std::int64_t>(w.taps.size()), columns = p.columns, lines = taps / columns;
  SumRow<Out>* sum = sum_function<silu, Out>(columns, w.stride[2]);
  WindowRow row{from,
                static_cast<std::size_t>(lines),
                w.stride[2] * channel_block,
                nullptr,
                nullptr,
                p.between[1].clip,
                w.out[2]};
  float* total = p.outs > 0 ? nullptr : band_sums(r, t) + block * channel_block;
  for (std::int64_t y = which.y; y < which.end; ++y, out += w.out[2] * channel_block)
    for (int v = 0; v < channel_block; v += gemm_lanes) {
      for (std::int64_t i = 0; i < lines; ++i) {
        const Tap& tap = w.taps[static_cast<std::size_t>(i * columns)];
        from[i] =
            rows + kept_at(t, y * w.stride[1] + tap.offset[1]) + (tap.offset[2] - p.left) * channel_block + v;
      }
      row.weight = r.packed.window.data() + block * taps * channel_block + v;
      row.bias = r.packed.bias[1].data() + block * channel_block + v;
      row.total = total ? total + v : nullptr;
      sum(row, out + v);
    }
}

void sum_panel(const InvertedRun& r, const Band& t, const Rows& which, const Panel& panel,
               const Chunk& chunk) {
  const InvertedPlan& p = r.plan;
  bool silu = p.between[1].silu;
  std::int64_t first = p.first_block(t.part), from = first + panel.first / vectors_of_block,
               end = first + (panel.first + panel.vectors) / vectors_of_block, width = p.window.out[2];
  for (std::int64_t block = from; block < end; ++block) {
    const float* rows = rows_of(r, t, block, from);
    if (p.outs > 0) {
      float* to =
          t.middle + ((block - chunk.first) * p.step_pixels() + (which.y - t.step.y) * width) * channel_block;
      (silu ? sum_block<true, float> : sum_block<false, float>)(r, t, which, block, rows, to);
    } else {
      Half* to =
          r.out + ((t.n * p.blocks() + block) * p.window.out_plane() + which.y * width) * channel_block;
      (silu ? sum_block<true, Half> : sum_block<false, Half>)(r, t, which, block, rows, to);
    }
  }
}

// ---- the last product

// Sums of all parts and pixels: [n][part][panel][pixel][outs of the panel].
HWY_INLINE float* shared_sums(const InvertedRun& r, std::int64_t n, std::int64_t part, const Panel& panel) {
  std::int64_t plane = r.plan.window.out_plane();
  return r.shared +
         ((n * r.plan.parts + part) * blocks_of(r.plan.outs) * channel_block + panel.first * gemm_lanes) *
             plane;
}

template <class TB>
HWY_NOINLINE void project(const InvertedRun& r, const Band& t, const Chunk& chunk, const Panel& panel) {
  const InvertedPlan& p = r.plan;
  std::int64_t width = panel.vectors * gemm_lanes, hidden = p.hidden(), plane = p.window.out_plane(),
               count = (t.step.end - t.step.y) * p.window.out[2], row = t.step.y * p.window.out[2];
  ProjectTile tile;
  tile.a_step = p.step_pixels() * channel_block, tile.blocks = chunk.end - chunk.first;
  std::int64_t depth = std::min(chunk.end * channel_block, hidden) - chunk.first * channel_block;
  tile.last = static_cast<int>(depth - (tile.blocks - 1) * channel_block), tile.more = !chunk.begins;
  const TB* b =
      r.packed.project.from<TB>(panel.first * gemm_lanes * hidden + chunk.first * channel_block * width);
  std::int64_t tiles = parts_of(count, most_rows(panel.vectors));
  float* sums = p.parts > 1 ? shared_sums(r, t.n, t.part, panel) + row * width
                            : t.sums + panel.first * gemm_lanes * p.step_pixels() * p.whole;
  bool stores = p.parts == 1 && chunk.ends;
  for (std::int64_t i = 0; i < tiles; ++i) {
    std::int64_t at = count * i / tiles;
    int rows = static_cast<int>(count * (i + 1) / tiles - at);
    float* c = p.whole ? sums + at * width : sums;
    tile.a = t.middle + at * channel_block;
    tile.ahead = ahead_of(b + hidden * width, depth * width * static_cast<std::int64_t>(sizeof(TB)),
                          tile.blocks, i, tiles);
    project_function<TB>(rows, panel.vectors)(tile, b, c);
    if (stores)
      store_blocked(r.finish, c, r.packed.bias[2].data(), rows, panel,
                    {t.n * blocks_of(p.outs) * plane + row + at, plane});
  }
}

void project_all(const InvertedRun& r, const Band& t, const Chunk& chunk) {
  for (const Panel& panel : r.packed.outs)
    (r.packed.project.wide ? project<float> : project<Half>)(r, t, chunk, panel);
}

HWY_NOINLINE void run_step(const InvertedRun& r, Band& t) {
  const InvertedPlan& p = r.plan;
  begin_step(r, t);
  std::int64_t first = p.first_block(t.part), end = p.first_block(t.part + 1);
  Chunk chunk{first, first, true, false};
  for (std::size_t i = r.packed.first[static_cast<std::size_t>(t.part)];
       i < r.packed.first[static_cast<std::size_t>(t.part) + 1]; ++i) {
    const Panel& panel = r.packed.hidden[i];
    std::int64_t next = first + (panel.first + panel.vectors) / vectors_of_block;
    if (p.outs > 0 && next - chunk.first > p.chunk) {
      project_all(r, t, chunk);
      chunk = {chunk.end, chunk.end, false, false};
    }
    std::int64_t fresh = t.step.fresh;
    for (std::int64_t y = t.step.y; y < t.step.end; y += p.few) {
      Rows rows = rows_from(p, y, std::min(y + p.few, t.step.end), fresh);
      fresh = rows.needed;
      fill(r, t, rows, panel, first);
      sum_panel(r, t, rows, panel, chunk);
    }
    chunk.end = next;
  }
  chunk.ends = chunk.end == end;
  if (p.outs > 0) project_all(r, t, chunk);
}

HWY_NOINLINE void run_task(const InvertedRun& r, std::int64_t i, std::byte* scratch) {
  const InvertedPlan& p = r.plan;
  Band t;
  t.part = i % p.parts, t.band = i / p.parts % p.bands, t.n = i / p.parts / p.bands;
  auto take_bytes = [&](std::size_t bytes) {
    std::byte* at = scratch;
    scratch += bytes;
    return reinterpret_cast<float*>(at);
  };
  t.x = take_bytes(r.places.x), t.rows = take_bytes(r.places.rows);
  t.middle = take_bytes(r.places.middle), t.sums = take_bytes(r.places.sums);
  t.at = reinterpret_cast<std::int32_t*>(take_bytes(r.places.at));
  t.kept = reinterpret_cast<std::int32_t*>(take_bytes(r.places.kept));
  std::int64_t y = p.first_row(t.band), last = p.first_row(t.band + 1);
  t.base = y * p.window.stride[1] + p.top;
  place_rows(p, t, last - y);
  clear_sides(r, t);
  if (p.outs == 0)
    zero(band_sums(r, t) + p.first_block(t.part) * channel_block,
         (p.first_block(t.part + 1) - p.first_block(t.part)) * channel_block);
  for (std::int64_t fresh = t.base; y < last; y = t.step.end) {
    t.step = rows_from(p, y, std::min(y + p.step, last), fresh);
    run_step(r, t);
    if (p.ring) fresh = t.step.needed;
  }
}

// ---- what is left when all tasks are done

// Adds up what the parts give, some pixels at a time, and stores it.
HWY_NOINLINE void join_parts(const InvertedRun& r, std::int64_t i, std::int64_t pieces) {
  const hn::ScalableTag<float> d;
  const InvertedPlan& p = r.plan;
  std::int64_t n = i / pieces, piece = i % pieces, plane = p.window.out_plane();
  std::int64_t first = plane * piece / pieces, end = plane * (piece + 1) / pieces;
  for (const Panel& panel : r.packed.outs) {
    std::int64_t width = panel.vectors * gemm_lanes;
    float* sums = shared_sums(r, n, 0, panel) + first * width;
    for (std::int64_t part = 1; part < p.parts; ++part) {
      const float* more = shared_sums(r, n, part, panel) + first * width;
      for (std::int64_t k = 0; k < (end - first) * width; k += gemm_lanes)
        hn::StoreU(hn::Add(hn::LoadU(d, sums + k), hn::LoadU(d, more + k)), d, sums + k);
    }
    store_blocked(r.finish, sums, r.packed.bias[2].data(), static_cast<int>(end - first), panel,
                  {n * blocks_of(p.outs) * plane + first, plane});
  }
}

// The means, of the sums of bands.
void store_means(const InvertedRun& r, Half* to) {
  const hn::ScalableTag<float> d;
  const InvertedPlan& p = r.plan;
  auto divide = hn::Set(d, static_cast<float>(p.window.out_plane()));
  std::int64_t all = p.blocks() * channel_block;
  for (std::int64_t n = 0; n < p.batch(); ++n)
    for (std::int64_t i = 0; i < all; i += gemm_lanes) {
      const float* from = r.shared + n * p.bands * all + i;
      auto sum = hn::LoadU(d, from);
      for (std::int64_t band = 1; band < p.bands; ++band) sum = hn::Add(sum, hn::LoadU(d, from + band * all));
      store_rounded(d, hn::Div(sum, divide), to + n * all + i);
    }
}

// ---- packing

template <class To>
void pack_panel(const Panel& panel, std::int64_t channels, std::int64_t outs, const Half* weight, To* to) {
  std::int64_t width = panel.vectors * gemm_lanes, first = panel.first * gemm_lanes;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t o = first; o < first + width; ++o, ++to)
      put(o < outs ? widened(weight[o * channels + c]) : 0, to);
}

struct Product {
  const Tensor& weight;
  std::int64_t outs, channels;
};

// Panels are counted from the first output.
Weights pack_product(const Machine& machine, const Product& p, const std::vector<Panel>& panels) {
  constexpr std::int64_t few = 128 << 10;
  std::int64_t all = blocks_of(p.outs) * channel_block * p.channels;
  Weights w;
  w.wide = all <= few;
  std::string form = "inverted " + std::to_string(p.channels) + (w.wide ? " w" : " ");
  for (const Panel& panel : panels) form += std::to_string(panel.vectors);
  w.bytes = packed_constant(
      machine, p.weight, form, static_cast<std::size_t>(all) * (w.wide ? sizeof(float) : sizeof(Half)),
      [&](std::byte* to) {
        const Half* from = reinterpret_cast<const Half*>(p.weight.data());
        for (const Panel& panel : panels) {
          std::int64_t at = panel.first * gemm_lanes * p.channels;
          if (w.wide) pack_panel(panel, p.channels, p.outs, from, reinterpret_cast<float*>(to) + at);
          else pack_panel(panel, p.channels, p.outs, from, reinterpret_cast<Half*>(to) + at);
        }
      });
  return w;
}

std::vector<float> pack_window(const ConvPlan& plan, const Half* weight) {
  auto taps = static_cast<std::int64_t>(plan.taps.size());
  std::vector<float> packed(static_cast<std::size_t>(blocks_of(plan.groups) * channel_block * taps), 0.0F);
  for (std::int64_t c = 0; c < plan.groups; ++c)
    for (std::int64_t t = 0; t < taps; ++t)
      packed[static_cast<std::size_t>((c / channel_block * taps + t) * channel_block + c % channel_block)] =
          to_float(weight[c * plan.kernel_volume + plan.taps[static_cast<std::size_t>(t)].weight]);
  return packed;
}

std::vector<float> pack_bias(const KernelRequest& request, std::size_t input, std::int64_t outs) {
  std::vector<float> bias(static_cast<std::size_t>(blocks_of(outs) * channel_block), 0.0F);
  if (!request.has(input)) return bias;
  std::vector<double> given = to_doubles(*request.constant(input));
  std::copy(given.begin(), given.end(), bias.begin());
  return bias;
}

Packed pack(const KernelRequest& request, const InvertedPlan& p) {
  Packed packed;
  std::vector<Panel> panels;
  for (std::int64_t part = 0; part < p.parts; ++part) {
    packed.first.push_back(packed.hidden.size());
    for (Panel panel : panels_of((p.first_block(part + 1) - p.first_block(part)) * vectors_of_block)) {
      packed.hidden.push_back(panel);
      panel.first += p.first_block(part) * vectors_of_block;
      panels.push_back(panel);
    }
  }
  packed.first.push_back(packed.hidden.size());
  if (p.expands) {
    packed.expand = pack_product(request.machine, {*request.constant(1), p.hidden(), p.channels}, panels);
    packed.bias[0] = pack_bias(request, 2, p.hidden());
  }
  packed.window = pack_window(p.window, reinterpret_cast<const Half*>(request.constant(3)->data()));
  packed.bias[1] = pack_bias(request, 4, p.hidden());
  if (p.outs == 0) return packed;
  packed.outs = panels_of(blocks_of(p.outs) * vectors_of_block);
  packed.project = pack_product(request.machine, {*request.constant(5), p.outs, p.hidden()}, packed.outs);
  packed.bias[2] = pack_bias(request, 6, p.outs);
  return packed;
}

Places places_of(const InvertedPlan& p) {
  constexpr std::int64_t line = channel_block * 4;
  Places places;
  std::int64_t outs = blocks_of(p.outs), plane = p.window.out_plane();
  places.shared = aligned_bytes(line * p.batch() *
                                (p.outs == 0   ? p.bands * p.blocks()
                                 : p.parts > 1 ? p.parts * outs * plane
                                               : 0));
  places.x = p.expands ? aligned_bytes(line * p.pixels * blocks_of(p.channels)) : 0;
  places.rows = aligned_bytes(line * p.rows * p.pitch * p.kept);
  places.middle = aligned_bytes(line * p.step_pixels() * p.chunk);
  std::int64_t tile = tile_rows * most_vectors * gemm_lanes * 4;
  places.sums = p.parts > 1 ? 0 : aligned_bytes(p.whole ? line * p.step_pixels() * outs : tile);
  places.at = aligned_bytes(p.pixels * 4);
  std::int64_t band = parts_of(p.window.out[1], p.bands);
  places.kept = aligned_bytes(((band - 1) * p.window.stride[1] + p.halo) * 4);
  return places;
}

class Inverted final : public Kernel {
 public:
  Inverted(const KernelRequest& request, InvertedPlan plan, Fused fused)
      : plan_(std::move(plan)), fused_(fused), packed_(pack(request, plan_)), places_(places_of(plan_)) {
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    scratch = places_.shared + places_.slot() * static_cast<std::size_t>(slots_);
    silu_ = ends_with_silu(request);
    std::size_t constants = plan_.outs > 0 ? 7 : 5;
    for (std::size_t i = 0; i < request.in.size(); ++i)
      packed.push_back(i > 0 && i < constants && request.has(i));
    const ConvPlan& w = plan_.window;
    double in = static_cast<double>(plan_.expands ? plan_.channels * w.in_plane() : 0);
    double out = static_cast<double>((static_cast<std::int64_t>(w.taps.size()) + plan_.outs) * w.out_plane());
    flops = 2.0 * static_cast<double>(plan_.batch() * plan_.hidden()) * (in + out);
  }

  void run(const KernelCall& call) const noexcept override {
    InvertedRun r{plan_,
                  packed_,
                  places_,
                  call.input<Half>(0),
                  {},
                  nullptr,
                  reinterpret_cast<float*>(call.scratch + places_.slot() * static_cast<std::size_t>(slots_))};
    if (plan_.outs > 0) r.finish = {finish_of<Half>(fused_, call), silu_};
    else r.out = call.output<Half>(0);
    each_nearby(call.pool, plan_.batch() * plan_.bands * plan_.parts, slots_, [&](std::int64_t i, int slot) {
      run_task(r, i, call.scratch + static_cast<std::size_t>(slot) * places_.slot());
    });
    if (plan_.outs == 0) return store_means(r, call.output<Half>(1));
    if (plan_.parts == 1) return;
    std::int64_t pieces = std::min<std::int64_t>(slots_, plan_.window.out_plane());
    each_nearby(call.pool, plan_.batch() * pieces, slots_,
                [&](std::int64_t i, int) { join_parts(r, i, pieces); });
  }

 private:
  InvertedPlan plan_;
  Fused fused_;
  Packed packed_;
  Places places_;
  int slots_ = 1;
  bool silu_ = false;
};

// Halves, constant weights; no image is empty.
bool takes(const KernelRequest& request, std::size_t constants) {
  if (HWY_TARGET == HWY_SSE4) return false;
  for (std::size_t i = 0; i < constants; ++i) {
    if (!request.has(i)) continue;
    if (request.in[i].dtype != DType::f16 || (i > 0 && !request.constant(i))) return false;
  }
  for (const Type& t : request.out)
    if (t.dtype != DType::f16 || volume(t.shape) == 0) return false;
  return volume(request.in[0].shape) > 0;
}

template <bool whole> std::unique_ptr<Kernel> make_inverted(const KernelRequest& request) {
  std::optional<Fused> what = fused(request);
  if (!what || !takes(request, whole ? 7 : 5) || (!whole && !request.post.empty())) return nullptr;
  int slots = request.machine.pool ? request.machine.pool->threads() : 1;
  std::optional<InvertedPlan> plan = plan_inverted(request, slots, parts_of(most_vectors, vectors_of_block));
  if (!plan) return nullptr;
  return std::make_unique<Inverted>(request, std::move(*plan), *what);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::inverted_residual, "conv_inverted", make_inverted<true>},
    {&ops::expand_depthwise, "conv_inverted", make_inverted<false>},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(conv_inverted)
