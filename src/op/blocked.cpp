// SPDX-License-Identifier: Apache-2.0
// Operations over images in blocks of channels: each is that over plain images between two conversions.
#include "op/blocked.h"

#include <algorithm>

#include "op/axes.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

bool is_blocked(std::span<const Dim> shape) { return shape.size() == 5; }

Array plain_of(const Array& x, std::int64_t channels) {
  Array y{x.dtype, plain_shape(x.shape, channels), {}};
  y.data.resize(static_cast<std::size_t>(volume(y.shape)));
  std::int64_t plane = x.shape[2] * x.shape[3];
  for (std::int64_t i = 0; i < y.size(); ++i) {
    std::int64_t p = i % plane, c = i / plane % channels, n = i / plane / channels;
    std::int64_t block = n * x.shape[1] + c / channel_block;
    y.data[static_cast<std::size_t>(i)] =
        x.data[static_cast<std::size_t>((block * plane + p) * channel_block + c % channel_block)];
  }
  return y;
}

void blocked_of(const Array& x, Array& y) {
  y.shape = blocked_shape(x.shape);
  y.data.assign(static_cast<std::size_t>(volume(y.shape)), 0);
  std::int64_t plane = x.shape[2] * x.shape[3], channels = x.shape[1];
  for (std::int64_t i = 0; i < x.size(); ++i) {
    std::int64_t p = i % plane, c = i / plane % channels, n = i / plane / channels;
    std::int64_t block = n * y.shape[1] + c / channel_block;
    y.data[static_cast<std::size_t>((block * plane + p) * channel_block + c % channel_block)] =
        x.data[static_cast<std::size_t>(i)];
  }
}

Array sized(DType dtype, Shape shape) {
  Array a{dtype, std::move(shape), {}};
  a.data.resize(static_cast<std::size_t>(volume(a.shape)));
  return a;
}

// Over plain images: what `op` infers and computes.
Type infer_plain(const OpDef& op, const InferCall& call, std::int64_t channels) {
  std::vector<Type> types(call.types.begin(), call.types.end());
  if (is_blocked(types[0].shape)) types[0].shape = plain_shape(types[0].shape, channels);
  std::size_t n = op.inputs.size();
  return op.infer({{types.data(), n}, call.values.first(n), call.given.first(n), call.attrs}).front();
}

void compute_plain(const OpDef& op, const ReferenceCall& call, Array x, std::int64_t channels) {
  std::vector<const Array*> in(call.in.begin(), call.in.end());
  std::vector<Type> types;
  for (const Array* a : in) types.push_back(a ? Type(a->dtype, a->shape) : Type());
  if (is_blocked(x.shape)) x = plain_of(x, channels);
  in[0] = &x, types[0].shape = x.shape;
  in.resize(op.inputs.size());
  std::unique_ptr<bool[]> given(new bool[in.size()]());
  for (std::size_t i = 0; i < in.size(); ++i) given[i] = in[i] != nullptr;
  std::vector<const Tensor*> values(in.size(), nullptr);
  Type type = op.infer({{types.data(), in.size()}, values, {given.get(), in.size()}, call.attrs}).front();
  Array out = sized(call.out[0].dtype, type.shape);
  op.reference({in, call.attrs, {&out, 1}, call.seed});
  blocked_of(out, call.out[0]);
}

// ---- conversions

std::vector<Type> infer_to_blocks(const InferCall& call) {
  need_rank(call, 0, 4, 4);
  return {Type(call.type(0).dtype, blocked_shape(call.type(0).shape))};
}
void reference_to_blocks(const ReferenceCall& call) { blocked_of(*call.in[0], call.out[0]); }

std::vector<Type> infer_from_blocks(const InferCall& call) {
  need_rank(call, 0, 5, 5);
  return {Type(call.type(0).dtype, plain_shape(call.type(0).shape, call.attrs.integer("channels")))};
}
void reference_from_blocks(const ReferenceCall& call) {
  Array plain = plain_of(*call.in[0], call.attrs.integer("channels"));
  call.out[0].shape = plain.shape, call.out[0].data = std::move(plain.data);
}

// ---- convolutions and poolings

std::vector<Type> infer_conv(const InferCall& call) {
  Type plain = infer_plain(ops::conv, call, call.type(1).shape[1] * call.attrs.integer("groups"));
  return {Type(plain.dtype, blocked_shape(plain.shape))};
}

