// SPDX-License-Identifier: Apache-2.0
// Compressed constants other than scaled integers: tables, masks, casts. Tables and masks come in two
// generations; the older one, packed bytes beside a shape, becomes the newer one on the way in.
#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"
#include "op/quant.h"

namespace tl {
namespace {

std::vector<Type> infer_cast(const InferCall& call) {
  return {Type(call.attrs.dtype("output_dtype"), call.type(0).shape)};
}

void reference_cast(const ReferenceCall& call) {
  call.out[0].shape = call.in[0]->shape;
  call.out[0].data = call.in[0]->data;
}

// ---- tables: lut [groups …, entries, vector] over indices

struct Table {
  Shape groups = {};
  std::int64_t entries = 1, vector = 1;
  std::size_t axis = 0;  // along which a vector's elements lie, where there are several
};

Table table_of(std::span<const Dim> lut, std::size_t rank, const Attrs& attrs) {
  if (lut.size() != rank + 2)
    throw Error(Code::bad_input, text("lut {} must have rank {}", text_of(lut), rank + 2));
  Table table{Shape(lut.begin(), lut.end() - 2), lut[rank], lut[rank + 1], 0};
  if (table.vector == 1) return table;
  need(attrs.has("vector_axis"), "a table of vectors needs vector_axis");
  table.axis = static_cast<std::size_t>(wrap_axis(attrs.integer("vector_axis"), rank, "vector_axis"));
  return table;
}

Shape expanded(const Shape& indices, const Table& table) {
  Shape out = indices;
  if (table.vector != 1) out[table.axis] = multiply_dims(out[table.axis], table.vector);
  return out;
}

std::vector<Type> infer_lut_to_dense(const InferCall& call) {
  const Type &indices = call.type(0), &lut = call.type(1);
  need(is_known(lut.shape), "needs a table of known shape");
  Table table = table_of(lut.shape, indices.rank(), call.attrs);
  if (indices.is_concrete()) Blocks(indices.shape, table.groups);
  return {Type(lut.dtype, expanded(indices.shape, table))};
}

// Place `i` of the expanded tensor: the place of its index, and which element of the index's vector it is.
struct Origin {
  std::int64_t index, element;
};

Origin origin_of(std::int64_t i, std::span<const Dim> indices, const Table& table) {
  if (table.vector == 1) return {i, 0};
  std::int64_t inner = 1;
  for (std::size_t d = table.axis + 1; d < indices.size(); ++d) inner *= indices[d];
  std::int64_t length = indices[table.axis] * table.vector, outer = i / (inner * length),
               along = i / inner % length;
  return {(outer * indices[table.axis] + along / table.vector) * inner + i % inner, along % table.vector};
}

double entry(const Array& lut, const Table& table, std::int64_t block, double index, std::int64_t element) {
  auto k = static_cast<std::int64_t>(index);
  if (k < 0 || k >= table.entries)
    throw Error(Code::bad_input, text("index {} is outside a table of {}", k, table.entries));
  return lut.data[static_cast<std::size_t>((block * table.entries + k) * table.vector + element)];
}

void reference_lut_to_dense(const ReferenceCall& call) {
  const Array &indices = *call.in[0], &lut = *call.in[1];
  Table table = table_of(lut.shape, indices.shape.size(), call.attrs);
  Blocks blocks(indices.shape, table.groups);
  Array& out = call.out[0];
  out.shape = expanded(indices.shape, table);
  out.data.resize(static_cast<std::size_t>(volume(out.shape)));
  for (std::int64_t i = 0; i < out.size(); ++i) {
    Origin from = origin_of(i, indices.shape, table);
    out.data[static_cast<std::size_t>(i)] = entry(
        lut, table, blocks.at(from.index), indices.data[static_cast<std::size_t>(from.index)], from.element);
  }
}

// ---- masks: the elements that are not zero, in row-major order

// Of every place of the mask: its element's number among those that are there, or -1.
std::vector<std::int64_t> numbered(const Array& mask, std::size_t present) {
  std::vector<std::int64_t> numbers(mask.data.size(), -1);
  std::int64_t next = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (mask.data[i] != 0) numbers[i] = next++;
  if (next != static_cast<std::int64_t>(present))
    throw Error(Code::bad_input, text("the mask has {} places for {} elements", next, present));
  return numbers;
}

std::vector<Type> infer_sparse_to_dense(const InferCall& call) {
  need_rank(call, 0, 1, 1);
  return {Type(call.type(0).dtype, call.type(1).shape)};
}

void reference_sparse_to_dense(const ReferenceCall& call) {
  const Array &present = *call.in[0], &mask = *call.in[1];
  std::vector<std::int64_t> numbers = numbered(mask, present.data.size());
  call.out[0].shape = mask.shape;
  call.out[0].data.assign(mask.data.size(), 0);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] >= 0) call.out[0].data[i] = present.data[static_cast<std::size_t>(numbers[i])];
}

