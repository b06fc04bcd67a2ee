// SPDX-License-Identifier: Apache-2.0
// Layers that keep their elements and change the shape around them, or put blobs together and take them
// apart.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

void need_axes(const Layer& l, const Integers& axes) {
  if (axes.empty()) throw Error(Code::bad_input, text("has no {}", l.type == 985 ? "permutation" : "axes"));
}

// x in another shape: a 0 keeps the dimension of the same place, a -1 is what is left.
Ex keeping(const Ex& x, Integers shape) {
  if (shape.empty()) shape = {1};
  bool keeps = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (keeps && shape.size() != rank_of(x))  // the operation counts from the right
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] != 0) continue;
      if (d >= x.shape().size() || !is_known(x.shape()[d]))
        throw Error(Code::bad_input, text("keeps dimension {} of a blob of shape {}", d, text_of(x.shape())));
      shape[d] = x.shape()[d];
    }
  return emit(ops::reshape, {x, integers(x.place(), std::move(shape))});
}

// x repeated to a shape. Where all lengths are known they are copies; else a product with ones, which says
// the same.
Ex broadcast_to(const Ex& x, const Ex& shape) {
  if (const Tensor* target = shape.constant(); target && x.type().is_concrete()) {
    Shape to = to_integers(*target), from = x.shape();
    if (broadcast(from, to) != to)
      throw Error(Code::bad_input, text("{} cannot be broadcast to {}", text_of(from), text_of(to)));
    from.insert(from.begin(), to.size() - from.size(), 1);
    Integers reps;
    for (std::size_t d = 0; d < to.size(); ++d) reps.push_back(from[d] == to[d] ? 1 : to[d]);
    return emit(ops::tile, {keeping(x, from), integers(x.place(), reps)});
  }
  return x * emit(ops::fill, {shape}, {{"value", 1.0}});
}

}  // namespace

Lowered lower_transpose(Layer& l) {
  need_inputs(l, 1);
  Integers perm = l.params.integers(1);
  need_axes(l, perm);
  return {emit(ops::transpose, {l.in[0]}, {{"perm", perm}})};
}

Lowered lower_squeeze(Layer& l) {
  need_inputs(l, 1);
  Integers axes = l.params.integers(1);
  bool all = l.params.flag(2);
  if (!all) need_axes(l, axes);
  return {some_rank(all ? emit(ops::squeeze, {l.in[0]}) : emit(ops::squeeze, {l.in[0]}, {{"axes", axes}}))};
}

Lowered lower_expand_dims(Layer& l) {
  need_inputs(l, 1);
  Integers axes = l.params.integers(1);
  need_axes(l, axes);
  return {emit(ops::expand_dims, {l.in[0]}, {{"axes", axes}})};
}

Lowered lower_flatten_to_2d(Layer& l) {
  need_inputs(l, 1);
  return {emit(ops::flatten2d, {l.in[0]}, {{"axis", l.params.integer(1)}})};
}

Lowered lower_reshape_static(Layer& l) {
  need_inputs(l, 1);
  return {keeping(l.in[0], l.params.integers(1))};
}

Lowered lower_rank_preserving_reshape(Layer& l) {
  need_inputs(l, 1);
  Integers shape = l.params.integers(1);
  if (shape.size() != rank_of(l.in[0]))
    throw Error(Code::bad_input,
                text("its shape {} is not of the rank of {}", text_of(shape), text_of(l.in[0].shape())));
  return {keeping(l.in[0], std::move(shape))};
}

Lowered lower_reshape_dynamic(Layer& l) {
  need_inputs(l, 2);
  if (auto shape = constant_integers(l, 1)) return {keeping(l.in[0], *shape)};
  return {emit(ops::reshape, {l.in[0], int32(l.in[1])})};
}

Lowered lower_reshape_like(Layer& l) {
  need_inputs(l, 2);
  return {emit(ops::reshape_like, {l.in[0], l.in[1]},
               {{"begins", Integers{0}}, {"ends", Integers{0}}, {"end_masks", Integers{1}}})};
}

Lowered lower_broadcast_to_static(Layer& l) {
  need_inputs(l, 1);
  return {broadcast_to(l.in[0], integers(l.place, l.params.integers(1)))};
}

