// SPDX-License-Identifier: Apache-2.0
// Inverted residuals as one operation: what they are in others, and how work is cut into bands and parts.
#include "op/conv_inverted.h"

#include <algorithm>

#include "ir/ex.h"
#include "op/formulas.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::size_t window_weight = 3, project_weight = 5;

Attrs window_attrs(const Attrs& attrs, std::int64_t groups) {
  Attrs window;
  for (std::string_view name : {"strides", "pad_type", "pad", "dilations"})
    if (const AttrValue* value = attrs.find(name)) window.set(name, *value);
  window.set("groups", groups);
  return window;
}

Between between_of(const Attrs& attrs, std::string_view which) {
  std::string prefix(which);
  const std::string& word = attrs.word(prefix);
  Between b;
  b.silu = word == "silu";
  if (word == "clip")
    b.clip = {static_cast<float>(attrs.number(prefix + "_low")),
              static_cast<float>(attrs.number(prefix + "_high"))};
  return b;
}

// ---- in other operations

Ex followed(Ex x, const Attrs& attrs, std::string_view which) {
  Between b = between_of(attrs, which);
  if (b.silu) return silu(x);
  if (b.clip.is_none()) return x;
  return emit(ops::minimum, {emit(ops::maximum, {x, Ex(b.clip.low)}), Ex(b.clip.high)});
}

Ex conv_of(Ex x, Ex weight, Ex bias, const Attrs& attrs) {
  std::array<Ex, 4> in{x, weight, bias, Ex()};
  return emit(ops::conv_blocked, in, attrs);
}

Ex hidden_of(std::span<const Ex> in, const Attrs& attrs) {
  Ex x = in[0];
  if (in[1]) x = followed(conv_of(x, in[1], in[2], {}), attrs, "first");
  std::int64_t groups = in[window_weight].shape()[0];
  return followed(conv_of(x, in[window_weight], in[window_weight + 1], window_attrs(attrs, groups)), attrs,
                  "second");
}

std::vector<Ex> decompose_whole(std::span<const Ex> in, const Attrs& attrs) {
  return {conv_of(hidden_of(in, attrs), in[project_weight], in[project_weight + 1], {})};
}
std::vector<Ex> decompose_first(std::span<const Ex> in, const Attrs& attrs) {
  Ex y = hidden_of(in, attrs);
  return {y, emit(ops::reduce_mean, {y}, {{"axes", std::vector<std::int64_t>{2, 3}}, {"keep_dims", true}})};
}

// The type of what the depthwise convolution gives.
Type infer_hidden(const InferCall& call) {
  const Type &x = call.type(0), &w = call.type(window_weight);
  Attrs attrs = complete({ops::conv_blocked.attrs.begin(), ops::conv_blocked.attrs.end()},
                         window_attrs(call.attrs, w.shape[0]));
  Type in(x.dtype, {x.shape[0], blocks_of(w.shape[0]), x.shape[2], x.shape[3], channel_block});
  std::array<Type, 4> types{in, w, call.type(window_weight + 1), Type()};
  std::array<const Tensor*, 4> values{};
  std::array<bool, 4> given{true, true, call.has(window_weight + 1), false};
  return ops::conv_blocked.infer({types, values, given, attrs}).front();
}
std::vector<Type> infer_whole(const InferCall& call) {
  Type y = infer_hidden(call);
  y.shape[1] = blocks_of(call.type(project_weight).shape[0]);
  return {y};
}
std::vector<Type> infer_first(const InferCall& call) {
  Type y = infer_hidden(call);
  return {y, Type(y.dtype, {y.shape[0], y.shape[1], 1, 1, channel_block})};
}

constexpr AttrDef strides{"strides", AttrKind::integers}, pad_sizes{"pad", AttrKind::integers},
    dilations{"dilations", AttrKind::integers},
    pad_type{"pad_type", AttrKind::word, "valid", "valid custom same same_lower"},
    first{"first", AttrKind::word, "none", "none clip silu"}, first_low{"first_low", AttrKind::number, "0"},
    first_high{"first_high", AttrKind::number, "0"},
    second{"second", AttrKind::word, "none", "none clip silu"},
    second_low{"second_low", AttrKind::number, "0"}, second_high{"second_high", AttrKind::number, "0"};

