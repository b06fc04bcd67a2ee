// SPDX-License-Identifier: Apache-2.0
// Products with matrices, and the rows of tables: inner products, batched products, embeddings.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Matrix {
  Ex weight, bias;  // [outputs, inputs]; the bias may be none
};

Matrix matrix_of(Layer& layer, std::int64_t outputs, std::int64_t inputs, std::uint32_t first) {
  require(outputs > 0 && inputs > 0, "the lengths of the matrix must be positive");
  Matrix m{large_weight(layer, layer.params.message(first), {outputs, inputs}), {}};
  return m;
}

Ex bias_of(Layer& layer, std::uint32_t flag, std::uint32_t field, std::int64_t n) {
  return layer.params.flag(flag) ? weight(layer, layer.params.message(field), {n}) : Ex{};
}

Ex product(Ex x, const Matrix& m) { return emit(ops::linear, {x, m.weight, m.bias}); }

Ex with_ones(Ex x) { return emit(ops::expand_dims, {x}, {{"axes", std::vector<std::int64_t>{2, 3}}}); }

// The rows of a table that x, numbers without a last dimension of their own, names.
Ex rows_of(Ex x, const Matrix& m) {
  Ex rows = emit(ops::gather, {transposed(m.weight, {1, 0}), int32(x)}, {{"axis", std::int64_t{0}}});
  return m.bias ? rows + m.bias : rows;
}

}  // namespace

Lowered lower_inner_product(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t inputs = layer.params.integer(1), outputs = layer.params.integer(2);
  Matrix m = matrix_of(layer, outputs, inputs, 20);
  m.bias = bias_of(layer, 10, 21, outputs);
  Ex x = layer.in[0];
  if (x.shape().size() < 4) return {product(x, m)};
  need_elements(x, inputs);
  Ex flat = reshaped(planes(x), {is_known(x.shape()) ? volume(x.shape()) / inputs : -1, inputs});
  return {unplanes(with_ones(product(flat, m)), x)};
}

Lowered lower_batched_matmul(Layer& layer) {
  need_inputs(layer, 1, 2);
  const Message& p = layer.params;
  if (layer.in.size() == 2)
    return {emit(ops::matmul, {layer.in[0], layer.in[1]},
                 {{"transpose_x", p.flag(1)}, {"transpose_y", p.flag(2)}})};
  std::int64_t inputs = p.integer(5), outputs = p.integer(6);
  Matrix m = matrix_of(layer, outputs, inputs, 8);
  m.bias = bias_of(layer, 7, 9, outputs);
  return {product(layer.in[0], m)};
}

Lowered lower_embedding(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t words = layer.params.integer(1), outputs = layer.params.integer(2);
  Matrix m = matrix_of(layer, outputs, words, 20);
  m.bias = bias_of(layer, 10, 21, outputs);
  Ex x = planes(layer.in[0]);
  return {unplanes(with_ones(rows_of(reshaped(x, {-1}), m)), layer.in[0])};
}

Lowered lower_embedding_nd(Layer& layer) {
  need_inputs(layer, 1);
  std::int64_t words = layer.params.integer(1), size = layer.params.integer(2);
  Matrix m = matrix_of(layer, size, words, 20);
  m.bias = bias_of(layer, 3, 21, size);
  Ex x = emit(ops::squeeze, {layer.in[0]}, {{"axes", std::vector<std::int64_t>{-1}}});
  return {rows_of(x, m)};
}

}  // namespace tl::coreml
