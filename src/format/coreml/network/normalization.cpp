// SPDX-License-Identifier: Apache-2.0
// Normalizations and softmax.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "op/axes.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

using Axes = std::vector<std::int64_t>;

double epsilon_of(const Message& p, std::uint32_t tag, double usual) {
  double epsilon = p.number(tag);
  return epsilon == 0 ? usual : epsilon;
}

Ex optional_weight(Layer& layer, std::uint32_t field, Shape shape) {
  Message m = layer.params.message(field);
  return has_weight(m) ? weight(layer, m, std::move(shape)) : Ex{};
}

Ex mean(Ex x, Axes axes) {
  return emit(ops::reduce_mean, {x}, {{"axes", std::move(axes)}, {"keep_dims", true}});
}

Ex over_channels(Ex vector) {  // [C] along axis 1 of [N, C, H, W]
  return emit(ops::expand_dims, {vector}, {{"axes", Axes{1, 2}}});
}

Ex batch_statistics(Ex x, Ex gamma, Ex beta, double epsilon) {
  Ex centred = x - mean(x, {0, 2, 3});
  Ex y = centred * rsqrt(mean(square(centred), {0, 2, 3}), {{"epsilon", epsilon}});
  if (gamma) y = y * over_channels(gamma);
  return beta ? y + over_channels(beta) : y;
}

}  // namespace

Lowered lower_batchnorm(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  std::int64_t channels = p.integer(1);
  Ex gamma = optional_weight(layer, 15, {channels}), beta = optional_weight(layer, 16, {channels});
  double epsilon = epsilon_of(p, 10, 1e-5);
  Ex whole = layer.in[0], x = planes(whole);
  if (p.flag(5) && p.flag(6))
    return {unplanes(emit(ops::instance_norm, {x, gamma, beta}, {{"epsilon", epsilon}}), whole)};
  if (p.flag(5)) return {unplanes(batch_statistics(x, gamma, beta, epsilon), whole)};
  Ex mean = weight(layer, p.message(17), {channels}), variance = weight(layer, p.message(18), {channels});
  return {unplanes(emit(ops::batch_norm, {x, mean, variance, gamma, beta}, {{"epsilon", epsilon}}), whole)};
}

Lowered lower_mvn(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Ex x = ranked(layer.in[0], 3);
  Axes axes = p.flag(1) ? Axes{-3, -2, -1} : Axes{-2, -1};
  if (!p.flag(2)) return {x - mean(x, axes)};
  return {emit(ops::layer_norm, {x}, {{"axes", axes}, {"epsilon", epsilon_of(p, 3, 1e-6)}})};
}

Lowered lower_l2normalize(Layer& layer) {
  need_inputs(layer, 1);
  return {emit(ops::l2_norm, {ranked(layer.in[0], 3)}, {{"epsilon", epsilon_of(layer.params, 1, 1e-6)}})};
}

Lowered lower_lrn(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Ex x = layer.in[0];
  double k = p.number(4);
  Ex y = emit(ops::local_response_norm, {planes(x)},
              {{"size", p.integer(3)}, {"alpha", p.number(1)}, {"beta", p.number(2)}, {"k", k == 0 ? 1 : k}});
  return {unplanes(y, x)};
}

Lowered lower_softmax(Layer& layer) {
  need_inputs(layer, 1);
  return {emit(ops::softmax, {ranked(layer.in[0], 3)}, {{"axis", std::int64_t{-3}}})};
}

Lowered lower_softmax_nd(Layer& layer) {
  need_inputs(layer, 1);
  return {emit(ops::softmax, {layer.in[0]}, {{"axis", axis_of(layer.in[0], layer.params.integer(1))}})};
}

Lowered lower_layer_normalization(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Shape shape = p.integers(1);
  require(!shape.empty() && shape.size() <= layer.in[0].shape().size(),
          "the normalized shape has more dimensions than the input, or none");
  Axes axes;
  for (std::size_t d = 0; d < shape.size(); ++d)
    axes.push_back(static_cast<std::int64_t>(d) - static_cast<std::int64_t>(shape.size()));
  Ex gamma = optional_weight(layer, 3, shape), beta = optional_weight(layer, 4, shape);
  return {emit(ops::layer_norm, {layer.in[0], gamma, beta}, {{"axes", axes}, {"epsilon", p.number(2)}})};
}

}  // namespace tl::coreml