// ---- how it is cut

std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

class Cutter {
 public:
  Cutter(const InvertedPlan& plan, std::int64_t slots, std::int64_t panel)
      : plan_(plan), slots_(slots), panel_(panel) {}

  std::optional<InvertedPlan> run() {
    double best = std::numeric_limits<double>::infinity();
    std::optional<InvertedPlan> chosen;
    std::int64_t most_parts = plan_.outs > 0 && plan_.batch() > 1 ? 1 : 2 * slots_;
    for (std::int64_t bands = 1; bands <= std::min<std::int64_t>(plan_.window.out[1], 4 * slots_ + 8);
         ++bands)
      for (std::int64_t parts = 1; parts <= std::min(plan_.blocks(), most_parts); ++parts) {
        InvertedPlan p = plan_;
        p.bands = bands, p.parts = parts;
        if (!lay_out(p)) continue;
        double cost = cost_of(p);
        if (cost >= best) continue;
        best = cost;
        chosen = p;
      }
    return chosen;
  }

 private:
  static constexpr std::int64_t cache = 400 << 10, line = channel_block * 4;

  std::int64_t rows_for(std::int64_t outputs) const {
    return (outputs - 1) * plan_.window.stride[1] + plan_.halo;
  }
  std::int64_t bytes_of(const InvertedPlan& p) const {
    std::int64_t sums = p.whole ? p.step_pixels() * blocks_of(p.outs) : 0;
    return line * (p.pixels * blocks_of(p.channels) * p.expands + p.rows * p.pitch * p.kept +
                   p.step_pixels() * p.chunk + sums);
  }

  // So few that what a panel is expanded to is still in the first cache when it is read.
  std::int64_t rows_near(const InvertedPlan& p, std::int64_t step) const {
    constexpr std::int64_t near = 18 << 10;
    std::int64_t few = near / (line * std::min<std::int64_t>(panel_, 2) * p.pitch * p.window.stride[1]);
    few = std::clamp<std::int64_t>(few, 1, step);
    return parts_of(step, parts_of(step, few));
  }

  void place(InvertedPlan& p, std::int64_t step, bool ring) const {
    std::int64_t blocks = parts_of(p.blocks(), p.parts);
    p.step = step, p.ring = ring;
    p.few = rows_near(p, step);
    p.rows = rows_for(step);
    p.pixels = std::min(p.rows, p.window.in[1]) * p.window.in[2];
    p.kept = ring ? blocks : std::min(panel_, blocks);
    p.chunk = p.outs > 0 ? blocks : 0;
    p.whole = p.parts > 1 && p.outs > 0;
  }

  // All rows of a band at once, if that fits a cache, a chunk of its blocks at a time; else some.
  bool lay_out(InvertedPlan& p) const {
    constexpr std::int64_t enough = 6;
    std::int64_t band = parts_of(p.window.out[1], p.bands);
    place(p, band, false);
    if (p.chunk > enough && bytes_of(p) > cache) {
      p.whole = true;
      std::int64_t rest = cache - (bytes_of(p) - line * p.step_pixels() * p.chunk), all = p.chunk;
      p.chunk = std::clamp(rest / (line * p.step_pixels()), enough, all);
      p.chunk = std::max(enough, parts_of(all, parts_of(all, p.chunk)));
    }
    if (bytes_of(p) <= cache) return true;
    for (std::int64_t step = band; step > 0; step = step > 8 ? step / 2 : step - 1) {
      place(p, step, true);
      if (bytes_of(p) <= cache) return true;
    }
    return bytes_of(p) <= 2 * cache;
  }

