// SPDX-License-Identifier: Apache-2.0
// Quantising and dequantising with scales and zero points: per tensor, along an axis, or in blocks.
#include "op/quant.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {

Blocks::Blocks(std::span<const Dim> tensor, std::span<const Dim> grid)
    : length_(tensor.begin(), tensor.end()), stride_(row_major(grid)), count_(volume(grid)) {
  bool fits = tensor.size() == grid.size();
  for (std::size_t d = 0; fits && d < tensor.size(); ++d) {
    fits = grid[d] > 0 && tensor[d] % grid[d] == 0;
    if (fits) size_.push_back(std::max<std::int64_t>(tensor[d] / grid[d], 1));
  }
  if (!fits)
    throw Error(Code::bad_input, text("blocks of {} do not divide {}", text_of(grid), text_of(tensor)));
  for (std::size_t d = tensor.size(); d-- > 0;) {
    repeat_ *= size_[d];
    if (grid[d] != 1) break;
  }
  each_ = !grid.empty() && grid.back() > 1 && size_.back() == 1;
  if (each_) repeat_ = length_.back();
}

Shape axis_grid(std::span<const Dim> tensor, std::span<const Dim> parameter,
                std::optional<std::int64_t> axis) {
  Shape grid(tensor.size(), 1);
  if (volume(parameter) == 1) return grid;
  need(axis && parameter.size() == 1, "needs one scale, or a vector of them and an axis");
  auto at = static_cast<std::size_t>(wrap_axis(*axis, tensor.size()));
  if (parameter[0] != tensor[at])
    throw Error(Code::bad_input,
                text("has {} scales for {} along axis {}", parameter[0], text_of(tensor), *axis));
  grid[at] = parameter[0];
  return grid;
}

namespace {

std::optional<std::int64_t> axis_of(const Attrs& attrs) {
  return attrs.has("axis") ? std::optional(attrs.integer("axis")) : std::nullopt;
}

// A parameter (input 1: scale, 2: zero point) fits, as far as the shapes are known.
void check_parameter(const InferCall& call, std::size_t input) {
  if (!call.has(input)) return;
  need_rank(call, input, 0, 1);
  const Type &x = call.type(0), &p = call.type(input);
  if (x.is_concrete() && p.is_concrete()) axis_grid(x.shape, p.shape, axis_of(call.attrs));
}

std::vector<Type> infer_quantize(const InferCall& call) {
  need(is_float(call.type(0).dtype), "takes a floating tensor");
  check_parameter(call, 1);
  check_parameter(call, 2);
  return {Type(call.attrs.dtype("output_dtype"), call.type(0).shape)};
}

std::vector<Type> infer_dequantize(const InferCall& call) {
  need(is_float(call.type(1).dtype), "takes a floating scale");
  check_parameter(call, 1);
  check_parameter(call, 2);
  return {Type(call.type(1).dtype, call.type(0).shape)};
}

std::vector<Type> infer_blockwise(const InferCall& call) {
  const Type &data = call.type(0), &scale = call.type(1);
  need(is_float(scale.dtype), "takes a floating scale");
  need_rank(call, 1, data.rank(), data.rank());
  if (data.is_concrete() && scale.is_concrete()) Blocks(data.shape, scale.shape);
  if (call.has(2)) need(call.type(2).shape == scale.shape, "offset and scale differ in shape");
  return {Type(scale.dtype, data.shape)};
}

struct Lookup {  // a parameter with the blocks it belongs to, or nothing
  const Array* values = nullptr;
  Blocks blocks = {};
  double at(std::int64_t i, double otherwise) const {
    return values ? values->data[static_cast<std::size_t>(blocks.at(i))] : otherwise;
  }
};

Lookup along_axis(const ReferenceCall& call, std::size_t input) {
  if (input >= call.in.size() || !call.in[input]) return {};
  const Shape& x = call.in[0]->shape;
  return {call.in[input], Blocks(x, axis_grid(x, call.in[input]->shape, axis_of(call.attrs)))};
}

Lookup in_blocks(const ReferenceCall& call, std::size_t input) {
  if (input >= call.in.size() || !call.in[input]) return {};
  return {call.in[input], Blocks(call.in[0]->shape, call.in[input]->shape)};
}

void shift_and_scale(const ReferenceCall& call, const Lookup& scale, const Lookup& offset) {
  const Array& x = *call.in[0];
  call.out[0].shape = x.shape;
  call.out[0].data.resize(x.data.size());
  for (std::int64_t i = 0; i < x.size(); ++i)
    call.out[0].data[static_cast<std::size_t>(i)] =
        scale.at(i, 1) * (x.data[static_cast<std::size_t>(i)] - offset.at(i, 0));
}

void reference_dequantize(const ReferenceCall& call) {
  shift_and_scale(call, along_axis(call, 1), along_axis(call, 2));
}
void reference_blockwise(const ReferenceCall& call) {
  shift_and_scale(call, in_blocks(call, 1), in_blocks(call, 2));
}

struct Range {
  double low, high;
};

Range range_of(DType d) {
  double size = std::ldexp(1.0, bits_of(d));
  return name_of(d).front() == 'u' ? Range{0, size - 1} : Range{-size / 2, size / 2 - 1};
}

void reference_quantize(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  Lookup scale = along_axis(call, 1), zero = along_axis(call, 2);
  Range range = range_of(call.out[0].dtype);
  call.out[0].shape = x.shape;
  call.out[0].data.resize(x.data.size());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    double q = std::nearbyint(x.data[static_cast<std::size_t>(i)] / scale.at(i, 1)) + zero.at(i, 0);
    call.out[0].data[static_cast<std::size_t>(i)] = q == q ? std::clamp(q, range.low, range.high) : 0;
  }
}