std::vector<Type> infer_lut_to_sparse(const InferCall& call) {
  const Type &mask = call.type(0), &indices = call.type(1), &lut = call.type(2);
  need_rank(call, 1, 1, 1);
  need(is_known(lut.shape), "needs a table of known shape");
  Table table = table_of(lut.shape, mask.rank(), call.attrs);
  if (mask.is_concrete()) Blocks(mask.shape, table.groups);
  return {Type(mask.dtype, expanded(mask.shape, table)),
          Type(lut.dtype, {multiply_dims(indices.shape[0], table.vector)})};
}

void reference_lut_to_sparse(const ReferenceCall& call) {
  const Array &mask = *call.in[0], &indices = *call.in[1], &lut = *call.in[2];
  Table table = table_of(lut.shape, mask.shape.size(), call.attrs);
  Blocks blocks(mask.shape, table.groups);
  std::vector<std::int64_t> numbers = numbered(mask, indices.data.size());
  Array &wide = call.out[0], &present = call.out[1];
  wide.shape = expanded(mask.shape, table);
  wide.data.assign(static_cast<std::size_t>(volume(wide.shape)), 0);
  present.data.clear();
  for (std::int64_t i = 0; i < wide.size(); ++i) {
    Origin from = origin_of(i, mask.shape, table);
    std::int64_t number = numbers[static_cast<std::size_t>(from.index)];
    if (number < 0) continue;
    wide.data[static_cast<std::size_t>(i)] = 1;
    present.data.push_back(entry(lut, table, blocks.at(from.index),
                                 indices.data[static_cast<std::size_t>(number)], from.element));
  }
  present.shape = {present.size()};
}

std::vector<Type> infer_sparse_blockwise(const InferCall& call) {
  const Type &mask = call.type(0), &present = call.type(1), &scale = call.type(2);
  need_rank(call, 1, 1, 1);
  need_rank(call, 2, mask.rank(), mask.rank());
  need(is_float(scale.dtype), "takes a floating scale");
  if (mask.is_concrete() && scale.is_concrete()) Blocks(mask.shape, scale.shape);
  if (call.has(3)) need(call.type(3).shape == scale.shape, "offset and scale differ in shape");
  return {mask, Type(scale.dtype, present.shape)};
}

void reference_sparse_blockwise(const ReferenceCall& call) {
  const Array &mask = *call.in[0], &present = *call.in[1], &scale = *call.in[2];
  const Array* offset = call.in.size() > 3 ? call.in[3] : nullptr;
  Blocks blocks(mask.shape, scale.shape);
  std::vector<std::int64_t> numbers = numbered(mask, present.data.size());
  call.out[0].shape = mask.shape;
  call.out[0].data = mask.data;
  call.out[1].shape = present.shape;
  call.out[1].data.resize(present.data.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < 0) continue;
    auto number = static_cast<std::size_t>(numbers[i]),
         block = static_cast<std::size_t>(blocks.at(static_cast<std::int64_t>(i)));
    call.out[1].data[number] =
        scale.data[block] * (present.data[number] - (offset ? offset->data[block] : 0));
  }
}

// ---- the older generation

