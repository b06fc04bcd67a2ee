// SPDX-License-Identifier: Apache-2.0
// Resizing the last axes of a tensor: every operation here is a list of taps per axis, applied axis by axis.
#include "op/resize.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {

ResizeTap tap_at(double position, std::int64_t length) {
  if (!(position > 0)) return {};
  double last = static_cast<double>(length - 1), p = std::min(position, last), low = std::floor(p);
  auto at = static_cast<std::int64_t>(low);
  return p == low ? ResizeTap{at, at, 0} : ResizeTap{at, at + 1, p - low};
}

double grid_position(std::string_view mode, std::int64_t i, std::int64_t in, std::int64_t out) {
  auto n = static_cast<double>(in), m = static_cast<double>(out), k = static_cast<double>(i);
  if (mode == "STRICT_ALIGN_CORNERS") return out == 1 ? 0 : k * (n - 1) / (m - 1);
  if (mode == "ALIGN_CORNERS") return out == 1 ? (n - 1) / 2 : k * (n - 1) / (m - 1);
  if (mode == "OFFSET_CORNERS") return (k + 0.5) * std::max(1.0, n - 1) / m;
  if (mode == "UNALIGN_CORNERS") return (k + 0.5) * n / m - 0.5;
  return k * n / m;
}

namespace {

ResizeTap nearest_tap(double position, std::int64_t length) {
  auto at = static_cast<std::int64_t>(std::floor(position));
  at = std::clamp<std::int64_t>(at, 0, length - 1);
  return {at, at, 0};
}

std::string_view upsampling_mode(const Attrs& attrs) {
  bool align = attrs.boolean("align_corners");
  bool half_pixel = attrs.has("half_pixel_centers") ? attrs.boolean("half_pixel_centers") : !align;
  return align ? "STRICT_ALIGN_CORNERS" : half_pixel ? "UNALIGN_CORNERS" : "DEFAULT";
}

struct Rule {  // how an operation finds its samples
  std::string_view mode;
  bool linear = true;
  double shift = 0;  // of a nearest sample: the position plus this is rounded down
};

Rule rule_of(const OpDef& op, const Attrs& attrs) {
  if (&op == &ops::resize_bilinear) return {attrs.word("sampling_mode")};
  if (&op == &ops::upsample_bilinear) return {upsampling_mode(attrs)};
  if (&op == &ops::resize && attrs.word("interpolation_mode") == "LINEAR")
    return {attrs.word("sampling_mode")};
  if (&op == &ops::resize) return {attrs.word("sampling_mode"), false, 0.5};
  return {"DEFAULT", false, 0};
}

}  // namespace

std::vector<Taps> resize_taps(const OpDef& op, const Attrs& attrs, std::span<const Dim> in,
                              std::span<const Dim> out) {
  Rule rule = rule_of(op, attrs);
  std::size_t resized = &op == &ops::resize ? static_cast<std::size_t>(attrs.integer("resized_dims")) : 2;
  TL_ASSERT(resized <= in.size());
  std::vector<Taps> taps(resized);
  for (std::size_t d = 0; d < resized; ++d) {
    Dim n = in[in.size() - resized + d], m = out[in.size() - resized + d];
    for (Dim i = 0; i < m && n > 0; ++i) {
      // Whole positions must come out whole: i * n is exact, so rounding down after one division is, too.
      double p = grid_position(rule.mode, i, n, m);
      taps[d].push_back(rule.linear ? tap_at(p, n) : nearest_tap(p + rule.shift, n));
    }
  }
  return taps;
}

