// SPDX-License-Identifier: Apache-2.0
// From each cast back to an input; what lies between is repeated on integers.
#include "pass/whole_index.h"

#include <algorithm>
#include <array>

#include "ir/ex.h"
#include "op/ops.h"
#include "pass/expand.h"
#include "pass/pattern.h"
#include "pass/simplify.h"

namespace tl::pass {
namespace {

bool only_moves(const Node& node) {
  return has(node.op->traits, Traits::view) || node.op == &ops::transpose ||
         node.op == &ops::slice_by_index || node.op == &ops::slice_by_size;
}

bool others_constant(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                     [&](ValueId v) { return v == no_value || graph.value(v).is_constant(); });
}

struct Way {  // from the input down to the cast
  ValueId input = no_value;
  std::vector<Node> nodes = {};
};

std::optional<Way> way_of(const Pattern& ask, const Node& cast) {
  const Graph& g = ask.graph();
  const Type &in = g.type(cast.inputs[0]), &out = g.type(cast.outputs[0]);
  if (!in.is_tensor() || !is_float(in.dtype) || !out.is_tensor() || !is_integer(out.dtype))
    return std::nullopt;
  Way way{cast.inputs[0], {}};
  while (const Node* node = ask.producer(way.input)) {
    if (node->outputs.size() != 1 || !node->has(0) || !only_moves(*node) || !others_constant(g, *node))
      return std::nullopt;
    way.nodes.insert(way.nodes.begin(), *node);
    way.input = node->inputs[0];
  }
  bool given = std::find(g.body.inputs.begin(), g.body.inputs.end(), way.input) != g.body.inputs.end();
  return given && !way.nodes.empty() ? std::optional(way) : std::nullopt;
}

}  // namespace

bool cast_indices_first(Graph& graph) {
  std::unordered_map<ValueId, Way> ways;
  Pattern ask(graph);
  for (const Node& node : graph.body.nodes)
    if (node.op == &ops::cast)
      if (std::optional<Way> way = way_of(ask, node)) ways[node.outputs[0]] = std::move(*way);
  if (ways.empty()) return false;
  replace_nodes(graph, [&](Place place, const Node& node, std::span<const Ex>) -> std::vector<Ex> {
    auto way = node.outputs.size() == 1 ? ways.find(node.outputs[0]) : ways.end();
    if (way == ways.end()) return {};
    Ex x = emit(ops::cast, std::array{Ex(place, way->second.input)}, node.attrs);
    for (const Node& step : way->second.nodes) {
      std::vector<Ex> inputs{x};
      for (std::size_t i = 1; i < step.inputs.size(); ++i)
        inputs.push_back(step.has(i) ? Ex(place, step.inputs[i]) : Ex());
      x = emit(*step.op, inputs, step.attrs);
    }
    return {x};
  });
  drop_unused(graph);
  return true;
}

}  // namespace tl::pass