const Tensor& constant_of(const MilNode& node, std::string_view name) {
  const Tensor* t = node.constant(name);
  if (!t) throw Error(Code::bad_input, text("'{}' must be a constant", name));
  return *t;
}

Shape shape_of(const MilNode& node) {
  Shape shape;
  for (std::int64_t d : to_integers(constant_of(node, "shape"))) {
    if (d < 0) throw Error(Code::bad_input, "shape has a negative length");
    shape.push_back(d);
  }
  volume(shape);
  return shape;
}

// Packed bytes as what they are: a tensor of small integers.
Tensor unpacked_view(const Tensor& bytes, DType dtype, const Shape& shape) {
  if (static_cast<std::int64_t>(bytes_of(dtype, volume(shape))) > static_cast<std::int64_t>(bytes.bytes()))
    throw Error(Code::bad_input,
                text("{} bytes are too few for {}", bytes.bytes(), text_of(Type(dtype, shape))));
  return Tensor(dtype, shape, bytes.storage(), bytes.offset());
}

DType index_type(std::int64_t entries) {
  constexpr std::pair<std::int64_t, DType> types[] = {{2, DType::u1},  {4, DType::u2},  {8, DType::u3},
                                                      {16, DType::u4}, {64, DType::u6}, {256, DType::u8}};
  for (auto [count, dtype] : types)
    if (count == entries) return dtype;
  throw Error(Code::bad_input, text("a table of {} entries: it must be 2, 4, 8, 16, 64 or 256", entries));
}

void upgrade_lut_to_dense(MilNode& node) {
  if (node.input("shape") == no_value) return;
  Shape shape = shape_of(node);
  const Tensor &indices = constant_of(node, "indices"), &lut = constant_of(node, "lut");
  Tensor small = unpacked_view(indices, index_type(lut.size()), shape);
  Shape table(shape.size(), 1);
  table.push_back(lut.size());
  table.push_back(1);
  Tensor tables = lut.reshaped(table);
  node.set_input("lut", constant(node.place, std::move(tables)));
  node.set_input("indices", constant(node.place, std::move(small)));
  node.drop("shape");
}

void upgrade_sparse_to_dense(MilNode& node) {
  if (node.input("shape") == no_value) return;
  Tensor mask = unpacked_view(constant_of(node, "mask"), DType::u1, shape_of(node));
  node.set_input("mask", constant(node.place, std::move(mask)));
  node.drop("shape");
}

constexpr int ios18 = 8;

Tensor shape_parameter(const Shape& shape) {
  return from_integers(shape, DType::u32, {static_cast<Dim>(shape.size())});
}

// Small integers as the bytes that hold them.
Tensor packed_view(const Tensor& t) {
  return Tensor(DType::u8, {static_cast<Dim>(t.bytes())}, t.storage(), t.offset());
}

void downgrade_constexpr_cast(MilWrite& out) { out.as_attributes = out.opset < ios18; }

void downgrade_lut_to_dense(MilWrite& out) {
  const Tensor *indices = out.constant("indices"), *lut = out.constant("lut");
  if (!indices || !lut || lut->size() != lut->shape()[lut->rank() - 2] || lut->shape().back() != 1)
    return out.need(ios18);  // several tables, or vectors in them
  if (out.opset >= ios18) return;
  Tensor table = lut->reshaped({lut->size()}), bytes = packed_view(*indices);
  Tensor shape = shape_parameter(indices->shape());
  out.drop("vector_axis");
  out.set("lut", std::move(table));
  out.set("indices", std::move(bytes));
  out.set("shape", std::move(shape));
  out.as_attributes = true;
}

void downgrade_sparse_to_dense(MilWrite& out) {
  const Tensor *mask = out.constant("mask"), *present = out.constant("nonzero_data");
  if (!mask || !present || is_packed(present->dtype())) return out.need(ios18);
  if (out.opset >= ios18) return;
  Tensor bytes = packed_view(*mask), shape = shape_parameter(mask->shape());
  out.set("mask", std::move(bytes));
  out.set("shape", std::move(shape));
  out.as_attributes = true;
}

}  // namespace

