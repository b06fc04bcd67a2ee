// SPDX-License-Identifier: Apache-2.0
// Counts who reads what.
#include "pass/maker.h"

namespace tl::pass {

Makers::Makers(Graph& graph) : graph_(graph), reads_(graph.value_count(), 0), made_(graph.value_count(), -1) {
  for (std::size_t k = 0; k < graph.body.nodes.size(); ++k)
    for (ValueId v : graph.body.nodes[k].outputs) made_[index(v)] = static_cast<int>(k);
  for_each_node(graph.body, [&](const Node& node) {
    for (ValueId v : node.inputs) read(v);
    for (const Block& inner : node.blocks)
      for (ValueId v : inner.outputs) read(v);
  });
  for (ValueId v : graph.body.outputs) read(v);
}

void Makers::read(ValueId v) {
  if (v != no_value) ++reads_[index(v)];
}

Node* Makers::of(ValueId v) {
  if (v == no_value || index(v) >= made_.size() || made_[index(v)] < 0 || reads_[index(v)] != 1)
    return nullptr;
  return &graph_.body.nodes[static_cast<std::size_t>(made_[index(v)])];
}

Node* Makers::of(ValueId v, const OpDef& op) {
  Node* node = of(v);
  return node && node->op == &op ? node : nullptr;
}

}  // namespace tl::pass
