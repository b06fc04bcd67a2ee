// SPDX-License-Identifier: Apache-2.0
// Normalisations, and the activations with a parameter per channel. Statistics are taken in 32 bits or more,
// whatever the elements are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "op/axes.h"
#include "op/formulas.h"
#include "op/infer.h"

namespace tl {
namespace {

// ---- inference: the output is x, the other inputs must fit it

void need_floats(const InferCall& call) {
  for (std::size_t i = 0; i < call.types.size(); ++i)
    if (call.has(i) && (!call.type(i).is_tensor() || !is_float(call.type(i).dtype)))
      throw Error(Code::bad_input,
                  text("input {} is {}; it must be of a floating type", i, text_of(call.type(i))));
}

void need_shape(const InferCall& call, std::size_t input, std::span<const Dim> wanted) {
  if (!call.has(input)) return;
  const Shape& given = call.type(input).shape;
  bool fits = given.size() == wanted.size();
  for (std::size_t d = 0; fits && d < wanted.size(); ++d)
    fits = !is_known(given[d]) || !is_known(wanted[d]) || given[d] == wanted[d];
  if (!fits)
    throw Error(Code::bad_input, text("input {} is {}, its shape must be {}", input,
                                      text_of(call.type(input)), text_of(wanted)));
}

template <std::size_t least, std::size_t most>
std::vector<Type> infer_channelwise(const InferCall& call) {  // inputs 1 and on are [C], C is axis 1
  need_floats(call);
  need_rank(call, 0, least, most);
  for (std::size_t i = 1; i < call.types.size(); ++i) need_shape(call, i, {{call.type(0).shape[1]}});
  return like_first_input(call);
}

std::vector<Type> infer_over_axes(const InferCall& call) {  // inputs 1 and on have the shape of the axes
  need_floats(call);
  Shape wanted;
  for (std::int64_t axis : axes_of(call.attrs, call.type(0).rank()))
    wanted.push_back(call.type(0).shape[static_cast<std::size_t>(axis)]);
  for (std::size_t i = 1; i < call.types.size(); ++i) need_shape(call, i, wanted);
  return like_first_input(call);
}

std::vector<Type> infer_softmax(const InferCall& call) {
  need_floats(call);
  wrap_axis(call.attrs.integer("axis"), call.type(0).rank());
  return like_first_input(call);
}

template <std::size_t least, std::size_t most> std::vector<Type> infer_plain(const InferCall& call) {
  need_floats(call);
  need_rank(call, 0, least, most);
  return like_first_input(call);
}

std::vector<Type> infer_local_response(const InferCall& call) {
  need(call.attrs.integer("size") >= 1, "size must be at least 1");
  return infer_plain<2, 5>(call);
}

// ---- references

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double element(const Array* a, std::size_t i, double absent) { return a ? a->data[i] : absent; }
const Array* input(const ReferenceCall& call, std::size_t i) {
  return i < call.in.size() ? call.in[i] : nullptr;
}

// Calls visit(x, y, channel) for every element.
template <class Visit> void each_channelwise(const ReferenceCall& call, const Visit& visit) {
  const Array& x = *call.in[0];
  Runs r = *runs(x.shape, {});
  r.inner = 1;
  for (std::size_t d = 2; d < x.shape.size(); ++d) r.inner *= x.shape[d];
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    auto channel = at(static_cast<std::int64_t>(i) / r.inner % x.shape[1]);
    call.out[0].data[i] = visit(x.data[i], channel);
  }
}

void batch_norm_reference(const ReferenceCall& call) {
  double epsilon = call.attrs.number("epsilon");
  each_channelwise(call, [&](double x, std::size_t c) {
    double unit = (x - call.in[1]->data[c]) / std::sqrt(call.in[2]->data[c] + epsilon);
    return element(input(call, 3), c, 1) * unit + element(input(call, 4), c, 0);
  });
}

void prelu_reference(const ReferenceCall& call) {
  each_channelwise(call, [&](double x, std::size_t c) { return x < 0 ? call.in[1]->data[c] * x : x; });
}

void softplus_parametric_reference(const ReferenceCall& call) {
  each_channelwise(call, [&](double x, std::size_t c) {
    double u = call.in[2]->data[c] * x;
    return call.in[1]->data[c] * (std::max(u, 0.0) + std::log1p(std::exp(-std::fabs(u))));
  });
}

// Calls visit(group, i) with the elements that belong together at place i; what it leaves in group is the
// output.
template <class Visit>
void each_group(const ReferenceCall& call, std::span<const std::int64_t> axes, const Visit& visit) {
  const Array& x = *call.in[0];
  Offsets o = offsets(x.shape, axes);
  std::vector<double> group(o.along.size());
  for (std::size_t i = 0; i < o.kept.size(); ++i) {
    for (std::size_t j = 0; j < group.size(); ++j) group[j] = x.data[at(o.kept[i] + o.along[j])];
    visit(group, i);
    for (std::size_t j = 0; j < group.size(); ++j) call.out[0].data[at(o.kept[i] + o.along[j])] = group[j];
  }
}

void softmax_reference(const ReferenceCall& call) {
  std::int64_t axis = wrap_axis(call.attrs.integer("axis"), call.in[0]->shape.size());
  each_group(call, {{axis}}, [](std::vector<double>& v, std::size_t) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (double x : v) top = top != top || top > x ? top : x;
    for (double& x : v) sum += x = std::exp(x - top);
    for (double& x : v) x /= sum;
  });
}