void reference_conv(const ReferenceCall& call) {
  Array x = *call.in[0];
  std::int64_t channels = call.in[1]->shape[1] * call.attrs.integer("groups");
  if (const Array* scale = call.in.size() > 3 ? call.in[3] : nullptr) {
    std::int64_t plane = x.shape[2] * x.shape[3] * channel_block;
    for (std::int64_t i = 0; i < x.size(); ++i)
      x.data[static_cast<std::size_t>(i)] *=
          scale->data[static_cast<std::size_t>(i / plane * channel_block + i % channel_block)];
  }
  compute_plain(ops::conv, call, std::move(x), channels);
}

template <const OpDef& op> std::vector<Type> infer_pool(const InferCall& call) {
  need_rank(call, 0, 5, 5);
  Type plain = infer_plain(op, call, call.type(0).shape[1] * channel_block);
  return {Type(plain.dtype, blocked_shape(plain.shape))};
}
template <const OpDef& op> void reference_pool(const ReferenceCall& call) {
  compute_plain(op, call, *call.in[0], call.in[0]->shape[1] * channel_block);
}

constexpr AttrDef strides{"strides", AttrKind::integers};
constexpr AttrDef pad_type{"pad_type", AttrKind::word, "valid", "valid custom same same_lower"};
constexpr AttrDef pad_sizes{"pad", AttrKind::integers};
constexpr AttrDef kernel_sizes{"kernel_sizes", AttrKind::integers, required};
constexpr AttrDef ceil_mode{"ceil_mode", AttrKind::boolean, "false"};
constexpr AttrDef exclude_padding{"exclude_padding_from_average", AttrKind::boolean, "false"};

}  // namespace

Shape blocked_shape(std::span<const Dim> plain) {
  return {plain[0], blocks_of(plain[1]), plain[2], plain[3], channel_block};
}
Shape plain_shape(std::span<const Dim> blocked, std::int64_t channels) {
  return {blocked[0], channels, blocked[2], blocked[3]};
}

Tensor block_channels(const Tensor& plain) {
  Array x{plain.dtype(), plain.shape(), to_doubles(plain)}, y{plain.dtype(), {}, {}};
  blocked_of(x, y);
  return from_doubles(y.data, y.dtype, y.shape);
}

ConvPlan plan_blocked_conv(const KernelRequest& request, std::int64_t groups) {
  const Shape& w = request.in[1].shape;
  Shape x = request.in[0].shape;
  if (is_blocked(x)) x = plain_shape(x, w[1] * groups);
  return plan_conv(x, w, windows_of(ops::conv, x, w, request.attrs), groups);
}

bool is_over_planes(const Attrs& attrs) { return axes_of(attrs, 5) == std::vector<std::int64_t>{2, 3}; }

const OpDef* blocked_form(const OpDef& op) {
  if (&op == &ops::conv) return &ops::conv_blocked;
  if (&op == &ops::max_pool) return &ops::max_pool_blocked;
  if (&op == &ops::avg_pool) return &ops::avg_pool_blocked;
  return nullptr;
}

constinit const OpDef ops::to_blocks{
    .name = "to_blocks",
    .doc = "An image with its channels in blocks of 16",
    .inputs = {"x"},
    .infer = infer_to_blocks,
    .reference = reference_to_blocks,
};

constinit const OpDef ops::from_blocks{
    .name = "from_blocks",
    .doc = "An image with its channels as planes again",
    .inputs = {"x"},
    .attrs = {{"channels", AttrKind::integer, required}},
    .infer = infer_from_blocks,
    .reference = reference_from_blocks,
};

constinit const OpDef ops::conv_blocked{
    .name = "conv",
    .doc = "conv over an image in blocks of channels",
    .inputs = {"x", "weight", {"bias", Arity::optional}, {"scale", Arity::optional}},
    .attrs =
        {strides, pad_type, pad_sizes, {"dilations", AttrKind::integers}, {"groups", AttrKind::integer, "1"}},
    .infer = infer_conv,
    .reference = reference_conv,
    .near_zero = 5e-5,
};

constinit const OpDef ops::max_pool_blocked{
    .name = "max_pool",
    .doc = "max_pool over an image in blocks of channels",
    .inputs = {"x"},
    .attrs = {kernel_sizes, strides, pad_type, pad_sizes, ceil_mode},
    .infer = infer_pool<ops::max_pool>,
    .reference = reference_pool<ops::max_pool>,
};

constinit const OpDef ops::avg_pool_blocked{
    .name = "avg_pool",
    .doc = "avg_pool over an image in blocks of channels",
    .inputs = {"x"},
    .attrs = {kernel_sizes, strides, pad_type, pad_sizes, exclude_padding, ceil_mode},
    .infer = infer_pool<ops::avg_pool>,
    .reference = reference_pool<ops::avg_pool>,
};

}  // namespace tl
