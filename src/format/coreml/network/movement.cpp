// SPDX-License-Identifier: Apache-2.0
// The older layers that move elements: reshape, permute, concat, slices, borders.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/geometry.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

using Axes = std::vector<std::int64_t>;

// [N, C, H, W] to [N, c, h, w], elements in the order of places first, channels last, in both.
Ex channel_last(Ex x, Shape target) {
  Ex moved = transposed(x, {0, 2, 3, 1});
  return transposed(reshaped(moved, {-1, target[1], target[2], target[0]}), {0, 3, 1, 2});
}

// [Seq, Batch, C, H, W] to [seq, Batch, c, h, w]: each example's elements in their order.
Ex reshaped_sequence(Ex x, const Shape& target, bool last) {
  Ex first = transposed(x, last ? Axes{1, 0, 3, 4, 2} : Axes{1, 0, 2, 3, 4});
  Axes lengths = last ? Axes{-1, target[0], target[2], target[3], target[1]}
                      : Axes{-1, target[0], target[1], target[2], target[3]};
  return transposed(reshaped(first, lengths), last ? Axes{1, 0, 4, 2, 3} : Axes{1, 0, 2, 3, 4});
}

struct Part {
  std::int64_t begin, end, stride;
};

Ex sliced(Ex x, std::int64_t axis, Part part) {
  Axes begin, end, stride, free;
  std::int64_t at = axis_of(x, axis);
  for (std::int64_t d = 0; d < static_cast<std::int64_t>(x.shape().size()); ++d) {
    begin.push_back(d == at ? part.begin : 0), end.push_back(d == at ? part.end : 0);
    stride.push_back(d == at ? part.stride : 1), free.push_back(d != at);
  }
  Place p = x.place();
  return emit(ops::slice_by_index, {x, integers(p, begin), integers(p, end)},
              {{"stride", stride}, {"begin_mask", free}, {"end_mask", free}});
}

}  // namespace

Lowered lower_reshape(Layer& layer) {
  need_inputs(layer, 1);
  Shape target = layer.params.integers(1);
  bool last = layer.params.integer(2) == 1;
  Ex x = layer.in[0];
  require(target.size() == 3 || target.size() == 4, "the target shape must have 3 or 4 lengths");
  for (Dim d : target) require(d > 0, "the lengths of the target shape must be positive");
  if (target.size() == 4) return {reshaped_sequence(ranked(x, 5), target, last)};
  need_elements(x, volume(target));
  Ex flat = planes(x);
  if (last) return {unplanes(channel_last(flat, target), x)};
  return {unplanes(reshaped(flat, {-1, target[0], target[1], target[2]}), x)};
}

Lowered lower_flatten(Layer& layer) {
  need_inputs(layer, 1);
  Ex x = planes(layer.in[0]);
  Ex y = layer.params.integer(1) == 1 ? transposed(x, {0, 2, 3, 1}) : x;
  Dim batch = x.shape()[0];
  Shape inner(x.shape().begin() + 1, x.shape().end());
  Axes lengths = is_known(inner) && volume(inner) > 0 ? Axes{-1, volume(inner), 1, 1}
                 : is_known(batch)                    ? Axes{batch, -1, 1, 1}
                                                      : Axes{};
  if (!lengths.empty()) return {unplanes(reshaped(y, lengths), layer.in[0])};
  Place p = x.place();
  Ex wanted[] = {shape_of(x, 0, 1), integers(p, {-1, 1, 1})};
  Ex shape = emit(ops::concat, wanted, attrs_of({{"axis", std::int64_t{0}}}));
  return {unplanes(emit(ops::reshape, {y, shape}), layer.in[0])};
}