// Subtracts the mean, divides by the deviation.
void standardize(std::vector<double>& v, double epsilon) {
  auto n = static_cast<double>(v.size());
  double mean = 0, variance = 0;
  for (double x : v) mean += x / n;
  for (double x : v) variance += (x - mean) * (x - mean) / n;
  for (double& x : v) x = (x - mean) / std::sqrt(variance + epsilon);
}

void layer_norm_reference(const ReferenceCall& call) {
  each_group(call, axes_of(call.attrs, call.in[0]->shape.size()), [&](std::vector<double>& v, std::size_t) {
    standardize(v, call.attrs.number("epsilon"));
    for (std::size_t j = 0; j < v.size(); ++j)
      v[j] = element(input(call, 1), j, 1) * v[j] + element(input(call, 2), j, 0);
  });
}

std::vector<std::int64_t> spatial_axes(std::size_t rank) {
  std::vector<std::int64_t> axes;
  for (std::size_t d = 2; d < rank; ++d) axes.push_back(static_cast<std::int64_t>(d));
  return axes;
}

void instance_norm_reference(const ReferenceCall& call) {
  each_group(call, spatial_axes(call.in[0]->shape.size()), [&](std::vector<double>& v, std::size_t i) {
    standardize(v, call.attrs.number("epsilon"));
    std::size_t c = i % at(call.in[0]->shape[1]);
    for (double& x : v) x = element(input(call, 1), c, 1) * x + element(input(call, 2), c, 0);
  });
}

void rms_norm_reference(const ReferenceCall& call) {
  each_group(call, axes_of(call.attrs, call.in[0]->shape.size()), [&](std::vector<double>& v, std::size_t) {
    double square = 0;
    for (double x : v) square += x * x / static_cast<double>(v.size());
    double scale = 1 / std::sqrt(square + call.attrs.number("epsilon"));
    for (std::size_t j = 0; j < v.size(); ++j) v[j] *= scale * element(input(call, 1), j, 1);
  });
}

std::vector<std::int64_t> last_three(std::size_t rank) {
  auto n = static_cast<std::int64_t>(rank);
  return {n - 3, n - 2, n - 1};
}

void l2_norm_reference(const ReferenceCall& call) {
  each_group(call, last_three(call.in[0]->shape.size()), [&](std::vector<double>& v, std::size_t) {
    double square = call.attrs.number("epsilon");
    for (double x : v) square += x * x;
    for (double& x : v) x /= std::sqrt(square);
  });
}

