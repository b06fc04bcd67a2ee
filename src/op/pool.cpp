// SPDX-License-Identifier: Apache-2.0
// Poolings over one to three spatial dimensions, and the gradient that they share.
#include "op/pool.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

std::vector<Window> windows_of(std::span<const Dim> x, const Attrs& attrs) {
  const auto& kernel = attrs.integers("kernel_sizes");
  return windows(x.subspan(2), kernel, attrs);
}

std::vector<Type> infer_pool(const InferCall& call) {
  const Type& x = call.type(0);
  if (!x.is_tensor() || !is_float(x.dtype))
    throw Error(Code::bad_input, text("x is {}; it must be of a floating type", text_of(x)));
  need_rank(call, 0, 3, 5);
  Type out(x.dtype, {x.shape[0], x.shape[1]});
  for (const Window& w : windows_of(x.shape, call.attrs)) out.shape.push_back(w.out);
  return {out};
}

std::vector<Type> infer_gradient(const InferCall& call) {
  Type pooled = infer_pool(call).front();
  for (std::size_t i : {1, 2})
    need(!pooled.is_concrete() || !call.type(i).is_concrete() || call.type(i) == pooled,
         "the gradient is not of the pooling's shape");
  return {call.type(0)};
}

// Calls visit(plane, output position, reach) for every output element.
template <class Visit> void each_window(const PoolShape& p, const Visit& visit) {
  std::int64_t at = 0;
  for (std::int64_t plane = 0; plane < p.planes; ++plane)
    for (std::int64_t a = 0; a < p.window[0].out; ++a)
      for (std::int64_t b = 0; b < p.window[1].out; ++b)
        for (std::int64_t c = 0; c < p.window[2].out; ++c)
          visit(plane, at++, std::array{reach(p.window[0], a), reach(p.window[1], b), reach(p.window[2], c)});
}

// Calls visit(input position) for every element of a window that is not padding.
template <class Visit>
void each_element(const PoolShape& p, std::int64_t plane, const std::array<Reach, 3>& r, const Visit& visit) {
  for (std::int64_t a = r[0].first; a < r[0].last; ++a)
    for (std::int64_t b = r[1].first; b < r[1].last; ++b)
      for (std::int64_t c = r[2].first; c < r[2].last; ++c)
        visit(static_cast<std::size_t>(((plane * p.window[0].in + a) * p.window[1].in + b) * p.window[2].in +
                                       c));
}

template <PoolKind kind> void reference(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  PoolShape p = pool_shape(x.shape, call.attrs);
  each_window(p, [&](std::int64_t plane, std::int64_t at, const std::array<Reach, 3>& r) {
    double total = kind == PoolKind::max ? -std::numeric_limits<double>::infinity() : 0;
    each_element(p, plane, r, [&](std::size_t i) {
      double v = x.data[i];
      if (kind == PoolKind::max) total = total != total || total > v ? total : v;
      else total += kind == PoolKind::l2 ? v * v : v;
    });
    if (kind == PoolKind::avg) total /= divisor(p, r);
    call.out[0].data[static_cast<std::size_t>(at)] = kind == PoolKind::l2 ? std::sqrt(total) : total;
  });
}

// Shares what arrives at an output among the inputs of its window: to the first largest, evenly, or by size.
void gradient_reference(const ReferenceCall& call) {
  const Array &x = *call.in[0], &y = *call.in[1], &g = *call.in[2];
  PoolShape p = pool_shape(x.shape, call.attrs);
  std::vector<double>& dx = call.out[0].data;
  std::string kind = call.attrs.word("kind");
  std::fill(dx.begin(), dx.end(), 0.0);
  each_window(p, [&](std::int64_t plane, std::int64_t at, const std::array<Reach, 3>& r) {
    double arriving = g.data[static_cast<std::size_t>(at)], result = y.data[static_cast<std::size_t>(at)];
    bool given = false;
    each_element(p, plane, r, [&](std::size_t i) {
      if (kind == "avg") dx[i] += arriving / divisor(p, r);
      else if (kind == "l2") dx[i] += result == 0 ? 0 : arriving * x.data[i] / result;
      else if (!given && x.data[i] == result) dx[i] += arriving, given = true;
    });
  });
}

std::vector<Ex> pool_backward(const GradientCall& call, std::string kind) {
  Attrs attrs = call.attrs;
  if (!attrs.has("exclude_padding_from_average")) attrs.set("exclude_padding_from_average", false);
  attrs.set("kind", std::move(kind));
  Ex in[] = {call.in[0], call.out[0], call.grad[0]};
  return {emit(ops::pool_gradient, in, attrs)};
}
std::vector<Ex> max_gradient(const GradientCall& call) { return pool_backward(call, "max"); }
std::vector<Ex> avg_gradient(const GradientCall& call) { return pool_backward(call, "avg"); }
std::vector<Ex> l2_gradient(const GradientCall& call) { return pool_backward(call, "l2"); }

