// SPDX-License-Identifier: Apache-2.0
// Convolutions: conv, conv_transpose, conv_quantized, and the gradient of the weight, which MIL lacks.
#include "op/conv.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::string_view guide = "sbryngelson/ane-guide ch 3; hollance/neural-engine";
constexpr std::string_view fits =
    "fp16, 1-D or 2-D; kernel width at most 13 on M1 and 16 from A14 on; dilations of factors 2 and 3";

// ---- the reference: all four are sums over (batch, group, output channel, input channel, window position)

struct Problem {  // of a convolution that reads `wide` and writes `narrow`; the transposed one goes the other
                  // way
  std::vector<Window> windows;
  std::int64_t batch = 0, groups = 1, outs = 0, ins = 0;  // channels of narrow and of wide, per group
  std::vector<Dim> wide, narrow, kernel;                  // spatial lengths
};

// Calls visit(wide element, narrow element, weight element) for every product.
template <class Visit> void each_product(const Problem& p, const Visit& visit) {
  std::int64_t wide = volume(p.wide), narrow = volume(p.narrow), taps = volume(p.kernel);
  std::size_t n = p.windows.size();
  for (std::int64_t o = 0; o < narrow; ++o)
    for (std::int64_t t = 0; t < taps; ++t) {
      std::int64_t at = 0, step = 1, o_left = o, t_left = t;
      bool inside = true;
      for (std::size_t d = n; d-- > 0;) {
        const Window& w = p.windows[d];
        std::int64_t i = o_left % p.narrow[d] * w.stride - w.before + t_left % p.kernel[d] * w.dilation;
        o_left /= p.narrow[d], t_left /= p.kernel[d];
        inside = inside && i >= 0 && i < p.wide[d];
        at += i * step, step *= p.wide[d];
      }
      if (!inside) continue;
      for (std::int64_t b = 0; b < p.batch * p.groups; ++b)
        for (std::int64_t oc = 0; oc < p.outs; ++oc)
          for (std::int64_t ic = 0; ic < p.ins; ++ic)
            visit(static_cast<std::size_t>((b * p.ins + ic) * wide + at),
                  static_cast<std::size_t>((b * p.outs + oc) * narrow + o),
                  static_cast<std::size_t>(((b % p.groups * p.outs + oc) * p.ins + ic) * taps + t));
    }
}

Problem problem(std::span<const Dim> wide, std::span<const Dim> narrow, std::vector<Window> windows,
                const Attrs& attrs) {
  Problem p;
  p.windows = std::move(windows);
  p.groups = attrs.integer("groups");
  p.batch = wide[0], p.outs = narrow[1] / p.groups, p.ins = wide[1] / p.groups;
  p.wide.assign(wide.begin() + 2, wide.end());
  p.narrow.assign(narrow.begin() + 2, narrow.end());
  for (const Window& w : p.windows) p.kernel.push_back(w.kernel);
  return p;
}

