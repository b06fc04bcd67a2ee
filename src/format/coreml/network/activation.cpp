// SPDX-License-Identifier: Apache-2.0
// Activations: of an oneof of functions, and the newer ones that are layers of their own.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

// The numbers of a parameter, one for all channels or one for each.
std::vector<double> per_channel(Layer& layer, const Message& params) {
  Ex w = weight(layer, params, {weight_size(params)});
  return to_doubles(*w.constant());
}

Ex vector(Ex x, const std::vector<double>& values) {
  return constant(x.place(), from_doubles(values, DType::f32, {static_cast<Dim>(values.size())}));
}

Ex prelu(Layer& layer, Ex x) {
  std::vector<double> alpha = per_channel(layer, layer.params.message(25).message(1));
  if (alpha.size() == 1) return leaky_relu(x, {{"alpha", alpha[0]}});
  Ex flat = planes(x);
  return unplanes(emit(ops::prelu, {flat, vector(x, alpha)}), x);
}

Ex parametric_softplus(Layer& layer, Ex x) {
  Message params = layer.params.message(71);
  std::vector<double> alpha = per_channel(layer, params.message(1)),
                      beta = per_channel(layer, params.message(2));
  std::size_t n = std::max(alpha.size(), beta.size());
  if (n == 1) return softplus(x * beta[0]) * alpha[0];
  Ex flat = planes(x);
  if (alpha.size() == 1) alpha.resize(n, alpha[0]);
  if (beta.size() == 1) beta.resize(n, beta[0]);
  return unplanes(emit(ops::softplus_parametric, {flat, vector(x, alpha), vector(x, beta)}), x);
}

Ex activated(Layer& layer, Ex x) {
  std::uint32_t kind = layer.params.choice(1, 100);
  Message p = layer.params.message(kind);
  double alpha = p.number(1), beta = p.number(2);
  switch (kind) {
    case 5: return linear_activation(x, {{"alpha", alpha}, {"beta", beta}});
    case 10: return relu(x);
    case 15: return leaky_relu(x, {{"alpha", alpha}});
    case 20: return thresholded_relu(x, {{"alpha", alpha}});
    case 25: return prelu(layer, x);
    case 30: return tanh(x);
    case 31: return scaled_tanh(x, {{"alpha", alpha}, {"beta", beta}});
    case 40: return sigmoid(x);
    case 41: return sigmoid_hard(x, {{"alpha", alpha}, {"beta", beta}});
    case 50: return elu(x, {{"alpha", alpha}});
    case 60: return softsign(x);
    case 70: return softplus(x);
    case 71: return parametric_softplus(layer, x);
    default: throw Error(Code::bad_input, text("there is no activation number {}", kind));
  }
}

}  // namespace

Lowered lower_activation(Layer& layer) {
  need_inputs(layer, 1);
  return {activated(layer, layer.in[0])};
}

Lowered lower_clamped_relu(Layer& layer) {
  need_inputs(layer, 1);
  return {clamped_relu(layer.in[0], {{"alpha", layer.params.number(1)}, {"beta", layer.params.number(2)}})};
}

Lowered lower_gelu(Layer& layer) {
  need_inputs(layer, 1);
  constexpr const char* modes[] = {"EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"};
  std::int64_t mode = layer.params.integer(1);
  require(mode >= 0 && mode <= 2, "there is no such mode of gelu");
  return {gelu(layer.in[0], {{"mode", std::string(modes[mode])}})};
}

}  // namespace tl::coreml
