// SPDX-License-Identifier: Apache-2.0
// The older elementwise layers, reductions over channels and places, constants.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

using Axes = std::vector<std::int64_t>;

template <class Join> Ex joined(const Layer& layer, const Join& join) {
  need_inputs(layer, 1, 1000);
  Ex y = layer.in[0];
  for (std::size_t i = 1; i < layer.in.size(); ++i) y = join(y, layer.in[i]);
  return y;
}

// A constant of shape [1], [C], [1, H, W] or [C, H, W], so that it lies right under [..., C, H, W].
Ex operand(Layer& layer, std::uint32_t shape_field, std::uint32_t weight_field) {
  Shape shape = layer.params.integers(shape_field);
  require(shape.size() <= 5, "the constant has more than 5 dimensions");
  if (shape.size() == 1 && shape[0] != 1) shape = {shape[0], 1, 1};
  return weight(layer, layer.params.message(weight_field), shape);
}

Ex sum(Ex x) { return emit(ops::reduce_sum, {x}, {{"axes", Axes{-3}}, {"keep_dims", true}}); }

Ex unary(const Message& p, Ex x) {
  double scale = p.number(5), shift = p.number(4), epsilon = p.number(3), alpha = p.number(2);
  if (epsilon == 0) epsilon = 1e-6;
  if (scale != 0 && scale != 1) x = x * scale;
  if (shift != 0) x = x + shift;
  switch (p.integer(1)) {
    case 0: return sqrt(x);
    case 1: return rsqrt(x, {{"epsilon", epsilon}});
    case 2: return inverse(x, {{"epsilon", epsilon}});
    case 3: return alpha == 1 ? x : alpha == 2 ? square(x) : pow(x, alpha);
    case 4: return exp(x);
    case 5: return log(x, {{"epsilon", epsilon}});
    case 6: return abs(x);
    case 7: return threshold(x, {{"alpha", alpha}});
    default: throw Error(Code::bad_input, text("there is no unary function number {}", p.integer(1)));
  }
}

Axes reduced_axes(std::int64_t axis) {
  switch (axis) {
    case 0: return {-3, -2, -1};
    case 1: return {-2, -1};
    case 2: return {-3};
    case 3: return {-2};
    case 4: return {-1};
    default: throw Error(Code::bad_input, text("there is no reduction axis number {}", axis));
  }
}

}  // namespace

Lowered lower_add(Layer& layer) {
  if (layer.in.size() == 1) return {layer.in[0] + layer.params.number(1)};
  return {joined(layer, [](Ex a, Ex b) { return a + b; })};
}

Lowered lower_multiply(Layer& layer) {
  if (layer.in.size() == 1) return {layer.in[0] * layer.params.number(1)};
  return {joined(layer, times)};
}

Lowered lower_average(Layer& layer) {
  Ex total = joined(layer, [](Ex a, Ex b) { return a + b; });
  if (layer.in.size() == 1) return {total};
  return {total * (1.0 / static_cast<double>(layer.in.size()))};
}

Lowered lower_max(Layer& layer) {
  return {joined(layer, [](Ex a, Ex b) { return maximum(a, b); })};
}
Lowered lower_min(Layer& layer) {
  return {joined(layer, [](Ex a, Ex b) { return minimum(a, b); })};
}

Lowered lower_dot(Layer& layer) {
  need_inputs(layer, 2);
  Ex a = ranked(layer.in[0], 3), b = ranked(layer.in[1], 3), y = sum(a * b);
  if (!layer.params.flag(1)) return {y};
  return {y / (sqrt(sum(square(a))) * sqrt(sum(square(b))))};
}

Lowered lower_unary(Layer& layer) {
  need_inputs(layer, 1);
  return {unary(layer.params, layer.in[0])};
}

Lowered lower_scale(Layer& layer) {
  need_inputs(layer, 1);
  Ex y = layer.in[0] * operand(layer, 1, 2);
  return {layer.params.flag(3) ? y + operand(layer, 4, 5) : y};
}

Lowered lower_bias(Layer& layer) {
  need_inputs(layer, 1);
  return {layer.in[0] + operand(layer, 1, 2)};
}

Lowered lower_reduce(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Ex x = ranked(layer.in[0], 3);
  Axes axes = reduced_axes(p.integer(3));
  std::int64_t mode = p.integer(1);
  double epsilon = p.number(2);
  if (mode == 3) x = log(x, {{"epsilon", epsilon == 0 ? 1e-6 : epsilon}});
  if (mode == 9) {
    require(axes.size() == 1, "the place of the largest is asked for along several axes");
    return {fp32(emit(ops::reduce_argmax, {x}, {{"axis", axes[0]}, {"keep_dims", true}}))};
  }
  const OpDef* all[] = {&ops::reduce_sum,     &ops::reduce_mean,       &ops::reduce_prod,
                        &ops::reduce_sum,     &ops::reduce_sum_square, &ops::reduce_l1_norm,
                        &ops::reduce_l2_norm, &ops::reduce_max,        &ops::reduce_min};
  require(mode >= 0 && mode < 9, "there is no such reduction");
  return {emit(*all[mode], {x}, {{"axes", axes}, {"keep_dims", true}})};
}

Lowered lower_load_constant(Layer& layer) {
  need_inputs(layer, 0);
  Shape shape = layer.params.integers(1);
  require(shape.size() <= 5, "the constant has more than 5 dimensions");
  shape.insert(shape.begin(), shape.size() < 4 ? 4 - shape.size() : 0, 1);
  if (layer.nd && shape.size() == 4) shape.insert(shape.begin(), 1);
  return {weight(layer, layer.params.message(2), shape)};
}

Lowered lower_custom(Layer& layer) {
  throw Error(Code::unsupported, text("a custom layer is code that is not in the file: the class '{}'",
                                      printable(layer.params.text(10))));
}

}  // namespace tl::coreml