void begin(Array& out, Shape shape, const Array* bias) {
  out.shape = std::move(shape);
  out.data.assign(static_cast<std::size_t>(volume(out.shape)), 0);
  if (!bias) return;
  auto plane = static_cast<std::size_t>(volume(spatial(out.shape))),
       channels = static_cast<std::size_t>(out.shape[1]);
  for (std::size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = bias->data[bias->data.size() == 1 ? 0 : i / plane % channels];
}

const Array* optional_input(const ReferenceCall& call, std::size_t i) {
  return i < call.in.size() ? call.in[i] : nullptr;
}

void convolve(const ReferenceCall& call, const OpDef& op, std::span<const double> weight) {
  const Array &x = *call.in[0], &w = *call.in[1];
  std::vector<Window> all = windows_of(op, x.shape, w.shape, call.attrs);
  Shape shape{x.shape[0], w.shape[0]};
  for (const Window& window : all) shape.push_back(window.out);
  Array& out = call.out[0];
  begin(out, shape, optional_input(call, 2));
  each_product(problem(x.shape, out.shape, all, call.attrs),
               [&](std::size_t i, std::size_t o, std::size_t t) { out.data[o] += x.data[i] * weight[t]; });
}

void reference_conv(const ReferenceCall& call) { convolve(call, ops::conv, call.in[1]->data); }

void reference_conv_transpose(const ReferenceCall& call) {
  const Array &x = *call.in[0], &w = *call.in[1];
  std::vector<Window> all = windows_of(ops::conv_transpose, x.shape, w.shape, call.attrs);
  Shape shape{x.shape[0], w.shape[1] * call.attrs.integer("groups")};
  for (const Window& window : all) shape.push_back(window.out);
  Array& out = call.out[0];
  begin(out, shape, optional_input(call, 2));
  each_product(problem(out.shape, x.shape, all, call.attrs),
               [&](std::size_t o, std::size_t i, std::size_t t) { out.data[o] += x.data[i] * w.data[t]; });
}

void reference_weight_gradient(const ReferenceCall& call) {
  const Array &x = *call.in[0], &grad = *call.in[1];
  const std::vector<std::int64_t>& kernel = call.attrs.integers("kernel_sizes");
  Shape shape{grad.shape[1], x.shape[1] / call.attrs.integer("groups")};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  Array& out = call.out[0];
  begin(out, shape, nullptr);
  each_product(problem(x.shape, grad.shape, windows_of(ops::conv_weight_gradient, x.shape, shape, call.attrs),
                       call.attrs),
               [&](std::size_t i, std::size_t o, std::size_t t) { out.data[t] += x.data[i] * grad.data[o]; });
}

// ---- inference

std::int64_t groups_of(const InferCall& call) {
  std::int64_t groups = call.attrs.integer("groups");
  if (groups < 1 || groups > 0x7fffffff) throw Error(Code::bad_input, text("groups is {}", groups));
  return groups;
}

void need_multiple(Dim channels, std::int64_t groups, std::string_view whose) {
  if (is_known(channels) && channels % groups != 0)
    throw Error(Code::bad_input,
                text("{} channels of the {} do not divide into {} groups", channels, whose, groups));
}

void check_operands(const InferCall& call, std::size_t weight_most) {
  need_rank(call, 0, 3, 5);
  need_rank(call, 1, call.type(0).rank(), weight_most ? weight_most : call.type(0).rank());
}

void check_bias(const InferCall& call, Dim channels) {
  if (!call.has(2)) return;
  need_rank(call, 2, 1, 1);
  Dim n = call.type(2).shape[0];
  if (is_known(n) && is_known(channels) && n != channels)
    throw Error(Code::bad_input, text("the bias has {} elements for {} channels", n, channels));
}

std::vector<Type> result(const InferCall& call, Dim channels, std::span<const Window> all) {
  Type out(call.type(0).dtype, {call.type(0).shape[0], channels});
  for (const Window& w : all) out.shape.push_back(w.out);
  return {out};
}

std::vector<Type> infer_convolution(const InferCall& call, const OpDef& op) {
  check_operands(call, 0);
  const Shape &x = call.type(0).shape, &w = call.type(1).shape;
  std::int64_t groups = groups_of(call);
  need_multiple(x[1], groups, "input");
  need_multiple(w[0], groups, "output");
  if (is_known(x[1]) && is_known(w[1]) && x[1] != w[1] * groups)
    throw Error(Code::bad_input, text("x is {}, but the weight {} with {} groups takes {} channels",
                                      text_of(call.type(0)), text_of(call.type(1)), groups, w[1] * groups));
  check_bias(call, w[0]);
  return result(call, w[0], windows_of(op, x, w, call.attrs));
}

std::vector<Type> infer_conv(const InferCall& call) { return infer_convolution(call, ops::conv); }

std::vector<Type> infer_conv_transpose(const InferCall& call) {
  check_operands(call, 0);
  const Shape &x = call.type(0).shape, &w = call.type(1).shape;
  std::int64_t groups = groups_of(call);
  need_multiple(x[1], groups, "input");
  if (is_known(x[1]) && is_known(w[0]) && x[1] != w[0])
    throw Error(Code::bad_input, text("x is {}, but the weight {} takes {} channels", text_of(call.type(0)),
                                      text_of(call.type(1)), w[0]));
  Dim channels = multiply_dims(w[1], groups);
  check_bias(call, channels);
  return result(call, channels, windows_of(ops::conv_transpose, x, w, call.attrs));
}

std::vector<Type> infer_weight_gradient(const InferCall& call) {
  check_operands(call, 0);
  const Shape &x = call.type(0).shape, &g = call.type(1).shape;
  std::int64_t groups = groups_of(call);
  need(!is_known(x[0]) || !is_known(g[0]) || x[0] == g[0], "input and gradient differ in batch");
  need_multiple(x[1], groups, "input");
  need_multiple(g[1], groups, "gradient");
  const std::vector<std::int64_t>& kernel = call.attrs.integers("kernel_sizes");
  Shape shape{g[1], is_known(x[1]) ? x[1] / groups : unknown};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  std::vector<Window> all = windows_of(ops::conv_weight_gradient, x, shape, call.attrs);
  for (std::size_t d = 0; d < all.size(); ++d)  // a last window that did not fit is not among the gradients
    if (is_known(all[d].out) && is_known(g[d + 2]) && g[d + 2] > all[d].out)
      throw Error(Code::bad_input, text("a gradient {} for {} windows", text_of(call.type(1)), all[d].out));
  return {Type(call.type(0).dtype, shape)};
}

// ---- gradients

Attrs custom_attrs(std::span<const Window> all, const Attrs& attrs) {
  std::vector<std::int64_t> strides, dilations, pad;
  for (const Window& w : all) {
    if (w.before < 0 || w.after < 0)
      throw Error(Code::unsupported, "the gradient of a convolution that extends its output");
    strides.push_back(w.stride), dilations.push_back(w.dilation);
    pad.push_back(w.before), pad.push_back(w.after);
  }
  return attrs_of({{"strides", strides},
                   {"dilations", dilations},
                   {"pad_type", std::string("custom")},
                   {"pad", pad},
                   {"groups", attrs.integer("groups")}});
}

Ex bias_gradient(Ex g) {
  std::vector<std::int64_t> axes{0};
  for (std::size_t d = 2; d < g.type().rank(); ++d) axes.push_back(static_cast<std::int64_t>(d));
  return emit(find_op("reduce_sum"), {g}, {{"axes", axes}, {"keep_dims", false}});
}

Ex weight_gradient(Ex wide, Ex narrow, Ex weight, Attrs attrs) {
  auto kernel = spatial(weight.shape());
  attrs.set("kernel_sizes", std::vector<std::int64_t>(kernel.begin(), kernel.end()));
  return emit(ops::conv_weight_gradient, std::vector{wide, narrow}, attrs);
}

std::vector<Window> known_windows(const GradientCall& call, const OpDef& op) {
  Ex x = call.in[0], w = call.in[1];
  if (!is_known(spatial(x.shape())) || !is_known(w.shape()))
    throw Error(Code::unsupported, "the gradient of a convolution needs to know the lengths");
  return windows_of(op, x.shape(), w.shape(), call.attrs);
}

std::vector<Ex> gradient_conv(const GradientCall& call) {
  Ex x = call.in[0], w = call.in[1], g = call.grad[0];
  Attrs attrs = custom_attrs(known_windows(call, ops::conv), call.attrs), back = attrs;
  Shape shape = x.shape();
  for (Dim& d : shape) d = is_known(d) ? d : 1;  // of batch and channels only the number is read
  back.set("output_shape", shape);
  std::vector<Ex> grads{emit(ops::conv_transpose, std::vector{g, w}, back), weight_gradient(x, g, w, attrs)};
  if (call.in.size() > 2 && call.in[2]) grads.push_back(bias_gradient(g));
  return grads;
}

std::vector<Ex> gradient_conv_transpose(const GradientCall& call) {
  Ex x = call.in[0], w = call.in[1], g = call.grad[0];
  Attrs attrs = custom_attrs(known_windows(call, ops::conv_transpose), call.attrs);
  std::vector<Ex> grads{emit(ops::conv, std::vector{g, w}, attrs), weight_gradient(g, x, w, attrs)};
  if (call.in.size() > 2 && call.in[2]) grads.push_back(bias_gradient(g));
  return grads;
}

// ---- conv_quantized: the weight is scale * code + bias, or looked up in scale as a table

std::vector<Type> infer_conv_quantized(const InferCall& call) {
  std::int64_t bits = call.attrs.integer("nbits");
  if (bits < 1 || bits > 8) throw Error(Code::bad_input, text("nbits is {}, not 1 to 8", bits));
  const Type &scale = call.type(3), &bias = call.type(4), &w = call.type(1);
  bool table = call.attrs.word("quantization_type") == "lut";
  for (const Type* t : {&scale, &bias}) {
    if (t->rank() > 1)
      throw Error(Code::unsupported, text("a scale or bias {} of quantised weights", text_of(*t)));
    if (table || t->rank() == 0 || t->shape[0] == 1 || !is_known(t->shape[0])) continue;
    if (w.rank() > 0 && is_known(w.shape[0]) && w.shape[0] != t->shape[0])
      throw Error(Code::bad_input, text("scale or bias {} for the weight {}", text_of(*t), text_of(w)));
  }
  if (table && (scale.rank() != 1 || (is_known(scale.shape[0]) && scale.shape[0] < 1 << bits)))
    throw Error(Code::bad_input, text("a table {} for codes of {} bits", text_of(scale), bits));
  return infer_convolution(call, ops::conv_quantized);
}

void reference_conv_quantized(const ReferenceCall& call) {
  const Array &w = *call.in[1], &scale = *call.in[3], &bias = *call.in[4];
  std::vector<double> weight(w.data.size());
  std::size_t each = w.data.empty() ? 1 : w.data.size() / static_cast<std::size_t>(w.shape[0]);
  bool table = call.attrs.word("quantization_type") == "lut";
  auto mask = (std::size_t{1} << call.attrs.integer("nbits")) - 1;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    auto of = [&](const Array& a) { return a.data[a.data.size() == 1 ? 0 : i / each]; };
    weight[i] =
        table ? scale.data[static_cast<std::size_t>(w.data[i]) & mask] : w.data[i] * of(scale) + of(bias);
  }
  convolve(call, ops::conv_quantized, weight);
}

