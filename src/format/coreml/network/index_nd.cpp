// SPDX-License-Identifier: Apache-2.0
// Layers that go by indices, give them, or choose by conditions: gather, scatter, sorts, masks, boxes.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

std::string scatter_word(const Layer& l, std::uint32_t field) {
  constexpr std::string_view words[] = {"update", "add", "sub", "mul", "div", "max", "min"};
  std::int64_t mode = l.params.integer(field);
  if (mode < 0 || mode > 6)
    throw Error(Code::bad_input, text("has mode {}, which is not one of 0 to 6", mode));
  return std::string(words[mode]);
}

Lowered gathered(Layer& l, const OpDef& op) {
  need_inputs(l, 2);
  return {emit(op, {l.in[0], int32(l.in[1])}, {{"axis", l.params.integer(1)}})};
}

Lowered scattered(Layer& l, const OpDef& op) {
  need_inputs(l, 3);
  return {emit(op, {l.in[0], int32(l.in[1]), l.in[2]},
               {{"axis", l.params.integer(1)}, {"mode", scatter_word(l, 2)}})};
}

Lowered extreme(Layer& l, const OpDef& op) {
  need_inputs(l, 1);
  return {some_rank(
      fp32(emit(op, {l.in[0]}, {{"axis", l.params.integer(1)}, {"keep_dims", !l.params.flag(2)}})))};
}

}  // namespace

Lowered lower_gather(Layer& l) { return gathered(l, ops::gather); }
Lowered lower_gather_along_axis(Layer& l) { return gathered(l, ops::gather_along_axis); }
Lowered lower_scatter(Layer& l) { return scattered(l, ops::scatter); }
Lowered lower_scatter_along_axis(Layer& l) { return scattered(l, ops::scatter_along_axis); }
Lowered lower_arg_min(Layer& l) { return extreme(l, ops::reduce_argmin); }
Lowered lower_arg_max(Layer& l) { return extreme(l, ops::reduce_argmax); }

Lowered lower_gather_nd(Layer& l) {
  need_inputs(l, 2);
  return {emit(ops::gather_nd, {l.in[0], int32(l.in[1])})};
}

Lowered lower_scatter_nd(Layer& l) {
  need_inputs(l, 3);
  return {emit(ops::scatter_nd, {l.in[0], int32(l.in[1]), l.in[2]}, {{"mode", scatter_word(l, 1)}})};
}

// ---- orders

Lowered lower_arg_sort(Layer& l) {
  need_inputs(l, 1);
  return {
      fp32(emit(ops::argsort, {l.in[0]}, {{"axis", l.params.integer(1)}, {"ascending", !l.params.flag(2)}}))};
}

namespace {

// As many as an input says when it runs: everything sorted, and the first of it.
Lowered first_of_sorted(Layer& l, std::int64_t axis, bool ascending) {
  Ex order = emit(ops::argsort, {l.in[0]}, {{"axis", axis}, {"ascending", ascending}});
  Ex values = emit(ops::gather_along_axis, {l.in[0], order}, {{"axis", axis}});
  std::size_t rank = rank_of(l.in[0]);
  Ex begin = integers(l.place, Integers(rank, 0)), end = at_axis(int32(l.in[1]), axis, rank);
  Integers others(rank, 1);
  others[static_cast<std::size_t>(wrap_axis(axis, rank))] = 0;
  auto first = [&](const Ex& x) {
    return emit(ops::slice_by_index, {x, begin, end}, {{"end_mask", others}});
  };
  return {first(values), fp32(first(order))};
}

}  // namespace

Lowered lower_top_k(Layer& l) {
  need_inputs(l, 1, 2);
  std::int64_t axis = l.params.integer(1), k = l.params.integer(2);
  bool ascending = l.params.flag(3);
  if (l.in.size() == 2) {
    auto given = constant_integers(l, 1);
    if (!given) return first_of_sorted(l, axis, ascending);
    if (given->size() != 1) throw Error(Code::bad_input, "its second input must be one number");
    k = given->front();
  }
  if (k < 1) throw Error(Code::bad_input, text("asks for {} elements", k));
  Lowered out = emit_all(ops::topk, std::array{l.in[0]},
                         attrs_of({{"k", k}, {"axis", axis}, {"ascending", ascending}}));
  out[1] = fp32(out[1]);
  return out;
}