void local_response_reference(const ReferenceCall& call) {
  auto size = call.attrs.integer("size");
  double alpha = call.attrs.number("alpha"), beta = call.attrs.number("beta"), k = call.attrs.number("k");
  each_group(call, {{1}}, [&](std::vector<double>& v, std::size_t) {
    std::vector<double> x = v;
    auto n = static_cast<std::int64_t>(x.size());
    for (std::int64_t c = 0; c < n; ++c) {
      double square = 0;
      for (std::int64_t j = std::max<std::int64_t>(0, c - size / 2); j <= std::min(n - 1, c + (size - 1) / 2);
           ++j)
        square += x[at(j)] * x[at(j)];
      v[at(c)] = x[at(c)] / std::pow(k + alpha / static_cast<double>(size) * square, beta);
    }
  });
}

// ---- decompositions, which also give the gradients

Ex given(std::span<const Ex> in, std::size_t i) { return i < in.size() ? in[i] : Ex(); }

std::vector<Ex> decompose_softmax(std::span<const Ex> in, const Attrs& attrs) {
  const Ex& x = in[0];
  std::vector<std::int64_t> axis{wrap_axis(attrs.integer("axis"), x.shape().size())};
  Ex e = exp(x - reduce(ops::reduce_max, x, axis));
  return {e / reduce(ops::reduce_sum, e, axis)};
}

std::vector<Ex> softmax_gradient(const GradientCall& call) {
  const Ex &y = call.out[0], &g = call.grad[0];
  std::vector<std::int64_t> axis{wrap_axis(call.attrs.integer("axis"), y.shape().size())};
  return {y * (g - reduce(ops::reduce_sum, g * y, axis))};
}

Ex inverse_deviation(const Ex& variance, const Attrs& attrs) {
  return rsqrt(variance, {{"epsilon", attrs.number("epsilon")}});
}

// gamma and beta are laid along x already; either may be absent.
Ex scaled(Ex x, const Ex& gamma, const Ex& beta) {
  if (gamma) x = x * like(gamma, x);
  return beta ? x + like(beta, x) : x;
}

Ex standardized(const Ex& x, std::span<const std::int64_t> axes, const Attrs& attrs) {
  Ex d = x - reduce(ops::reduce_mean, x, axes);
  return d * inverse_deviation(reduce(ops::reduce_mean, square(d), axes), attrs);
}

// A parameter of the shape of the axes, with length 1 where x has other axes after the first of them.
Ex along(const Ex& parameter, std::span<const std::int64_t> axes, std::size_t rank) {
  if (!parameter || axes.empty()) return parameter;
  std::vector<std::int64_t> others;
  for (std::int64_t d = axes.front(); d < static_cast<std::int64_t>(rank); ++d)
    if (std::find(axes.begin(), axes.end(), d) == axes.end()) others.push_back(d - axes.front());
  return restored(parameter, others);
}

std::vector<Ex> decompose_layer_norm(std::span<const Ex> in, const Attrs& attrs) {
  std::size_t rank = in[0].shape().size();
  auto axes = axes_of(attrs, rank);
  return {scaled(standardized(in[0], axes, attrs), along(given(in, 1), axes, rank),
                 along(given(in, 2), axes, rank))};
}

std::vector<Ex> decompose_rms_norm(std::span<const Ex> in, const Attrs& attrs) {
  std::size_t rank = in[0].shape().size();
  auto axes = axes_of(attrs, rank);
  Ex y = in[0] * inverse_deviation(reduce(ops::reduce_mean, square(in[0]), axes), attrs);
  return {scaled(y, along(given(in, 1), axes, rank), Ex())};
}

Ex laid(const Ex& vector, const Ex& x) { return vector ? channelwise(vector, x.shape().size()) : vector; }