constexpr AttrDef kernel_sizes{"kernel_sizes", AttrKind::integers, required};
constexpr AttrDef strides{"strides", AttrKind::integers};
constexpr AttrDef pad_type{"pad_type", AttrKind::word, "valid", "valid custom same same_lower"};
constexpr AttrDef pad_sizes{"pad", AttrKind::integers};
constexpr AttrDef ceil_mode{"ceil_mode", AttrKind::boolean, "false"};
constexpr AttrDef exclude_padding{"exclude_padding_from_average", AttrKind::boolean, "false"};
constexpr AneFacts fit{Fit::conditional, "kernels up to 13, one or two spatial dimensions",
                       "measured on an M1 (ane-guide)"};

// same_lower came with iOS 16.
void downgrade_window(MilWrite& out) {
  if (out.node.attrs.word("pad_type") == "same_lower") out.need(6);
}

}  // namespace

PoolShape pool_shape(std::span<const Dim> x, const Attrs& attrs) {
  std::vector<Window> all = windows_of(x, attrs);
  PoolShape p{.planes = x[0] * x[1]};
  for (std::size_t d = 0; d < 3; ++d) {
    std::size_t lacking = 3 - all.size();
    p.window[d] = d < lacking ? Window{.in = 1, .out = 1} : all[d - lacking];
  }
  p.exclude_padding =
      attrs.has("exclude_padding_from_average") && attrs.boolean("exclude_padding_from_average");
  return p;
}

constinit const OpDef ops::max_pool{
    .name = "max_pool",
    .doc = "The largest of each window; padding does not count",
    .inputs = {"x"},
    .attrs = {kernel_sizes, strides, pad_type, pad_sizes, ceil_mode},
    .infer = infer_pool,
    .gradient = max_gradient,
    .reference = reference<PoolKind::max>,
    .mil = {.name = "max_pool", .downgrade = downgrade_window},
    .ane = fit,
    .samples = {{{"fp32[2, 3, 9, 37]"},
                 "kernel_sizes=[3, 3], strides=[2, 2], pad_type=custom, pad=[1, 1, 1, 1]"},
                {{"fp32[1, 2, 6, 21]"}, "kernel_sizes=[2, 2], strides=[2, 2]"},
                {{"fp32[2, 3, 25]"}, "kernel_sizes=[3], pad_type=same"},
                {{"fp32[1, 2, 4, 6, 5]"}, "kernel_sizes=[2, 3, 2], strides=[2, 1, 2], pad_type=same_lower"},
                {{"fp32[1, 2, 5, 40]"}, "kernel_sizes=[3, 3], pad_type=same"},
                {{"fp32[1, 2, 7, 7]"}, "kernel_sizes=[7, 7]"}},
};

constinit const OpDef ops::avg_pool{
    .name = "avg_pool",
    .doc = "The mean of each window",
    .inputs = {"x"},
    .attrs = {kernel_sizes, strides, pad_type, pad_sizes, exclude_padding, ceil_mode},
    .infer = infer_pool,
    .gradient = avg_gradient,
    .reference = reference<PoolKind::avg>,
    .mil = {.name = "avg_pool", .downgrade = downgrade_window},
    .ane = fit,
    .samples = {{{"fp32[2, 3, 9, 37]"},
                 "kernel_sizes=[3, 3], strides=[2, 2], pad_type=custom, pad=[1, 1, 1, 1]"},
                {{"fp32[1, 2, 6, 21]"},
                 "kernel_sizes=[2, 2], strides=[2, 2], pad_type=same, exclude_padding_from_average=true"},
                {{"fp32[2, 3, 25]"}, "kernel_sizes=[3], pad_type=same"},
                {{"fp32[1, 2, 4, 6, 5]"}, "kernel_sizes=[2, 3, 2], strides=[2, 1, 2]"},
                {{"fp32[1, 2, 7, 40]"},
                 "kernel_sizes=[3, 4], pad_type=same, exclude_padding_from_average=true"},
                {{"fp32[1, 2, 7, 7]"}, "kernel_sizes=[7, 7]"}},
};

constinit const OpDef ops::l2_pool{
    .name = "l2_pool",
    .doc = "The root of the sum of squares of each window",
    .inputs = {"x"},
    .attrs = {kernel_sizes, strides, pad_type, pad_sizes, ceil_mode},
    .infer = infer_pool,
    .gradient = l2_gradient,
    .reference = reference<PoolKind::l2>,
    .mil = {.name = "l2_pool", .downgrade = downgrade_window},
    .ane = fit,
    .samples = {{{"fp32[2, 3, 9, 37]"},
                 "kernel_sizes=[3, 3], strides=[2, 2], pad_type=custom, pad=[1, 1, 1, 1]"},
                {{"fp32[2, 3, 25]"}, "kernel_sizes=[4]"}},
};

constinit const OpDef ops::pool_gradient{
    .name = "pool_gradient",
    .doc = "The gradient of a pooling: what arrives at each window, given back to its elements",
    .inputs = {"x", "y", "gradient"},
    .attrs = {kernel_sizes,
              strides,
              pad_type,
              pad_sizes,
              exclude_padding,
              ceil_mode,
              {"kind", AttrKind::word, "max", "max avg l2"}},
    .infer = infer_gradient,
    .reference = gradient_reference,
    .samples = {{{"fp32[1, 2, 4, 4]", "fp32[1, 2, 2, 2]", "fp32[1, 2, 2, 2]"},
                 "kernel_sizes=[2, 2], strides=[2, 2], kind=avg"}},
};

}  // namespace tl
