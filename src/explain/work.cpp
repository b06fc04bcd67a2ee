// SPDX-License-Identifier: Apache-2.0
// Arithmetic and bytes of each kind of node.
#include "explain/work.h"

#include <algorithm>
#include <map>

#include "op/ops.h"

namespace tl::explain {
namespace {

double last_of(const Type& t) {
  return t.ranked && t.rank() > 0 && is_known(t.shape.back()) ? static_cast<double>(t.shape.back()) : 1;
}

double known(Dim d) { return is_known(d) ? static_cast<double>(d) : 1; }

void convolution(const Graph& g, const Node& node, Work& work) {
  const Type& weight = g.type(node.inputs[1]);
  if (!weight.is_concrete() || weight.rank() < 3) return;
  double kernel = 1;
  for (std::size_t d = 2; d < weight.rank(); ++d) kernel *= known(weight.shape[d]);
  bool transposed = node.op == &ops::conv_transpose;
  double per_group = transposed ? known(weight.shape[1]) : known(weight.shape[1]);
  double outputs = transposed ? elements_of(g.type(node.inputs[0])) : work.elements;
  work.macs = outputs * per_group * kernel;
  bool groups = node.attrs.has("groups") && node.attrs.integer("groups") > 1;
  work.kind = groups && per_group <= 2 ? WorkKind::depthwise
              : kernel == 1            ? WorkKind::pointwise
                                       : WorkKind::conv;
}

void matrix_product(const Graph& g, const Node& node, const Facts& facts, Work& work) {
  const Type& x = g.type(node.inputs[0]);
  bool flipped = node.attrs.boolean("transpose_x") && x.rank() > 1;
  work.macs = work.elements * (flipped ? known(x.shape[x.rank() - 2]) : last_of(x));
  bool weight = facts.constant[index(node.inputs[0])] || facts.constant[index(node.inputs[1])];
  work.kind = weight ? WorkKind::pointwise : WorkKind::product;
}

// The product of the lengths of all letters of the equation.
void einsum(const Graph& g, const Node& node, Work& work) {
  const std::string& equation = node.attrs.word("equation");
  std::map<char, double> lengths;
  std::size_t input = 0, axis = 0;
  for (char c : equation) {
    if (c == '-') break;
    if (c == ',') ++input, axis = 0;
    else if (c >= 'A' && input < node.inputs.size()) {
      const Type& t = g.type(node.inputs[input]);
      if (axis < t.rank()) lengths[c] = known(t.shape[axis++]);
    }
  }
  work.macs = 1;
  for (const auto& [letter, length] : lengths) work.macs *= length;
  work.kind = WorkKind::product;
}

void attention(const Graph& g, const Node& node, Work& work) {
  const Type &query = g.type(node.inputs[0]), &key = g.type(node.inputs[1]);
  double places = key.rank() > 1 ? known(key.shape[key.rank() - 2]) : 1;
  work.macs = places * (elements_of(query) + work.elements);
  double scores = last_of(query) > 0 ? elements_of(query) / last_of(query) * places : 0;
  work.elements += 2 * scores;  // written and read again by the softmax
  work.kind = WorkKind::product;
}

bool is_activation(const Node& node, const Facts& facts) {
  if (!has(node.op->traits, Traits::elementwise))
    return node.op == &ops::batch_norm || node.op == &ops::prelu;
  int varying = 0;
  for (ValueId v : node.inputs) varying += v != no_value && !facts.constant[index(v)];
  return varying == 1 && node.op != &ops::cast;
}

bool is_arithmetic(const OpDef* op) {
  return op == &ops::conv || op == &ops::conv_transpose || op == &ops::linear || op == &ops::matmul ||
         op == &ops::add || op == &ops::mul || op == &ops::batch_norm || has(op->traits, Traits::elementwise);
}

bool is_fused(const Graph& g, const Node& node, const Facts& facts) {
  if (has(node.op->traits, Traits::view) && !node.outputs.empty() && node.has(0)) {
    const Type &in = g.type(node.inputs[0]), &out = g.type(node.outputs[0]);
    return last_of(in) == last_of(out);
  }
  if (!is_activation(node, facts)) return false;
  for (ValueId v : node.inputs)
    if (v != no_value && !facts.constant[index(v)]) {
      const Node* before = facts.producer[index(v)];
      return before && facts.readers[index(v)] == 1 && is_arithmetic(before->op);
    }
  return false;
}

}  // namespace

std::string_view name_of(WorkKind kind) {
  constexpr std::string_view names[] = {"conv", "pointwise", "depthwise", "product", "move", "none"};
  return names[static_cast<std::size_t>(kind)];
}

double elements_of(const Type& t) {
  if (!t.is_tensor() || !t.is_concrete()) return 0;
  double n = 1;
  for (Dim d : t.shape) n *= static_cast<double>(d);
  return n;
}

Facts facts_of(const Graph& g) {
  std::size_t n = g.value_count();
  Facts facts{std::vector<bool>(n), std::vector<double>(n, 0), std::vector<const Node*>(n, nullptr),
              std::vector<int>(n, 0)};
  for (std::size_t i = 0; i < n; ++i)
    if (g.value(ValueId(i)).is_constant()) {
      facts.constant[i] = true;
      facts.stored_bytes[i] = static_cast<double>(g.value(ValueId(i)).constant.bytes());
    }
  for_each_node(g.body, [&](const Node& node) {
    bool constant = !node.inputs.empty() && node.blocks.empty() && !has(node.op->traits, Traits::random) &&
                    !has(node.op->traits, Traits::side_effect);
    double bytes = 0;
    for (ValueId v : node.inputs) {
      if (v == no_value) continue;
      ++facts.readers[index(v)];
      constant = constant && facts.constant[index(v)];
      bytes += facts.stored_bytes[index(v)];
    }
    for (ValueId v : node.outputs) {
      facts.producer[index(v)] = &node;
      facts.constant[index(v)] = constant;
      if (constant) facts.stored_bytes[index(v)] = bytes;
    }
  });
  for (ValueId v : g.body.outputs) ++facts.readers[index(v)];
  return facts;
}

Work work_of(const Graph& g, const Node& node, const Facts& facts) {
  Work work;
  bool constant = !node.outputs.empty() && facts.constant[index(node.outputs[0])];
  if (constant) return work.kind = WorkKind::none, work;
  for (ValueId v : node.outputs) work.elements += elements_of(g.type(v));
  for (ValueId v : node.inputs) {
    if (v == no_value) continue;
    const Type& t = g.type(v);
    if (!facts.constant[index(v)])
      work.read_bytes += elements_of(t) * (t.is_tensor() ? bits_of(t.dtype) : 0) / 8;
    else work.weights += elements_of(t), work.weight_bytes += facts.stored_bytes[index(v)];
  }
  const OpDef* op = node.op;
  if (op == &ops::conv || op == &ops::conv_transpose) convolution(g, node, work);
  else if (op == &ops::linear) {
    work.kind = WorkKind::pointwise;
    work.macs = work.elements * last_of(g.type(node.inputs[0]));
  } else if (op == &ops::matmul) matrix_product(g, node, facts, work);
  else if (op == &ops::einsum) einsum(g, node, work);
  else if (op == &ops::scaled_dot_product_attention) attention(g, node, work);
  else work.fused = is_fused(g, node, facts);
  return work;
}

}  // namespace tl::explain