Lowered lower_broadcast_to_dynamic(Layer& l) {
  need_inputs(l, 2);
  return {broadcast_to(l.in[0], int32(l.in[1]))};
}

Lowered lower_broadcast_to_like(Layer& l) {
  need_inputs(l, 2);
  const Type& like = l.in[1].type();
  return {broadcast_to(l.in[0], like.is_concrete() ? integers(l.place, like.shape) : shape_of(l.in[1]))};
}

Lowered lower_get_shape(Layer& l) {
  need_inputs(l, 1);
  return {fp32(shape_of(l.in[0]))};
}

// ---- together and apart

Lowered lower_concat_nd(Layer& l) {
  need_inputs(l, 1, 1 << 20);
  return {
      emit(ops::concat, l.in, attrs_of({{"axis", l.params.integer(1)}, {"interleave", l.params.flag(2)}}))};
}

Lowered lower_stack(Layer& l) {
  need_inputs(l, 1, 1 << 20);
  return {emit(ops::stack, l.in, attrs_of({{"axis", l.params.integer(1)}}))};
}

// Parts of sizes that differ by one at most, the larger ones first.
Lowered lower_split_nd(Layer& l) {
  need_inputs(l, 1);
  std::int64_t axis = l.params.integer(1);
  Integers sizes = l.params.integers(3);
  auto parts = static_cast<std::int64_t>(l.outputs.size());
  std::int64_t wanted = sizes.empty() ? l.params.integer(2, parts) : static_cast<std::int64_t>(sizes.size());
  if (wanted != parts || parts == 0)
    throw Error(Code::bad_input, text("splits into {} parts, but has {} outputs", wanted, parts));
  Dim length = l.in[0].shape()[static_cast<std::size_t>(wrap_axis(axis, rank_of(l.in[0])))];
  if (sizes.empty() && is_known(length))
    for (std::int64_t k = 0; k < parts; ++k) sizes.push_back(length / parts + (k < length % parts));
  Attrs attrs = attrs_of({{"axis", axis}});
  if (sizes.empty()) attrs.set("num_splits", parts);
  else attrs.set("split_sizes", std::move(sizes));
  return emit_all(ops::split, l.in, attrs);
}

// Fewer repetitions than dimensions are those of the last ones; more repeat the whole.
Lowered lower_tile(Layer& l) {
  need_inputs(l, 1, 2);
  Ex x = l.in[0], reps = l.in.size() == 2 ? int32(l.in[1]) : integers(l.place, l.params.integers(1));
  if (rank_of(reps) != 1 || !is_known(reps.shape()[0]))
    throw Error(Code::unsupported, "takes a list of repetitions whose length is not known");
  std::size_t rank = rank_of(x), n = static_cast<std::size_t>(reps.shape()[0]);
  if (n < rank) {
    Ex ones = integers(l.place, Integers(rank - n, 1));
    reps = emit(ops::concat, {ones, reps});
  }
  return {emit(ops::tile, {ranked(x, n), reps})};
}

Lowered lower_reverse(Layer& l) {
  need_inputs(l, 1);
  Integers flags = l.params.integers(1), axes;
  if (flags.size() != rank_of(l.in[0]))
    throw Error(Code::bad_input,
                text("says of {} dimensions whether to reverse them; its input has the shape {}",
                     flags.size(), text_of(l.in[0].shape())));
  for (std::size_t d = 0; d < flags.size(); ++d)
    if (flags[d]) axes.push_back(static_cast<std::int64_t>(d));
  if (axes.empty()) return {l.in[0]};
  return {emit(ops::reverse, {l.in[0]}, {{"axes", axes}})};
}

Lowered lower_reverse_seq(Layer& l) {
  need_inputs(l, 2);
  return {emit(ops::reverse_sequence, {l.in[0], int32(l.in[1])},
               {{"batch_axis", l.params.integer(1)}, {"seq_axis", l.params.integer(2)}})};
}

Lowered lower_sliding_windows(Layer& l) {
  need_inputs(l, 1);
  return {
      emit(ops::sliding_windows, {l.in[0]},
           {{"axis", l.params.integer(1)}, {"size", l.params.integer(2)}, {"stride", l.params.integer(3)}})};
}

}  // namespace tl::coreml
