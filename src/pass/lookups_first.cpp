// SPDX-License-Identifier: Apache-2.0
// What a lookup is made of is marked from the last node to the first; then one stable partition.
#include "pass/lookups_first.h"

#include <algorithm>

#include "op/ops.h"

namespace tl::pass {
namespace {

bool is_plain(const Node& node) {
  return node.blocks.empty() && !has(node.op->traits, Traits::side_effect) &&
         !has(node.op->traits, Traits::random) && node.op != &ops::read_state;
}

bool is_lookup(const Graph& graph, const Node& node) {
  return (node.op == &ops::gather || node.op == &ops::gather_nd) && graph.value(node.inputs[0]).is_constant();
}

bool on_whole_numbers(const Graph& graph, const Node& node) {
  return std::all_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId v) { return graph.type(v).is_tensor() && !is_float(graph.type(v).dtype); });
}

}  // namespace

bool lookups_first(Graph& graph) {
  std::vector<Node>& nodes = graph.body.nodes;
  std::vector<bool> early(graph.value_count(), false);  // of inputs and constants alone, by whole numbers
  for (ValueId v : graph.body.inputs) early[index(v)] = graph.type(v).is_tensor();
  for (const Node& node : nodes) {
    bool known = is_plain(node) && (is_lookup(graph, node) || on_whole_numbers(graph, node));
    for (ValueId v : node.inputs)
      known = known && (v == no_value || graph.value(v).is_constant() || early[index(v)]);
    for (ValueId v : node.outputs) early[index(v)] = known && on_whole_numbers(graph, node);
    if (known && is_lookup(graph, node)) early[index(node.outputs[0])] = true;
  }
  std::vector<bool> wanted(graph.value_count(), false);
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    bool first = !node->outputs.empty() && early[index(node->outputs[0])] &&
                 (is_lookup(graph, *node) || wanted[index(node->outputs[0])]);
    if (!first) continue;
    wanted[index(node->outputs[0])] = true;
    for (ValueId v : node->inputs)
      if (v != no_value) wanted[index(v)] = true;
  }
  auto moves = [&](const Node& node) {
    return !node.outputs.empty() && wanted[index(node.outputs[0])] && early[index(node.outputs[0])];
  };
  if (std::is_partitioned(nodes.begin(), nodes.end(), moves)) return false;
  std::stable_partition(nodes.begin(), nodes.end(), moves);
  return true;
}

}  // namespace tl::pass
