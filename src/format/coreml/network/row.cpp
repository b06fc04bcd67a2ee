// SPDX-License-Identifier: Apache-2.0
// Layers that are one operation: the rows of row.def, and what the rows of a kind share.
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

Lowered unary(Layer& l, const OpDef& op) {
  need_inputs(l, 1);
  return {emit(op, {l.in[0]})};
}

Lowered binary(Layer& l, const OpDef& op) {
  need_inputs(l, 2);
  return {emit(op, {l.in[0], l.in[1]})};
}

Lowered test(Layer& l, const OpDef& op, std::uint32_t alpha) {
  need_inputs(l, 1, 2);
  Ex other = l.in.size() == 2 ? l.in[1] : Ex(l.params.number(alpha));
  return {fp32(emit(op, {l.in[0], other}))};
}

Lowered logical(Layer& l, const OpDef& op) {
  need_inputs(l, 2);
  return {fp32(emit(op, {truth(l.in[0]), truth(l.in[1])}))};
}

Lowered reduce(Layer& l, const OpDef& op) {
  need_inputs(l, 1);
  Integers axes = l.params.integers(1);
  Attrs attrs = attrs_of({{"keep_dims", l.params.flag(2)}});
  if (!l.params.flag(3) && !axes.empty()) attrs.set("axes", std::move(axes));
  return {some_rank(emit(op, l.in, attrs))};
}

}  // namespace

#define TL_UNARY_LAYER(name, op) \
  Lowered lower_##name(Layer& l) { return unary(l, ops::op); }
#define TL_BINARY_LAYER(name, op) \
  Lowered lower_##name(Layer& l) { return binary(l, ops::op); }
#define TL_TEST_LAYER(name, op, alpha) \
  Lowered lower_##name(Layer& l) { return test(l, ops::op, alpha); }
#define TL_TRUTH_LAYER(name, op) \
  Lowered lower_##name(Layer& l) { return logical(l, ops::op); }
#define TL_REDUCE_LAYER(name, op) \
  Lowered lower_##name(Layer& l) { return reduce(l, ops::op); }
#include "format/coreml/network/row.def"

Lowered lower_multiply_broadcastable(Layer& l) {
  need_inputs(l, 2);
  return {times(l.in[0], l.in[1])};
}

Lowered lower_logical_not(Layer& l) {
  need_inputs(l, 1);
  return {fp32(equal(l.in[0], 0))};
}

Lowered lower_clip(Layer& l) {
  need_inputs(l, 1);
  return {clip(l.in[0], {{"alpha", l.params.number(1)}, {"beta", l.params.number(2)}})};
}

}  // namespace tl::coreml