namespace {

// One axis: outer blocks of n rows of `inner` elements become blocks of as many rows as there are taps.
std::vector<double> resized_axis(const std::vector<double>& x, std::int64_t n, std::int64_t inner,
                                 const Taps& taps) {
  std::int64_t outer = x.empty() ? 0 : static_cast<std::int64_t>(x.size()) / (n * inner);
  std::vector<double> y;
  y.reserve(static_cast<std::size_t>(outer * inner) * taps.size());
  for (std::int64_t o = 0; o < outer; ++o)
    for (const ResizeTap& tap : taps)
      for (std::int64_t k = 0; k < inner; ++k) {
        double low = x[static_cast<std::size_t>((o * n + tap.low) * inner + k)];
        double high = x[static_cast<std::size_t>((o * n + tap.high) * inner + k)];
        y.push_back(tap.part == 0 ? low : (1 - tap.part) * low + tap.part * high);
      }
  return y;
}

Shape resized_shape(const OpDef& op, const ReferenceCall& call) {
  Shape shape = call.in[0]->shape;
  if (&op != &ops::resize) return call.out[0].shape;
  auto n = static_cast<std::size_t>(call.attrs.integer("resized_dims"));
  const std::vector<double>& wanted = call.in[1]->data;
  need(n <= shape.size() && n <= wanted.size(), "resizes more axes than there are");
  for (std::size_t d = 1; d <= n; ++d)
    if (double size = wanted[wanted.size() - d]; size != 0) shape[shape.size() - d] = static_cast<Dim>(size);
  for (Dim d : shape) need(d >= 0, "shape has a negative length");
  return shape;
}

void reference_resize_of(const OpDef& op, const ReferenceCall& call) {
  const Array& x = *call.in[0];
  Shape out = resized_shape(op, call);
  std::vector<Taps> taps = resize_taps(op, call.attrs, x.shape, out);
  std::vector<double> y = x.data;
  std::int64_t inner = 1;
  for (std::size_t d = 1; d <= taps.size(); ++d) {  // the last axis first
    y = resized_axis(y, x.shape[x.shape.size() - d], inner, taps[taps.size() - d]);
    inner *= out[out.size() - d];
  }
  y.resize(static_cast<std::size_t>(volume(out)));  // of an empty image: zeros
  call.out[0].shape = std::move(out);
  call.out[0].data = std::move(y);
}

template <const OpDef* op> void reference_resize(const ReferenceCall& call) {
  reference_resize_of(*op, call);
}

// ---- gradient

// One axis as a matrix [out, in], or its transpose: resizing is a product with it.
Tensor axis_matrix(const Taps& taps, Dim in, DType dtype, bool transposed) {
  auto rows = static_cast<Dim>(taps.size());
  std::vector<double> matrix(static_cast<std::size_t>(rows * in));
  for (Dim i = 0; i < rows; ++i) {
    const ResizeTap& tap = taps[static_cast<std::size_t>(i)];
    auto at = [&](Dim k) -> double& {
      return matrix[static_cast<std::size_t>(transposed ? k * rows + i : i * in + k)];
    };
    at(tap.low) += 1 - tap.part;
    at(tap.high) += tap.part;
  }
  return from_doubles(matrix, dtype, transposed ? Shape{in, rows} : Shape{rows, in});
}

std::vector<Ex> gradient_resize_of(const OpDef& op, const GradientCall& call) {
  Type x = call.in[0].type(), y = call.out[0].type();  // copies: the graph grows meanwhile
  std::size_t axes = &op == &ops::resize ? static_cast<std::size_t>(call.attrs.integer("resized_dims")) : 2;
  for (std::size_t d = 1; d <= axes; ++d)
    if (axes > 2 || x.rank() < 2 || !is_known(x.shape[x.rank() - d]) || !is_known(y.shape[y.rank() - d]))
      throw Error(Code::unsupported, "its gradient needs one or two resized axes of known lengths");
  std::vector<Taps> taps = resize_taps(op, call.attrs, x.shape, y.shape);
  Ex grad = call.grad[0];
  auto matrix = [&](std::size_t axis, bool transposed) {
    Dim in = x.shape[x.rank() - axes + axis];
    return constant(grad.place(), axis_matrix(taps[axis], in, x.dtype, transposed));
  };
  grad = emit(ops::matmul, {grad, matrix(axes - 1, false)});
  if (axes == 2) grad = emit(ops::matmul, {matrix(0, true), grad});
  std::vector<Ex> out(call.in.size());
  out[0] = grad;
  return out;
}

template <const OpDef* op> std::vector<Ex> gradient_resize(const GradientCall& call) {
  return gradient_resize_of(*op, call);
}

// ---- inference

std::vector<Type> infer_resize(const InferCall& call) {
  Type out = call.type(0);
  std::int64_t n = call.attrs.integer("resized_dims");
  if (n < 1 || n > static_cast<std::int64_t>(out.rank()))
    throw Error(Code::bad_input, text("cannot resize {} axes of {}", n, text_of(out)));
  need_rank(call, 1, 1, 1);
  auto wanted = integer_values(call, 1);
  if (wanted && static_cast<std::int64_t>(wanted->size()) < n)
    throw Error(Code::bad_input, "shape has fewer lengths than axes are resized");
  for (std::size_t d = 1; d <= static_cast<std::size_t>(n); ++d) {
    Dim& dim = out.shape[out.rank() - d];
    if (!wanted) dim = unknown;
    else if (Dim size = (*wanted)[wanted->size() - d]; size != 0) dim = size;
    need(dim >= 0 || !wanted || (*wanted)[wanted->size() - d] == 0, "shape has a negative length");
  }
  return {out};
}

std::vector<Type> with_size(const InferCall& call, Dim height, Dim width) {
  need_rank(call, 0, 2, 64);
  Type out = call.type(0);
  out.shape[out.rank() - 2] = height;
  out.shape[out.rank() - 1] = width;
  return {out};
}

std::vector<Type> infer_target_size(const InferCall& call) {
  std::int64_t height = call.attrs.integer("target_size_height"),
               width = call.attrs.integer("target_size_width");
  need(height > 0 && width > 0, "target_size_height and target_size_width must be positive");
  return with_size(call, height, width);
}

// In single precision, as the factors are: 3 times 1.6666666 is 5.
Dim scaled(Dim d, double factor) {
  if (!is_known(d)) return unknown;
  float size = std::floor(static_cast<float>(d) * static_cast<float>(factor));
  need(size >= 0 && size < 0x1p40f, "its scale factors are out of range");
  return static_cast<Dim>(size);
}

std::vector<Type> infer_upsample(const InferCall& call) {
  need_rank(call, 0, 2, 64);
  const Shape& x = call.type(0).shape;
  return with_size(call, scaled(x[x.size() - 2], call.attrs.number("scale_factor_height")),
                   scaled(x[x.size() - 1], call.attrs.number("scale_factor_width")));
}

std::vector<Type> infer_upsample_bilinear(const InferCall& call) {
  bool both = call.attrs.boolean("align_corners") && call.attrs.has("half_pixel_centers") &&
              call.attrs.boolean("half_pixel_centers");
  need(!both, "align_corners and half_pixel_centers exclude each other");
  return infer_upsample(call);
}

}  // namespace

