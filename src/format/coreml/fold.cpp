// SPDX-License-Identifier: Apache-2.0
// Evaluates the few nodes between constants and an attribute by their references.
#include "format/coreml/fold.h"

#include <algorithm>

#include "op/reference.h"

namespace tl::coreml {
namespace {

constexpr int most_steps = 8;
constexpr std::int64_t most_elements = 4096;

const Node* giver(const Block& block, ValueId v) {
  for (auto node = block.nodes.rbegin(); node != block.nodes.rend(); ++node)
    if (std::find(node->outputs.begin(), node->outputs.end(), v) != node->outputs.end()) return &*node;
  return nullptr;
}

Tensor folded(Place place, ValueId v, int steps) {
  if (v == no_value) return {};
  const Value& value = place.graph->value(v);
  if (value.is_constant()) return value.constant;
  const Node* node = steps < most_steps ? giver(*place.block, v) : nullptr;
  if (!value.type.is_concrete() || volume(value.type.shape) > most_elements) return {};
  if (!node || !node->blocks.empty() || has(node->op->traits, Traits::random)) return {};
  std::vector<Tensor> inputs;
  for (ValueId input : node->inputs) {
    inputs.push_back(folded(place, input, steps + 1));
    if ((input != no_value && !inputs.back()) || (inputs.back() && inputs.back().size() > most_elements))
      return {};
  }
  std::size_t k = static_cast<std::size_t>(std::find(node->outputs.begin(), node->outputs.end(), v) -
                                           node->outputs.begin());
  return run_reference(*node->op, node->attrs, inputs).at(k);
}

}  // namespace

Tensor constant_of(Place place, ValueId v) { return folded(place, v, 0); }

}  // namespace tl::coreml
