// SPDX-License-Identifier: Apache-2.0
// Rebuilds each block; what follows reads the values of the decomposition.
#include "pass/expand.h"

#include "base/error.h"
#include "pass/rewrite.h"

namespace tl::pass {
namespace {

constexpr int deepest = 8;  // of decompositions in decompositions

class Replacer {
 public:
  Replacer(Graph& graph, const Replacement& replacement) : graph_(graph), replacement_(replacement) {}

  void block(Block& b, int depth = 0) {
    rewrite_block(b, map_, [&](Node& node, Block& out) {
      if (depth < deepest && one(node, out, depth)) return;
      for (Block& inner : node.blocks) block(inner, depth);
      out.nodes.push_back(std::move(node));
    });
  }

 private:
  bool one(const Node& node, Block& out, int depth) {
    Block parts;
    Place place{&graph_, &parts};
    std::vector<Ex> in;
    for (ValueId v : node.inputs) in.push_back(v == no_value ? Ex() : Ex(place, v));
    std::vector<Ex> results = replacement_(place, node, in);
    if (results.empty()) return false;
    TL_ASSERT(results.size() >= node.outputs.size());
    for (std::size_t i = 0; i < node.outputs.size(); ++i) parts.outputs.push_back(results[i].id());
    block(parts, depth + 1);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) take_name(node.outputs[i], parts.outputs[i]);
    for (Node& made : parts.nodes) {
      if (made.name.empty()) made.name = node.name;
      out.nodes.push_back(std::move(made));
    }
    return true;
  }

  void take_name(ValueId old, ValueId now) {
    map_.set(old, now);
    Value& value = graph_.value(now);
    if (value.name.empty()) value.name = graph_.value(old).name;
  }

  Graph& graph_;
  const Replacement& replacement_;
  ValueMap map_ = {};
};

}  // namespace

void replace_nodes(Graph& graph, const Replacement& replacement) {
  Replacer(graph, replacement).block(graph.body);
}

void expand(Graph& graph, const std::function<bool(const OpDef&)>& lacks) {
  replace_nodes(graph, [&](Place, const Node& node, std::span<const Ex> in) {
    return node.op->decompose && lacks(*node.op) ? node.op->decompose(in, node.attrs) : std::vector<Ex>();
  });
}

}  // namespace tl::pass