constinit const OpDef ops::resize{
    .name = "resize",
    .doc = "Resizes the last axes to the lengths that end `shape`; 0 keeps a length.",
    .inputs = {"x", "shape"},
    .attrs = {{"resized_dims", AttrKind::integer, required},
              {"interpolation_mode", AttrKind::word, "LINEAR", "LINEAR NEAREST_NEIGHBOR"},
              {"sampling_mode", AttrKind::word, "DEFAULT", sampling_modes}},
    .infer = infer_resize,
    .gradient = gradient_resize<&ops::resize>,
    .reference = reference_resize<&ops::resize>,
    .mil = {.name = "resize", .since = 7, .parameters = {{.name = "resized_dims", .dtype = DType::u32}}},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[2, 3, 4]", "int32[2] = [5, 7]"}, .attrs = "resized_dims=2"},
                {.inputs = {"fp32[2, 3, 4]", "int32[2] = [0, 7]"},
                 .attrs = "resized_dims=2, sampling_mode=UNALIGN_CORNERS"},
                {.inputs = {"fp32[3, 4]", "int32[1] = [9]"},
                 .attrs = "resized_dims=1, interpolation_mode=NEAREST_NEIGHBOR"}},
};

constinit const OpDef ops::resize_bilinear{
    .name = "resize_bilinear",
    .doc = "Resizes the last two axes by linear interpolation.",
    .inputs = {"x"},
    .attrs = {{"target_size_height", AttrKind::integer, "1"},
              {"target_size_width", AttrKind::integer, "1"},
              {"sampling_mode", AttrKind::word, "DEFAULT", sampling_modes}},
    .infer = infer_target_size,
    .gradient = gradient_resize<&ops::resize_bilinear>,
    .reference = reference_resize<&ops::resize_bilinear>,
    .mil = {"resize_bilinear"},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[1, 2, 3, 4]"}, .attrs = "target_size_height=5, target_size_width=7"},
                {.inputs = {"fp32[2, 3, 40]"},
                 .attrs = "target_size_height=7, target_size_width=19, sampling_mode=UNALIGN_CORNERS"},
                {.inputs = {"fp32[2, 3, 4]"}, .attrs = "target_size_width=7, sampling_mode=ALIGN_CORNERS"}},
};

