// SPDX-License-Identifier: Apache-2.0
// Reductions: one number of all that lie along some axes, and where the largest and smallest are.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "op/axes.h"
#include "op/formulas.h"
#include "op/infer.h"

namespace tl {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

void need_numbers(const Type& type) {
  if (!type.is_tensor() || !(is_float(type.dtype) || is_integer(type.dtype)))
    throw Error(Code::bad_input, text("does not take {}", text_of(type)));
}

std::vector<Type> infer(const InferCall& call) {
  need_numbers(call.type(0));
  return {reduced(call.type(0), axes_of(call.attrs, call.type(0).rank()), call.attrs.boolean("keep_dims"))};
}

// ---- references: a function of the elements that belong together

using Values = std::span<const double>;

double sum(Values v) {
  double total = 0;
  for (double x : v) total += x;
  return total;
}
double mean(Values v) { return sum(v) / static_cast<double>(v.size()); }
double largest(Values v) {
  double most = -infinity;
  for (double x : v) most = most != most || most > x ? most : x;  // a NaN stays
  return most;
}
double smallest(Values v) {
  double least = infinity;
  for (double x : v) least = least != least || least < x ? least : x;
  return least;
}
double product(Values v) {
  double total = 1;
  for (double x : v) total *= x;
  return total;
}
double sum_square(Values v) {
  double total = 0;
  for (double x : v) total += x * x;
  return total;
}
double l1(Values v) {
  double total = 0;
  for (double x : v) total += std::fabs(x);
  return total;
}
double l2(Values v) { return std::sqrt(sum_square(v)); }
double log_sum(Values v) { return std::log(sum(v)); }
double log_sum_exp(Values v) {
  double top = largest(v), total = 0;
  if (std::isinf(top)) return top;
  for (double x : v) total += std::exp(x - top);
  return top + std::log(total);
}

std::int64_t wrapped(std::int64_t x, DType d) { return d == DType::i32 ? static_cast<std::int32_t>(x) : x; }

// Integers wrap as they would in their own type: a double would lose the low bits of a product.
double whole_product(Values v, DType d) {
  std::uint64_t total = 1;
  for (double x : v) total *= static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
  return static_cast<double>(wrapped(static_cast<std::int64_t>(total), d));
}

template <double (*of)(Values)> void reference(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  Offsets at = offsets(x.shape, axes_of(call.attrs, x.shape.size()));
  bool whole = of == product && !is_float(x.dtype);
  std::vector<double> group(at.along.size());
  for (std::size_t i = 0; i < at.kept.size(); ++i) {
    for (std::size_t j = 0; j < group.size(); ++j)
      group[j] = x.data[static_cast<std::size_t>(at.kept[i] + at.along[j])];
    call.out[0].data[i] = whole ? whole_product(group, x.dtype) : of(group);
  }
}

// ---- gradients: g and y with their axes back

struct Parts {
  std::vector<std::int64_t> axes;
  Ex x, y, g;
};
Parts parts(const GradientCall& call) {
  Parts p{axes_of(call.attrs, call.in[0].shape().size()), call.in[0], call.out[0], call.grad[0]};
  if (call.attrs.boolean("keep_dims")) return p;
  p.y = restored(p.y, p.axes);
  p.g = restored(p.g, p.axes);
  return p;
}

std::vector<Ex> sum_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * ones_like(p.x)};
}
std::vector<Ex> mean_gradient(const GradientCall& call) {
  Parts p = parts(call);
  Ex ones = ones_like(p.x);
  return {p.g * ones / reduce(ops::reduce_sum, ones, p.axes)};
}
std::vector<Ex> extreme_gradient(const GradientCall& call) {  // shared evenly among equals
  Parts p = parts(call);
  Ex here = like(equal(p.x, p.y), p.x);
  return {p.g * here / reduce(ops::reduce_sum, here, p.axes)};
}
std::vector<Ex> product_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * p.y / p.x};
}
std::vector<Ex> sum_square_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * 2 * p.x};
}
std::vector<Ex> l1_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * sign(p.x)};
}
std::vector<Ex> l2_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * p.x / p.y};
}
std::vector<Ex> log_sum_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g / exp(p.y) * ones_like(p.x)};
}
std::vector<Ex> log_sum_exp_gradient(const GradientCall& call) {
  Parts p = parts(call);
  return {p.g * exp(p.x - p.y)};
}

// ---- argmax and argmin

std::vector<Type> infer_arg(const InferCall& call) {
  const Type& x = call.type(0);
  need_numbers(x);
  std::int64_t axis = wrap_axis(call.attrs.integer("axis"), x.rank());
  if (x.shape[static_cast<std::size_t>(axis)] == 0)
    throw Error(Code::bad_input, text("axis {} of {} is empty", axis, text_of(x)));
  Type out = reduced(x, {{axis}}, call.attrs.boolean("keep_dims"));
  out.dtype = call.attrs.dtype("output_dtype");
  return {out};
}