std::vector<Ex> decompose_instance_norm(std::span<const Ex> in, const Attrs& attrs) {
  Ex y = standardized(in[0], spatial_axes(in[0].shape().size()), attrs);
  return {scaled(y, laid(given(in, 1), y), laid(given(in, 2), y))};
}

std::vector<Ex> decompose_batch_norm(std::span<const Ex> in, const Attrs& attrs) {
  const Ex& x = in[0];
  Ex y = (x - like(laid(in[1], x), x)) * inverse_deviation(like(laid(in[2], x), x), attrs);
  return {scaled(y, laid(given(in, 3), x), laid(given(in, 4), x))};
}

std::vector<Ex> decompose_l2_norm(std::span<const Ex> in, const Attrs& attrs) {
  auto axes = last_three(in[0].shape().size());
  return {in[0] * inverse_deviation(reduce(ops::reduce_sum_square, in[0], axes), attrs)};
}

std::vector<Ex> decompose_prelu(std::span<const Ex> in, const Attrs&) {
  const Ex& x = in[0];
  return {select(x < 0, like(laid(in[1], x), x) * x, x)};
}

std::vector<Ex> decompose_softplus_parametric(std::span<const Ex> in, const Attrs&) {
  const Ex& x = in[0];
  return {like(laid(in[1], x), x) * softplus(like(laid(in[2], x), x) * x)};
}

// ---- gradients where the decomposition's would be long

struct Standard {  // x standardised over axes, what scales it, and the gradient of the sum through it
  Ex unit, scale;
  Ex back(const Ex& g, std::span<const std::int64_t> axes) const {
    return scale * (g - reduce(ops::reduce_mean, g, axes) - unit * reduce(ops::reduce_mean, g * unit, axes));
  }
};

Standard standard(const Ex& x, std::span<const std::int64_t> axes, const Attrs& attrs) {
  Ex d = x - reduce(ops::reduce_mean, x, axes);
  Ex scale = inverse_deviation(reduce(ops::reduce_mean, square(d), axes), attrs);
  return {d * scale, scale};
}

std::vector<std::int64_t> other_axes(std::span<const std::int64_t> axes, std::size_t rank) {
  std::vector<std::int64_t> others;
  for (std::int64_t d = 0; d < static_cast<std::int64_t>(rank); ++d)
    if (std::find(axes.begin(), axes.end(), d) == axes.end()) others.push_back(d);
  return others;
}

// The gradient of a parameter: what arrives at every place it was laid along, summed.
Ex parameter_gradient(const Ex& parameter, const Ex& g, std::span<const std::int64_t> axes) {
  if (!parameter) return {};
  auto others = other_axes(axes, g.shape().size());
  return like(others.empty() ? g : reduce(ops::reduce_sum, g, others, false), parameter);
}

std::vector<Ex> layer_norm_gradient(const GradientCall& call) {
  const Ex &x = call.in[0], &g = call.grad[0], gamma = given(call.in, 1), beta = given(call.in, 2);
  std::size_t rank = x.shape().size();
  auto axes = axes_of(call.attrs, rank);
  Standard s = standard(x, axes, call.attrs);
  return {s.back(scaled(g, along(gamma, axes, rank), Ex()), axes),
          parameter_gradient(gamma, g * s.unit, axes), parameter_gradient(beta, g, axes)};
}

constexpr std::int64_t channel_axis[] = {1};

std::vector<Ex> instance_norm_gradient(const GradientCall& call) {
  const Ex &x = call.in[0], &g = call.grad[0], gamma = given(call.in, 1), beta = given(call.in, 2);
  auto axes = spatial_axes(x.shape().size());
  Standard s = standard(x, axes, call.attrs);
  return {s.back(scaled(g, laid(gamma, x), Ex()), axes), parameter_gradient(gamma, g * s.unit, channel_axis),
          parameter_gradient(beta, g, channel_axis)};
}

