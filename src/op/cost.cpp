// SPDX-License-Identifier: Apache-2.0
// Products counted from shapes alone.
#include "op/cost.h"

#include <cmath>

#include "op/einsum.h"
#include "op/ops.h"

namespace tl {
namespace {

double elements(const Shape& shape) {
  double n = 1;
  for (Dim d : shape) n *= static_cast<double>(d);
  return n;
}

// Each of `places` is the sum over what one output channel of the weight holds.
double convolution(const Shape& places, const Shape& weight) {
  return weight.empty() || weight[0] == 0
             ? 0
             : elements(places) * elements(weight) / static_cast<double>(weight[0]);
}

double product(const Shape& x, const Shape& out, bool transposed) {
  if (x.empty()) return 0;
  std::size_t last = x.size() - (transposed && x.size() > 1 ? 2 : 1);
  return elements(out) * static_cast<double>(x[last]);
}

double attention(const Shape& query, const Shape& key, const Shape& out) {
  if (query.size() < 2 || key.size() < 2) return 0;
  auto keys = static_cast<double>(key[key.size() - 2]);
  return elements(query) * keys + elements(out) * keys;
}

double einsum(const Node& node, std::span<const Shape> shapes) {
  std::vector<std::size_t> ranks;
  for (const Shape& shape : shapes) ranks.push_back(shape.size());
  return elements(label_lengths(parse_equation(node.attrs.word("equation"), ranks), shapes));
}

double recurrent(const Node& node, const Shape& x, std::span<const Shape> shapes) {
  double sum = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    if (node.op->inputs[i].name.starts_with("weight_")) sum += elements(shapes[i]);
  return x.size() < 2 ? 0 : sum * static_cast<double>(x[0]) * static_cast<double>(x[1]);
}

}  // namespace

std::optional<std::int64_t> multiply_adds(const Graph& graph, const Node& node) {
  const OpDef* op = node.op;
  bool counted = op == &ops::conv || op == &ops::conv_transpose || op == &ops::conv_quantized ||
                 op == &ops::matmul || op == &ops::linear || op == &ops::einsum ||
                 op == &ops::scaled_dot_product_attention || op == &ops::lstm || op == &ops::gru ||
                 op == &ops::rnn;
  if (!counted) return 0;
  std::vector<Shape> in;
  for (ValueId v : node.inputs) {
    if (v != no_value && !graph.type(v).is_concrete()) return std::nullopt;
    in.push_back(v == no_value ? Shape{} : graph.type(v).shape);
  }
  const Type& out = graph.type(node.outputs.front());
  if (!out.is_concrete()) return std::nullopt;
  double n = 0;
  if (op == &ops::conv || op == &ops::conv_quantized) n = convolution(out.shape, in[1]);
  else if (op == &ops::conv_transpose) n = convolution(in[0], in[1]);
  else if (op == &ops::linear) n = product(in[0], out.shape, false);
  else if (op == &ops::matmul) n = product(in[0], out.shape, node.attrs.boolean("transpose_x"));
  else if (op == &ops::einsum) n = einsum(node, in);
  else if (op == &ops::scaled_dot_product_attention) n = attention(in[0], in[1], out.shape);
  else n = recurrent(node, in[0], in);
  return std::llround(n);
}

}  // namespace tl
