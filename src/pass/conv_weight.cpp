// SPDX-License-Identifier: Apache-2.0
// Two axes of length 1 behind the others, also of what a compressed matrix is made of.
#include "pass/conv_weight.h"

#include <algorithm>

#include "op/ops.h"

namespace tl::pass {
namespace {

Tensor with_ones(const Tensor& t, std::size_t at) {
  Shape shape = t.shape();
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at), 2, 1);
  return t.reshaped(shape);
}

Tensor transposed(const Tensor& t) {
  Dim rows = t.shape()[0], columns = t.shape()[1];
  std::vector<double> from = to_doubles(t), to(from.size());
  for (Dim r = 0; r < rows; ++r)
    for (Dim c = 0; c < columns; ++c)
      to[static_cast<std::size_t>(c * rows + r)] = from[static_cast<std::size_t>(r * columns + c)];
  return from_doubles(to, t.dtype(), {columns, rows});
}

const Node* maker_of(const Graph& graph, ValueId v) {
  for (const Node& node : graph.body.nodes)
    if (std::find(node.outputs.begin(), node.outputs.end(), v) != node.outputs.end()) return &node;
  return nullptr;
}

bool all_constant(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId v) { return v == no_value || graph.value(v).is_constant(); });
}

// The operations that expand a matrix to a matrix element by element, however it is shaped.
bool is_shapeless(const OpDef* op) {
  return op == &ops::constexpr_affine_dequantize || op == &ops::constexpr_blockwise_shift_scale ||
         op == &ops::constexpr_lut_to_dense || op == &ops::constexpr_cast ||
         op == &ops::constexpr_sparse_to_dense;
}

ValueId rebuilt(Place place, const Node& node) {
  std::vector<ValueId> inputs;
  bool table = node.op == &ops::constexpr_lut_to_dense;
  bool scales_are_vectors = node.op == &ops::constexpr_affine_dequantize;
  bool sparse = node.op == &ops::constexpr_sparse_to_dense;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    ValueId v = node.inputs[i];
    bool as_is = v == no_value || (scales_are_vectors && i > 0) || (sparse && i == 0);
    if (as_is) {
      inputs.push_back(v);
      continue;
    }
    const Value& value = place.graph->value(v);
    std::size_t at = table && i == 1 ? value.constant.rank() - 2 : value.constant.rank();
    inputs.push_back(place.graph->add_constant(with_ones(value.constant, at), std::string(value.name)));
  }
  return place.graph->add_node(*place.block, *node.op, std::move(inputs), node.attrs, {node.name}).outputs[0];
}

}  // namespace

std::optional<ConvWeight> conv_weight(Graph& graph, ValueId v, bool as_rows) {
  const Type& type = graph.type(v);
  if (!type.is_tensor() || !type.is_concrete() || type.rank() != 2 || !is_float(type.dtype))
    return std::nullopt;
  ConvWeight weight{type.shape[as_rows ? 0 : 1], type.shape[as_rows ? 1 : 0], {}};
  if (graph.value(v).is_constant()) {
    weight.emit = [v, as_rows](Place place) {
      const Value& value = place.graph->value(v);
      const Tensor& t = value.constant;
      return place.graph->add_constant(with_ones(as_rows ? t : transposed(t), 2), std::string(value.name));
    };
    return weight;
  }
  const Node* node = maker_of(graph, v);
  if (!as_rows || !node || !is_shapeless(node->op) || !all_constant(graph, *node)) return std::nullopt;
  bool vectors = node->attrs.has("vector_axis");
  bool negative = node->attrs.has("axis") && node->attrs.integer("axis") < 0;
  if (vectors || negative) return std::nullopt;
  weight.emit = [copy = *node](Place place) { return rebuilt(place, copy); };
  return weight;
}

}  // namespace tl::pass