// same_lower came with iOS 16.
void downgrade_window(MilWrite& out) {
  if (out.node.attrs.word("pad_type") == "same_lower") out.need(6);
}

}  // namespace

std::vector<Window> windows_of(const OpDef& op, std::span<const Dim> x, std::span<const Dim> weight,
                               const Attrs& attrs) {
  if (&op == &ops::conv_transpose) return transposed_windows(spatial(x), spatial(weight), attrs);
  return windows(spatial(x), spatial(weight), attrs);
}

#define TL_WINDOW_ATTRS                                                                                   \
  {"strides", AttrKind::integers}, {"pad_type", AttrKind::word, "valid", "valid custom same same_lower"}, \
      {"pad", AttrKind::integers}, {"dilations", AttrKind::integers}, {                                   \
    "groups", AttrKind::integer, "1"                                                                      \
  }

constinit const OpDef ops::conv{
    .name = "conv",
    .doc = "Cross-correlation over one to three spatial dimensions; weight [out, in / groups, kernel...]",
    .inputs = {"x", "weight", {"bias", Arity::optional}},
    .attrs = {TL_WINDOW_ATTRS},
    .infer = infer_conv,
    .gradient = gradient_conv,
    .reference = reference_conv,
    .mil = {.name = "conv", .downgrade = downgrade_window},
    .ane = {Fit::conditional, fits, guide},
    .near_zero = 5e-5,
    .samples = {{{"fp32[2, 3, 7, 6]", "fp32[5, 3, 3, 3]", "fp32[5]"}, "pad_type=same"},
                {{"fp16[1, 4, 9]", "fp16[6, 2, 3]"}, "groups=2, strides=[2], pad_type=custom, pad=[1, 2]"},
                {{"fp32[1, 2, 4, 5, 6]", "fp32[3, 2, 2, 3, 1]", "fp32[3]"}, "dilations=[1, 2, 1]"},
                {{"fp16[2, 4, 5, 8]", "fp16[8, 1, 3, 3]", "fp16[8]"},
                 "groups=4, strides=[2, 1], pad_type=same_lower"},
                {{"fp32[1, 6, 5, 5]", "fp32[33, 6, 1, 1]"}}},
};