template <bool most>
void arg_reference(const ReferenceCall& call) {  // the first of equals; a NaN counts as the most extreme
  const Array& x = *call.in[0];
  Offsets at = offsets(x.shape, {{wrap_axis(call.attrs.integer("axis"), x.shape.size())}});
  for (std::size_t i = 0; i < at.kept.size(); ++i) {
    std::size_t best = 0;
    auto value = [&](std::size_t j) { return x.data[static_cast<std::size_t>(at.kept[i] + at.along[j])]; };
    for (std::size_t j = 1; j < at.along.size(); ++j) {
      double a = value(j), b = value(best);
      if (b == b && (a != a || (most ? a > b : a < b))) best = j;
    }
    call.out[0].data[i] = static_cast<double>(best);
  }
}

// ---- definitions

constexpr std::string_view ane_source = "measured on an M1 (ane-guide) and Core ML's public statements";

constexpr OpDef reduction(std::string_view name, std::string_view doc, Reference* reference,
                          Gradient* gradient) {
  return {.name = name,
          .doc = doc,
          .inputs = {"x"},
          .attrs = {{"axes", AttrKind::integers}, {"keep_dims", AttrKind::boolean, "false"}},
          .infer = infer,
          .gradient = gradient,
          .reference = reference,
          .mil = {name},
          .ane = {Fit::native, "", ane_source},
          .near_zero = 1e-6,
          .samples = {{{"fp32[2, 3, 5] 0.25..2"}},
                      {{"fp32[4, 37] 0.25..2"}, "axes=[-1]"},
                      {{"fp32[2, 3, 4, 19] 0.25..2"}, "axes=[1], keep_dims=true"},
                      {{"fp32[2, 3, 4, 5] 0.25..2"}, "axes=[0, -1]"},
                      {{"int32[3, 21] -3..4"}, "axes=[1]"},
                      {{"fp32[3, 4, 33] 0.25..2"}, "axes=[1, 2], keep_dims=true"}}};
}

constexpr OpDef arg_reduction(std::string_view name, std::string_view doc, Reference* reference) {
  return {.name = name,
          .doc = doc,
          .inputs = {"x"},
          .attrs = {{"axis", AttrKind::integer, "-1"},
                    {"keep_dims", AttrKind::boolean, "false"},
                    {"output_dtype", AttrKind::word, "int32", "int32 uint16"}},
          .infer = infer_arg,
          .reference = reference,
          .mil = {.name = name, .parameters = {{.name = "output_dtype", .since = 7}}},
          .ane = {Fit::conditional, "fp16 only", ane_source},
          .samples = {{{"fp32[3, 40]"}},
                      {{"fp32[2, 5, 19]"}, "axis=1, keep_dims=true"},
                      {{"int32[4, 18] 0..5"}, "axis=0, output_dtype=uint16"}}};
}

}  // namespace

constinit const OpDef ops::reduce_sum =
    reduction("reduce_sum", "Sum over axes (all by default)", reference<sum>, sum_gradient);
constinit const OpDef ops::reduce_mean =
    reduction("reduce_mean", "Mean over axes (all by default)", reference<mean>, mean_gradient);
constinit const OpDef ops::reduce_max =
    reduction("reduce_max", "Largest over axes (all by default); NaN if there is one", reference<largest>,
              extreme_gradient);
constinit const OpDef ops::reduce_min =
    reduction("reduce_min", "Smallest over axes (all by default); NaN if there is one", reference<smallest>,
              extreme_gradient);
constinit const OpDef ops::reduce_prod =
    reduction("reduce_prod", "Product over axes (all by default)", reference<product>, product_gradient);
constinit const OpDef ops::reduce_sum_square =
    reduction("reduce_sum_square", "Sum of squares over axes (all by default)", reference<sum_square>,
              sum_square_gradient);
constinit const OpDef ops::reduce_l1_norm = reduction(
    "reduce_l1_norm", "Sum of absolute values over axes (all by default)", reference<l1>, l1_gradient);
constinit const OpDef ops::reduce_l2_norm =
    reduction("reduce_l2_norm", "Square root of the sum of squares over axes (all by default)", reference<l2>,
              l2_gradient);
constinit const OpDef ops::reduce_log_sum =
    reduction("reduce_log_sum", "Logarithm of the sum over axes (all by default)", reference<log_sum>,
              log_sum_gradient);
constinit const OpDef ops::reduce_log_sum_exp = reduction(
    "reduce_log_sum_exp", "Logarithm of the sum of exponentials over axes (all by default), without overflow",
    reference<log_sum_exp>, log_sum_exp_gradient);
constinit const OpDef ops::reduce_argmax = arg_reduction(
    "reduce_argmax", "Where the largest along an axis is; the first of equals", arg_reference<true>);
constinit const OpDef ops::reduce_argmin = arg_reduction(
    "reduce_argmin", "Where the smallest along an axis is; the first of equals", arg_reference<false>);

}  // namespace tl