std::vector<Ex> batch_norm_gradient(const GradientCall& call) {
  const Ex &x = call.in[0], &mean = call.in[1], &variance = call.in[2], &g = call.grad[0];
  const Ex gamma = given(call.in, 3), beta = given(call.in, 4);
  Ex scale = inverse_deviation(like(laid(variance, x), x), call.attrs),
     unit = (x - like(laid(mean, x), x)) * scale;
  Ex into = scaled(g, laid(gamma, x), Ex()) * scale;
  return {into, parameter_gradient(mean, -into, channel_axis),
          parameter_gradient(variance, into * unit * scale * -0.5, channel_axis),
          parameter_gradient(gamma, g * unit, channel_axis), parameter_gradient(beta, g, channel_axis)};
}

std::vector<Ex> prelu_gradient(const GradientCall& call) {
  const Ex &x = call.in[0], &alpha = call.in[1], &g = call.grad[0];
  return {select(x < 0, g * like(laid(alpha, x), x), g),
          parameter_gradient(alpha, select(x < 0, g * x, 0), channel_axis)};
}

constexpr std::string_view ane_source = "measured on an M1 (ane-guide) and Core ML's public statements";
constexpr InputDef gamma_input{"gamma", Arity::optional}, beta_input{"beta", Arity::optional};
constexpr AttrDef epsilon_attr(std::string_view fallback) { return {"epsilon", AttrKind::number, fallback}; }

}  // namespace

constinit const OpDef ops::softmax{
    .name = "softmax",
    .doc = "Exponentials along an axis, scaled to sum to one",
    .inputs = {"x"},
    .attrs = {{"axis", AttrKind::integer, "-1"}},
    .infer = infer_softmax,
    .gradient = softmax_gradient,
    .decompose = decompose_softmax,
    .reference = softmax_reference,
    .mil = {"softmax"},
    .ane = {Fit::native, "keep the axis last or at the channels", ane_source},
    .near_zero = 1e-7,
    .samples = {{{"fp32[3, 37] -8..8"}},
                {{"fp32[2, 5, 19]"}, "axis=1"},
                {{"fp32[4, 3, 2, 2]"}, "axis=0"},
                {{"fp32[2, 1030]"}},
                {{"fp32[3, 6, 2]"}, "axis=-2"}},
};

constinit const OpDef ops::batch_norm{
    .name = "batch_norm",
    .doc = "Subtracts a mean and divides by a deviation that are given per channel, then scales and shifts",
    .inputs = {"x", "mean", "variance", gamma_input, beta_input},
    .attrs = {epsilon_attr("1e-5")},
    .infer = infer_channelwise<2, 5>,
    .gradient = batch_norm_gradient,
    .decompose = decompose_batch_norm,
    .reference = batch_norm_reference,
    .mil = {"batch_norm"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[2, 3, 4, 5]", "fp32[3]", "fp32[3] 0.5..2", "fp32[3]", "fp32[3]"}},
                {{"fp32[2, 5, 7]", "fp32[5]", "fp32[5] 0.5..2", "", "fp32[5]"}, "epsilon=0.01"},
                {{"fp32[1, 2, 3, 4, 5]", "fp32[2]", "fp32[2] 0.5..2"}}},
};

constinit const OpDef ops::instance_norm{
    .name = "instance_norm",
    .doc = "Standardises each channel of each image, then scales and shifts it",
    .inputs = {"x", gamma_input, beta_input},
    .attrs = {epsilon_attr("1e-5")},
    .infer = infer_channelwise<3, 5>,
    .gradient = instance_norm_gradient,
    .decompose = decompose_instance_norm,
    .reference = instance_norm_reference,
    .mil = {"instance_norm"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[2, 3, 5, 7]", "fp32[3]", "fp32[3]"}},
                {{"fp32[2, 3, 37]"}},
                {{"fp32[1, 2, 4, 4]", "", "fp32[2]"}, "epsilon=0.1"}},
};