Lowered lower_cum_sum(Layer& l) {
  need_inputs(l, 1, 2);
  std::int64_t axis =
      l.in.size() == 2 ? static_cast<std::int64_t>(constant_number(l, 1, "its axis")) : l.params.integer(1);
  return {emit(ops::cumsum, {l.in[0]},
               {{"axis", axis}, {"exclusive", l.params.flag(2)}, {"reverse", l.params.flag(3)}})};
}

Lowered lower_one_hot(Layer& l) {
  need_inputs(l, 1, 2);
  Ex size = l.in.size() == 2 ? one_number(int32(l.in[1])) : integer(l.place, l.params.integer(1));
  return {emit(ops::one_hot, {int32(l.in[0]), size},
               {{"axis", l.params.integer(2)},
                {"on_value", l.params.number(3)},
                {"off_value", l.params.number(4)},
                {"dtype", std::string("fp32")}})};
}

// ---- masks and choices

Lowered lower_where_non_zero(Layer& l) {
  need_inputs(l, 1);
  return {fp32(emit(ops::non_zero, {l.in[0]}))};
}

Lowered lower_where_broadcastable(Layer& l) {
  need_inputs(l, 3);
  return {select(truth(l.in[0]), l.in[1], l.in[2])};
}

namespace {

Lowered band(Layer& l, std::int64_t lower, std::int64_t upper) {
  return {emit(ops::band_part, {l.in[0]},
               {{"lower", std::max<std::int64_t>(lower, -1)}, {"upper", std::max<std::int64_t>(upper, -1)}})};
}

// 0, 1, … along dimension `axis` (from the end) of x.
Ex places(const Ex& x, std::int64_t axis) {
  Ex length = emit(ops::gather, {shape_of(x), integers(x.place(), {axis})});
  return emit(ops::range_1d, {one_number(length), integer(x.place(), 0), integer(x.place(), 1)});
}

// x where column - row is on the given side of k, else 0: bands that do not contain the diagonal.
Lowered triangle(Layer& l, const OpDef& side, std::int64_t k) {
  const Ex& x = l.in[0];
  if (rank_of(x) < 2) throw Error(Code::bad_input, "takes matrices, not a vector");
  Ex rows = emit(ops::expand_dims, {places(x, -2)}, {{"axes", Integers{1}}});
  Ex mask = emit(side, {places(x, -1) - rows, Ex(static_cast<double>(k))});
  return {select(mask, x, 0)};
}

}  // namespace

Lowered lower_matrix_band_part(Layer& l) {
  need_inputs(l, 1);
  return band(l, l.params.integer(1), l.params.integer(2));
}

Lowered lower_lower_triangular(Layer& l) {
  need_inputs(l, 1);
  std::int64_t k = l.params.integer(1);
  return k >= 0 ? band(l, -1, k) : triangle(l, ops::less_equal, k);
}

Lowered lower_upper_triangular(Layer& l) {
  need_inputs(l, 1);
  std::int64_t k = l.params.integer(1);
  return k <= 0 ? band(l, -k, -1) : triangle(l, ops::greater_equal, k);
}

// Limits that are inputs become attributes where they are constant: then the shapes are known.
Lowered lower_non_maximum_suppression(Layer& l) {
  need_inputs(l, 2, 5);
  std::array<double, 3> limits{l.params.number(1), l.params.number(2),
                               static_cast<double>(l.params.integer(3))};
  std::vector<Ex> in{l.in[0], l.in[1], Ex(), Ex(), Ex()};
  for (std::size_t k = 2; k < l.in.size(); ++k) {
    if (const Tensor* t = l.in[k].constant(); t && t->size() == 1) limits[k - 2] = to_doubles(*t)[0];
    else in[k] = one_number(k == 4 ? int32(l.in[k]) : l.in[k]);
  }
  if (!(limits[2] >= 0 && limits[2] < 0x1p31))
    throw Error(Code::bad_input, text("keeps at most {} boxes", limits[2]));
  Lowered out = emit_all(ops::non_maximum_suppression, in,
                         attrs_of({{"iou_threshold", limits[0]},
                                   {"score_threshold", limits[1]},
                                   {"max_boxes", static_cast<std::int64_t>(limits[2])},
                                   {"per_class_suppression", l.params.flag(4)},
                                   {"boxes_last", false}}));
  for (Ex& x : out) x = fp32(x);
  return out;
}

}  // namespace tl::coreml