void downgrade_affine(MilWrite& out) {
  out.as_attributes = true;
  const Tensor* q = out.constant("quantized_data");
  if (!out.find("zero_point") && q) out.set("zero_point", scalar(0, q->dtype()));
}

}  // namespace

constinit const OpDef ops::quantize{
    .name = "quantize",
    .doc =
        "Numbers as small integers: x / scale, rounded to even, plus the zero point, kept within the type.",
    .inputs = {"input", "scale", {"zero_point", Arity::optional}},
    .attrs = {{"axis", AttrKind::integer, absent},
              {"output_dtype", AttrKind::word, required, "int8 uint8 int4 uint4"}},
    .infer = infer_quantize,
    .reference = reference_quantize,
    .mil = {"quantize", 7},
    .samples = {{.inputs = {"fp32[2, 3]", "fp32[] = 0.1", "int8[] = 3"}, .attrs = "output_dtype=int8"},
                {.inputs = {"fp32[2, 3]", "fp32[3] = [0.1, 0.02, 0.3]"},
                 .attrs = "output_dtype=uint8, axis=1"}},
};

constinit const OpDef ops::dequantize{
    .name = "dequantize",
    .doc = "Numbers from small integers: scale * (q - zero point).",
    .inputs = {"input", "scale", {"zero_point", Arity::optional}},
    .attrs = {{"axis", AttrKind::integer, absent}},
    .infer = infer_dequantize,
    .reference = reference_dequantize,
    .mil = {"dequantize", 7},
    .samples = {{.inputs = {"int8[2, 3] -128..127", "fp32[] = 0.1", "int8[] = 3"}},
                {.inputs = {"uint8[2, 3] 0..255", "fp16[3]"}, .attrs = "axis=1"}},
};

constinit const OpDef ops::constexpr_affine_dequantize{
    .name = "constexpr_affine_dequantize",
    .doc = "A constant from small integers: scale * (q - zero point), per tensor or along an axis.",
    .inputs = {"quantized_data", "scale", {"zero_point", Arity::optional}},
    .attrs = {{"axis", AttrKind::integer, "0"}},
    .infer = infer_dequantize,
    .reference = reference_dequantize,
    .traits = Traits::dequantize,
    .mil = {.name = "constexpr_affine_dequantize", .since = 6, .downgrade = downgrade_affine, .narrow = 6},
    .samples = {{.inputs = {"int8[2, 3] -128..127", "fp32[2]", "int8[2] -3..3"}}},
};

constinit const OpDef ops::constexpr_blockwise_shift_scale{
    .name = "constexpr_blockwise_shift_scale",
    .doc = "A constant from small integers: scale * (q - offset), with a scale and an offset a block.",
    .inputs = {"data", "scale", {"offset", Arity::optional}},
    .infer = infer_blockwise,
    .reference = reference_blockwise,
    .traits = Traits::dequantize,
    .mil = {"constexpr_blockwise_shift_scale", 8},
    .samples = {{.inputs = {"int4[4, 6] -8..7", "fp32[2, 3]", "int4[2, 3] -8..7"}},
                {.inputs = {"uint8[4, 6] 0..255", "fp16[4, 1]"}}},
};

}  // namespace tl