constinit const OpDef ops::layer_norm{
    .name = "layer_norm",
    .doc = "Standardises over axes (all by default), then scales and shifts",
    .inputs = {"x", gamma_input, beta_input},
    .attrs = {{"axes", AttrKind::integers}, epsilon_attr("1e-5")},
    .infer = infer_over_axes,
    .gradient = layer_norm_gradient,
    .decompose = decompose_layer_norm,
    .reference = layer_norm_reference,
    .mil = {"layer_norm"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[3, 37]", "fp32[37]", "fp32[37]"}, "axes=[-1]"},
                {{"fp32[2, 3, 5]", "fp32[3, 5]", "fp32[3, 5]"}, "axes=[1, 2]"},
                {{"fp32[2, 5, 3]", "fp32[5]"}, "axes=[1]"},
                {{"fp32[2, 5, 1, 6]", "fp32[5]", "fp32[5]"}, "axes=[1]"},
                {{"fp32[2, 7]"}}},
};

constinit const OpDef ops::rms_norm{
    .name = "rms_norm",
    .doc = "Scales to unit root mean square over axes (the last by default), then by gamma",
    .inputs = {"x", gamma_input},
    .attrs = {{"axes", AttrKind::integers, "[-1]"}, epsilon_attr("1e-6")},
    .infer = infer_over_axes,
    .decompose = decompose_rms_norm,
    .reference = rms_norm_reference,
    .ane = {Fit::conditional, "as square, mean, rsqrt and multiply", ane_source},
    .samples = {{{"fp32[3, 37]", "fp32[37]"}}, {{"fp32[2, 5, 3]", "fp32[5]"}, "axes=[1]"}, {{"fp32[2, 8]"}}},
};

constinit const OpDef ops::l2_norm{
    .name = "l2_norm",
    .doc = "Divides by the root of the sum of squares over the last three axes",
    .inputs = {"x"},
    .attrs = {epsilon_attr("1e-6")},
    .infer = infer_plain<3, 8>,
    .decompose = decompose_l2_norm,
    .reference = l2_norm_reference,
    .mil = {"l2_norm"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[2, 3, 4, 5]"}}, {{"fp32[2, 3, 7]"}}},
};

constinit const OpDef ops::local_response_norm{
    .name = "local_response_norm",
    .doc = "Divides by a power of the mean square over neighbouring channels",
    .inputs = {"x"},
    .attrs = {{"size", AttrKind::integer, required},
              {"alpha", AttrKind::number, "1e-4"},
              {"beta", AttrKind::number, "0.75"},
              {"k", AttrKind::number, "1"}},
    .infer = infer_local_response,
    .reference = local_response_reference,
    .mil = {"local_response_norm"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[2, 7, 3, 5]"}, "size=3, alpha=0.5"},
                {{"fp32[1, 6, 4]"}, "size=4, alpha=0.5, beta=0.5, k=2"}},
};

constinit const OpDef ops::prelu{
    .name = "prelu",
    .doc = "x, scaled below 0 by alpha of its channel",
    .inputs = {"x", "alpha"},
    .infer = infer_channelwise<2, 8>,
    .gradient = prelu_gradient,
    .decompose = decompose_prelu,
    .reference = prelu_reference,
    .mil = {"prelu"},
    .ane = {Fit::native, "", ane_source},
    .samples = {{{"fp32[2, 3, 4, 5]", "fp32[3]"}}, {{"fp32[1, 5, 19]", "fp32[5]"}}},
};

constinit const OpDef ops::softplus_parametric{
    .name = "softplus_parametric",
    .doc = "alpha log(1 + e^(beta x)), alpha and beta of each channel",
    .inputs = {"x", "alpha", "beta"},
    .infer = infer_channelwise<2, 8>,
    .decompose = decompose_softplus_parametric,
    .reference = softplus_parametric_reference,
    .mil = {"softplus_parametric"},
    .ane = {Fit::conditional, "", ane_source},
    .samples = {{{"fp32[2, 3, 4, 5]", "fp32[3]", "fp32[3]"}}, {{"fp32[1, 2, 9]", "fp32[2]", "fp32[2]"}}},
};

}  // namespace tl
