// SPDX-License-Identifier: Apache-2.0
// A block made again in place, node by node, while some values give way to others.
#pragma once
#include <unordered_map>
#include <utility>

#include "ir/graph.h"

namespace tl::pass {

class ValueMap {  // what is read instead of a value, from where it was said on
 public:
  void set(ValueId old, ValueId now) { now_[old] = now; }
  ValueId operator()(ValueId v) const {
    auto found = now_.find(v);
    return found == now_.end() ? v : found->second;
  }

 private:
  std::unordered_map<ValueId, ValueId> now_ = {};
};

// Calls visit(Node&, Block& out) for every node of this block, its inputs mapped: it appends to `out` what
// stands for the node, and sees to the node's own blocks.
template <class Visit> void rewrite_block(Block& block, const ValueMap& map, const Visit& visit) {
  Block out;
  for (Node& node : block.nodes) {
    for (ValueId& v : node.inputs) v = map(v);
    visit(node, out);
  }
  block.nodes = std::move(out.nodes);
  for (ValueId& v : block.outputs) v = map(v);
}

}  // namespace tl::pass