Lowered lower_permute(Layer& layer) {
  need_inputs(layer, 1);
  Axes axes = layer.params.integers(1);
  require(axes.size() == 4, "the permutation must have 4 axes");
  bool seen[4] = {};
  for (std::int64_t a : axes) {
    require(a >= 0 && a < 4 && !seen[a], "the axes are not a permutation of Seq, C, H, W");
    seen[a] = true;
  }
  Ex x = layer.in[0];
  if (axes[0] == 0) return {unplanes(transposed(planes(x), axes), x)};  // Seq and Batch stay in front
  auto place = [](std::int64_t a) { return a == 0 ? a : a + 1; };
  return {transposed(ranked(x, 5), {place(axes[0]), 1, place(axes[1]), place(axes[2]), place(axes[3])})};
}

Lowered lower_concat(Layer& layer) {
  require(!layer.in.empty(), "has no inputs");
  bool sequence = layer.params.flag(100);
  std::size_t rank = sequence ? 5 : 3;
  for (const Ex& x : layer.in) rank = std::max(rank, x.shape().size());
  std::vector<Ex> parts;
  for (const Ex& x : layer.in) parts.push_back(ranked(x, rank));
  return {emit(ops::concat, parts, attrs_of({{"axis", std::int64_t{sequence ? -5 : -3}}}))};
}

Lowered lower_split(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t parts = layer.params.integer(1);
  require(parts > 0 && parts == static_cast<std::int64_t>(layer.outputs.size()),
          "the number of parts is not the number of outputs");
  Ex x = ranked(layer.in[0], 3);
  if (parts == 1) return {x};
  return emit_all(ops::split, std::span(&x, 1),
                  attrs_of({{"num_splits", parts}, {"axis", std::int64_t{-3}}}));
}

Lowered lower_sequence_repeat(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t times = std::max<std::int64_t>(layer.params.integer(1), 1);
  Ex x = ranked(layer.in[0], 5);
  return {emit(ops::tile, {x, integers(x.place(), {times, 1, 1, 1, 1})})};
}

Lowered lower_reorganize_data(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t mode = layer.params.integer(1), block = layer.params.integer(2);
  require(block > 0, "the size of blocks must be positive");
  Ex x = planes(layer.in[0]), y;
  if (mode == 0) y = emit(ops::space_to_depth, {x}, {{"block_size", block}});
  else if (mode == 1) y = emit(ops::depth_to_space, {x}, {{"block_size", block}});
  else if (mode == 2) y = emit(ops::pixel_shuffle, {x}, {{"upscale_factor", block}});
  else throw Error(Code::bad_input, text("there is no mode {} of reorganizing", mode));
  return {unplanes(y, layer.in[0])};
}

Lowered lower_slice(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  std::int64_t axis = p.integer(4);
  require(axis >= 0 && axis <= 2, "slices are along channels, height or width");
  return {sliced(ranked(layer.in[0], static_cast<std::size_t>(3 - axis)), axis - 3,
                 {p.integer(1), p.integer(2), std::max<std::int64_t>(p.integer(3), 1)})};
}

Lowered lower_crop(Layer& layer) {
  need_inputs(layer, 1, 2);
  Ex x = planes(layer.in[0]), y;
  if (layer.in.size() == 1) {
    Axes cut = border(layer.params.message(1));
    y = emit(ops::crop, {x}, {{"crop_height", Axes{cut[0], cut[1]}}, {"crop_width", Axes{cut[2], cut[3]}}});
  } else {
    Axes offset = lengths_of(layer.params, 5, 2, 0);
    Place p = x.place();
    Ex size[] = {integers(p, {-1, -1}), shape_of(planes(layer.in[1]), 2, 4)};
    Ex sizes = emit(ops::concat, size, attrs_of({{"axis", std::int64_t{0}}}));
    y = emit(ops::slice_by_size, {x, integers(p, {0, 0, offset[0], offset[1]}), sizes});
  }
  return {unplanes(y, layer.in[0])};
}

Lowered lower_padding(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Ex x = ranked(layer.in[0], 2);
  std::string mode = p.has(2) ? "reflect" : p.has(3) ? "replicate" : "constant";
  return {emit(ops::pad, {x, integers(x.place(), border(p.message(10)))},
               {{"mode", mode}, {"constant_val", p.message(1).number(1)}})};
}

}  // namespace tl::coreml
