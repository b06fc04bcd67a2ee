// SPDX-License-Identifier: Apache-2.0
// Who makes and who reads each value, and small questions on top of that.
#include "pass/pattern.h"

#include <algorithm>
#include <cmath>

#include "op/ops.h"

namespace tl::pass {

Pattern::Pattern(const Graph& graph)
    : graph_(graph), producer_(graph.value_count(), nullptr), readers_(graph.value_count(), 0) {
  for_each_node(graph.body, [&](const Node& node) {
    for (ValueId v : node.inputs)
      if (v != no_value) ++readers_[index(v)];
    for (const Block& inner : node.blocks)
      for (ValueId v : inner.outputs) ++readers_[index(v)];
    for (ValueId v : node.outputs) producer_[index(v)] = &node;
  });
  for (ValueId v : graph.body.outputs) ++readers_[index(v)];
}

const Node* Pattern::producer(ValueId v) const { return v == no_value ? nullptr : producer_[index(v)]; }

const Node* Pattern::made_by(ValueId v, const OpDef& op) const {
  const Node* node = producer(v);
  return node && node->op == &op && node->outputs[0] == v ? node : nullptr;
}

std::optional<double> Pattern::number(ValueId v) const {
  if (v == no_value || !graph_.value(v).is_constant()) return std::nullopt;
  const Tensor& t = graph_.value(v).constant;
  if (t.dtype() == DType::string || t.size() < 1 || t.size() > 65536) return std::nullopt;
  std::vector<double> all = to_doubles(t);
  bool one = std::all_of(all.begin(), all.end(), [&](double x) { return x == all.front(); });
  return one ? std::optional(all.front()) : std::nullopt;
}

bool Pattern::is_square_of(ValueId v, ValueId x) const {
  if (const Node* n = made_by(v, ops::square)) return n->inputs[0] == x;
  if (const Node* n = made_by(v, ops::mul)) return n->inputs[0] == x && n->inputs[1] == x;
  const Node* n = made_by(v, ops::pow);
  return n && n->inputs[0] == x && number(n->inputs[1]) == 2.0;
}

std::optional<std::pair<ValueId, double>> Pattern::sum(ValueId v) const {
  const Node* n = made_by(v, ops::add);
  if (!n) return std::nullopt;
  for (std::size_t i : {1, 0})
    if (std::optional<double> c = number(n->inputs[i]))
      if (graph_.type(n->inputs[1 - i]) == graph_.type(v)) return std::pair(n->inputs[1 - i], *c);
  return std::nullopt;
}

std::pair<ValueId, double> Pattern::scaled(ValueId v) const {
  if (const Node* n = made_by(v, ops::mul))
    for (std::size_t i : {1, 0})
      if (std::optional<double> c = number(n->inputs[i])) return {n->inputs[1 - i], *c};
  if (const Node* n = made_by(v, ops::real_div))
    if (std::optional<double> c = number(n->inputs[1]); c && *c != 0) return {n->inputs[0], 1 / *c};
  return {v, 1};
}

bool close_to(double a, double b) { return std::fabs(a - b) <= 2e-3 * std::fabs(b); }

}  // namespace tl::pass