constinit const OpDef ops::resize_nearest_neighbor{
    .name = "resize_nearest_neighbor",
    .doc = "Resizes the last two axes by taking the nearest element.",
    .inputs = {"x"},
    .attrs = {{"target_size_height", AttrKind::integer, "1"}, {"target_size_width", AttrKind::integer, "1"}},
    .infer = infer_target_size,
    .gradient = gradient_resize<&ops::resize_nearest_neighbor>,
    .reference = reference_resize<&ops::resize_nearest_neighbor>,
    .mil = {"resize_nearest_neighbor"},
    .samples = {{.inputs = {"fp32[1, 2, 3, 4]"}, .attrs = "target_size_height=5, target_size_width=7"}},
};

constinit const OpDef ops::upsample_bilinear{
    .name = "upsample_bilinear",
    .doc = "Enlarges the last two axes by factors, with linear interpolation.",
    .inputs = {"x"},
    .attrs = {{"scale_factor_height", AttrKind::number, "1"},
              {"scale_factor_width", AttrKind::number, "1"},
              {"align_corners", AttrKind::boolean, "true"},
              {"half_pixel_centers", AttrKind::boolean, absent}},
    .infer = infer_upsample_bilinear,
    .gradient = gradient_resize<&ops::upsample_bilinear>,
    .reference = reference_resize<&ops::upsample_bilinear>,
    .mil = {.name = "upsample_bilinear",
            .parameters = {{.name = "scale_factor_height", .dtype = DType::f32},
                           {.name = "scale_factor_width", .dtype = DType::f32},
                           {.name = "half_pixel_centers", .since = 6}}},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[1, 2, 3, 4]"}, .attrs = "scale_factor_height=2, scale_factor_width=2.5"},
                {.inputs = {"fp32[2, 3, 20]"},
                 .attrs = "scale_factor_height=2, scale_factor_width=2, align_corners=false"}},
};

constinit const OpDef ops::upsample_nearest_neighbor{
    .name = "upsample_nearest_neighbor",
    .doc = "Enlarges the last two axes by factors, repeating elements.",
    .inputs = {"x"},
    .attrs = {{"scale_factor_height", AttrKind::number, "1"}, {"scale_factor_width", AttrKind::number, "1"}},
    .infer = infer_upsample,
    .gradient = gradient_resize<&ops::upsample_nearest_neighbor>,
    .reference = reference_resize<&ops::upsample_nearest_neighbor>,
    .mil = {.name = "upsample_nearest_neighbor",
            .parameters = {{.name = "scale_factor_height", .dtype = DType::f32},
                           {.name = "scale_factor_width", .dtype = DType::f32}}},
    .samples = {{.inputs = {"fp32[1, 2, 3, 4]"}, .attrs = "scale_factor_height=2, scale_factor_width=3"}},
};

}  // namespace tl
