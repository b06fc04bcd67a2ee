// SPDX-License-Identifier: Apache-2.0
// Expanding weights one at a time, and letting go of what has been packed.
#include "plan/weights.h"

#include <algorithm>

#include "plan/node.h"

namespace tl::plan {

Weights::Weights(Graph& graph, const Machine& machine, bool release)
    : graph_(graph), machine_(machine), release_(release) {
  find_waiting();
}

// Nodes between weights: what folding left because the result is large, and what follows from it.
void Weights::find_waiting() {
  auto is_weight = [&](ValueId v) {
    return v == no_value || graph_.value(v).is_constant() || waiting_.contains(v);
  };
  for (const Node& node : graph_.body.nodes) {
    bool after = std::any_of(node.inputs.begin(), node.inputs.end(),
                             [&](ValueId v) { return v != no_value && waiting_.contains(v); });
    bool pure = !node.op->evaluate && node.blocks.empty() && !has(node.op->traits, Traits::random) &&
                !has(node.op->traits, Traits::side_effect);
    if (!pure || !(after || has(node.op->traits, Traits::dequantize)) ||
        !std::all_of(node.inputs.begin(), node.inputs.end(), is_weight))
      continue;
    nodes_.insert(&node);
    for (ValueId v : node.outputs) waiting_.emplace(v, &node);
  }
}

Tensor Weights::of(ValueId v) {
  if (v == no_value) return {};
  if (graph_.value(v).is_constant()) return graph_.value(v).constant;
  if (v == last_.first) return last_.second;
  auto found = waiting_.find(v);
  if (found == waiting_.end()) return {};
  last_ = {};  // gone before the next one is made
  last_ = {v, expand(v, *found->second)};
  return last_.second;
}

std::vector<Tensor> Weights::inputs_of(const Node& node) {
  std::vector<Tensor> inputs;
  for (ValueId input : node.inputs) {
    bool waits = input != no_value && waiting_.contains(input) && !graph_.value(input).is_constant();
    inputs.push_back(waits               ? expand(input, *waiting_.at(input))
                     : input == no_value ? Tensor()
                                         : graph_.value(input).constant);
  }
  return inputs;
}

std::optional<Compressed> Weights::compressed(ValueId v) {
  auto found = waiting_.find(v);
  if (v == no_value || found == waiting_.end() || graph_.value(v).is_constant()) return std::nullopt;
  const Node& node = *found->second;
  if (!has(node.op->traits, Traits::dequantize) || node.outputs.size() != 1) return std::nullopt;
  return Compressed{node.op, &node.attrs, inputs_of(node)};
}

Tensor Weights::expand(ValueId v, const Node& node) {
  std::vector<Tensor> inputs = inputs_of(node);
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : inputs) pointers.push_back(t ? &t : nullptr);
  std::vector<Tensor> results = run_node(*node.op, node.attrs, pointers, machine_, 0);
  for (const Tensor& t : inputs) release(t);
  auto k = std::find(node.outputs.begin(), node.outputs.end(), v) - node.outputs.begin();
  return results.at(static_cast<std::size_t>(k));
}

void Weights::keep(ValueId v) {
  if (v == no_value || graph_.value(v).is_constant()) return;
  if (Tensor t = of(v)) graph_.value(v).constant = std::move(t);
}

void Weights::release(const Tensor& t) const {
  if (release_ && t) t.storage()->release(t.offset(), t.bytes());
}

void Weights::release(const Compressed& c) const {
  for (const Tensor& t : c.inputs) release(t);
}

}  // namespace tl::plan