constinit const OpDef ops::conv_transpose{
    .name = "conv_transpose",
    .doc = "The adjoint of conv: scatters each input through the weight [in, out / groups, kernel...]",
    .inputs = {"x", "weight", {"bias", Arity::optional}},
    .attrs = {TL_WINDOW_ATTRS, {"output_shape", AttrKind::integers}},
    .infer = infer_conv_transpose,
    .gradient = gradient_conv_transpose,
    .reference = reference_conv_transpose,
    .mil = {.name = "conv_transpose", .downgrade = downgrade_window},
    .ane = {Fit::conditional, fits, guide},
    .near_zero = 5e-5,
    .samples = {{{"fp32[1, 3, 4, 5]", "fp32[3, 2, 3, 3]", "fp32[2]"},
                 "strides=[2, 2], pad_type=custom, pad=[1, 0, 1, 1]"},
                {{"fp16[2, 4, 5]", "fp16[4, 3, 4]"}, "groups=2, strides=[2], pad_type=same"},
                {{"fp32[1, 2, 3, 3, 3]", "fp32[2, 2, 2, 2, 2]"}, "dilations=[2, 1, 1]"},
                {{"fp32[1, 2, 3, 3]", "fp32[2, 1, 3, 3]"},
                 "groups=2, strides=[2, 2], output_shape=[1, 2, 7, 7]"}},
};