constinit const OpDef ops::constexpr_cast{
    .name = "constexpr_cast",
    .doc = "A constant in another type.",
    .inputs = {"source_val"},
    .attrs = {{"output_dtype", AttrKind::word, required}},
    .infer = infer_cast,
    .reference = reference_cast,
    .traits = Traits::dequantize,
    .mil = {"constexpr_cast", 6, nullptr, downgrade_constexpr_cast},
    .samples = {{.inputs = {"fp16[2, 3]"}, .attrs = "output_dtype=fp32"}},
};

constinit const OpDef ops::constexpr_lut_to_dense{
    .name = "constexpr_lut_to_dense",
    .doc = "A constant from indices into a table, one a group of elements.",
    .inputs = {"indices", "lut"},
    .attrs = {{"vector_axis", AttrKind::integer, absent}},
    .infer = infer_lut_to_dense,
    .reference = reference_lut_to_dense,
    .traits = Traits::dequantize,
    .mil = {.name = "constexpr_lut_to_dense",
            .since = 6,
            .upgrade = upgrade_lut_to_dense,
            .downgrade = downgrade_lut_to_dense,
            .narrow = 6},
    .samples = {{.inputs = {"uint2[4, 6] 0..3", "fp32[2, 1, 4, 1]"}},
                {.inputs = {"uint3[4, 6] 0..7", "fp16[1, 3, 8, 2]"}, .attrs = "vector_axis=0"}},
};

constinit const OpDef ops::constexpr_lut_to_sparse{
    .name = "constexpr_lut_to_sparse",
    .doc = "The elements of a sparse constant from indices into a table; gives the mask and the elements.",
    .inputs = {"indices_mask", "indices_nonzero_data", "lut"},
    .attrs = {{"vector_axis", AttrKind::integer, absent}},
    .outputs = {"mask", "nonzero_data"},
    .infer = infer_lut_to_sparse,
    .reference = reference_lut_to_sparse,
    .traits = Traits::dequantize,
    .mil = {"constexpr_lut_to_sparse", 8},
    .samples = {{.inputs = {"uint1[2, 3] = [1, 0, 0, 1, 1, 0]", "uint2[3] 0..3", "fp32[2, 1, 4, 1]"}},
                {.inputs = {"uint1[2, 3] = [1, 0, 0, 1, 1, 0]", "uint2[3] 0..3", "fp32[1, 1, 4, 2]"},
                 .attrs = "vector_axis=0"}},
};

constinit const OpDef ops::constexpr_sparse_blockwise_shift_scale{
    .name = "constexpr_sparse_blockwise_shift_scale",
    .doc =
        "The elements of a sparse constant from small integers, a scale and an offset a block; gives the "
        "mask and the elements.",
    .inputs = {"data_mask", "nonzero_data", "scale", {"offset", Arity::optional}},
    .outputs = {"mask", "nonzero_data"},
    .infer = infer_sparse_blockwise,
    .reference = reference_sparse_blockwise,
    .traits = Traits::dequantize,
    .mil = {"constexpr_sparse_blockwise_shift_scale", 8},
    .samples = {{.inputs = {"uint1[2, 3] = [1, 0, 0, 1, 1, 0]", "int8[3] -128..127", "fp32[2, 1]",
                            "int8[2, 1] -3..3"}}},
};

constinit const OpDef ops::constexpr_sparse_to_dense{
    .name = "constexpr_sparse_to_dense",
    .doc = "A constant from the elements that are not zero and a mask that says where they are.",
    .inputs = {"nonzero_data", "mask"},
    .infer = infer_sparse_to_dense,
    .reference = reference_sparse_to_dense,
    .traits = Traits::dequantize,
    .mil = {.name = "constexpr_sparse_to_dense",
            .since = 6,
            .upgrade = upgrade_sparse_to_dense,
            .downgrade = downgrade_sparse_to_dense,
            .narrow = 6},
    .samples = {{.inputs = {"fp32[3]", "uint1[2, 3] = [1, 0, 0, 1, 1, 0]"}}},
};

}  // namespace tl