  // Cycles, roughly, of the slot that has most to do.
  double cost_of(const InvertedPlan& p) const {
    constexpr double per_barrier = 15000, per_byte = 0.06;
    const ConvPlan& w = p.window;
    auto at = [](std::int64_t n) { return static_cast<double>(n); };
    std::int64_t band = parts_of(w.out[1], p.bands);
    double hidden = at(parts_of(p.blocks(), p.parts)), in = at(std::min(rows_for(band), w.in[1]) * w.in[2]),
           out = at(band * w.out[2]), outs = at(blocks_of(p.outs));
    double expand =
        p.expands ? in * (hidden * (at(p.channels) + 3) + 4 * at(blocks_of(p.channels))) : in * hidden * 4;
    double sums = out * hidden * (at(static_cast<std::int64_t>(w.taps.size())) * 1.2 + 4);
    double project = out * outs * (hidden * channel_block + (p.whole ? 8 : 3));
    double weights = hidden * channel_block * at(p.channels * p.expands + p.outs) * 2 * per_byte;
    double tasks = at(parts_of(p.batch() * p.bands * p.parts, slots_));
    double cost = tasks * (expand + sums + project + weights + 500);
    if (p.outs > 0 && p.parts > 1)
      cost += per_barrier + at(p.batch() * w.out_plane()) * outs * at(p.parts) * 6 / at(slots_);
    return cost;
  }

  const InvertedPlan& plan_;
  std::int64_t slots_, panel_;
};

void read_window(InvertedPlan& p) {
  const ConvPlan& w = p.window;
  std::int64_t bottom = w.taps[0].offset[1], right = w.taps[0].offset[2];
  p.top = bottom, p.left = right;
  for (const Tap& tap : w.taps) {
    p.top = std::min(p.top, tap.offset[1]), bottom = std::max(bottom, tap.offset[1]);
    p.left = std::min(p.left, tap.offset[2]), right = std::max(right, tap.offset[2]);
  }
  p.halo = bottom - p.top + 1;
  std::int64_t columns = right - p.left + 1;
  bool together = columns * p.halo == static_cast<std::int64_t>(w.taps.size());
  if (together && (columns == 3 || columns == 5) && w.stride[2] <= 2) p.columns = columns;
  p.pitch = std::max(w.in[2] - p.left, (w.out[2] - 1) * w.stride[2] + right - p.left + 1);
}

}  // namespace

std::optional<InvertedPlan> plan_inverted(const KernelRequest& request, int slots,
                                          std::int64_t panel_blocks) {
  const Shape &x = request.in[0].shape, &w = request.in[window_weight].shape;
  if (x.size() != 5 || w[1] != 1) return std::nullopt;
  InvertedPlan p;
  Shape plain = plain_shape(x, w[0]);
  Attrs attrs = complete({ops::conv.attrs.begin(), ops::conv.attrs.end()}, window_attrs(request.attrs, w[0]));
  p.window = plan_conv(plain, w, windows_of(ops::conv, plain, w, attrs), w[0]);
  if (p.window.in[0] != 1 || p.window.taps.size() > InvertedPlan::most_taps || p.window.taps[0].offset[2] > 0)
    return std::nullopt;
  p.expands = request.has(1);
  p.channels = p.expands ? request.in[1].shape[1] : w[0];
  if (&request.op == &ops::inverted_residual) p.outs = request.in[project_weight].shape[0];
  p.between = {between_of(request.attrs, "first"), between_of(request.attrs, "second")};
  read_window(p);
  return Cutter(p, slots, panel_blocks).run();
}

constinit const OpDef ops::inverted_residual{
    .name = "inverted_residual",
    .doc = "conv 1x1, depthwise conv and conv 1x1 over an image in blocks of channels",
    .inputs = {"x",
               {"expand_weight", Arity::optional},
               {"expand_bias", Arity::optional},
               "weight",
               {"bias", Arity::optional},
               "project_weight",
               {"project_bias", Arity::optional}},
    .attrs = {strides, pad_type, pad_sizes, dilations, first, first_low, first_high, second, second_low,
              second_high},
    .infer = infer_whole,
    .decompose = decompose_whole,
    .near_zero = 5e-5,
};

constinit const OpDef ops::expand_depthwise{
    .name = "expand_depthwise",
    .doc = "conv 1x1 and depthwise conv over an image in blocks of channels, and the mean of each channel",
    .inputs = {"x",
               {"expand_weight", Arity::optional},
               {"expand_bias", Arity::optional},
               "weight",
               {"bias", Arity::optional}},
    .attrs = {strides, pad_type, pad_sizes, dilations, first, first_low, first_high, second, second_low,
              second_high},
    .outputs = {"output", "mean"},
    .infer = infer_first,
    .decompose = decompose_first,
    .near_zero = 5e-5,
};

}  // namespace tl