constinit const OpDef ops::conv_quantized{
    .name = "conv_quantized",
    .doc = "conv with a weight of codes: quant_scale * code + quant_bias, or quant_scale[code] for type lut",
    .inputs = {"x", "weight", {"bias", Arity::optional}, "quant_scale", "quant_bias"},
    .attrs = {TL_WINDOW_ATTRS,
              {"quantization_type", AttrKind::word, "linear", "linear lut"},
              {"nbits", AttrKind::integer, "8"}},
    .infer = infer_conv_quantized,
    .reference = reference_conv_quantized,
    .mil = {.name = "conv_quantized", .downgrade = downgrade_window, .narrow = 5},
    .ane = {Fit::never, "no current tool writes it", guide},
    .near_zero = 2e-2,
    .samples = {{{"fp32[1, 2, 5, 5]", "uint8[3, 2, 3, 3] 0..255", "fp32[3]", "fp32[3]", "fp32[3]"}},
                {{"fp32[1, 2, 5]", "uint8[3, 2, 2] 0..15", "fp32[3]", "fp32[16]", "fp32[]"},
                 "quantization_type=lut, nbits=4"}},
};

constinit const OpDef ops::conv_weight_gradient{
    .name = "conv_weight_gradient",
    .doc = "The gradient of conv with respect to its weight, from its input and the gradient of its output",
    .inputs = {"x", "grad"},
    .attrs = {{"kernel_sizes", AttrKind::integers, required}, TL_WINDOW_ATTRS},
    .infer = infer_weight_gradient,
    .reference = reference_weight_gradient,
    .ane = {Fit::never, "training runs on the CPU", "ours"},
    .near_zero = 5e-5,
    .samples = {{{"fp32[2, 3, 6, 5]", "fp32[2, 4, 6, 5]"}, "kernel_sizes=[3, 3], pad_type=same"},
                {{"fp32[1, 4, 9]", "fp32[1, 6, 4]"}, "kernel_sizes=[3], groups=2, strides=[2]"}},
};
#undef TL_WINDOW_ATTRS

}  // namespace tl
