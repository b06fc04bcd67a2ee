// SPDX-License-Identifier: Apache-2.0
// Evaluates the few nodes between constants and an attribute by their references.
#include "format/coreml/fold.h"

#include <algorithm>
#include <map>

#include "op/ops.h"
#include "op/reference.h"

namespace tl::coreml {
namespace {

constexpr std::size_t most_steps = 64;
constexpr std::int64_t most_elements = 4096;

const Node* giver(const Block& block, ValueId v, std::size_t first) {
  auto end = block.nodes.rend() - static_cast<std::ptrdiff_t>(first);
  for (auto node = block.nodes.rbegin(); node < end; ++node)
    if (std::find(node->outputs.begin(), node->outputs.end(), v) != node->outputs.end()) return &*node;
  return nullptr;
}

struct Seen {  // by one question
  std::size_t first = 0;
  std::map<ValueId, Tensor> values = {};  // a value asked for twice is computed once
};

Tensor folded(Place place, ValueId v, Seen& seen);

Tensor computed(Place place, const Node& node, ValueId v, Seen& seen) {
  if (node.op == &ops::shape) {
    const Type& x = place.graph->type(node.inputs[0]);
    if (x.is_concrete()) return from_integers(x.shape, DType::i32, {static_cast<Dim>(x.rank())});
  }
  std::vector<Tensor> inputs;
  for (ValueId input : node.inputs) {
    inputs.push_back(folded(place, input, seen));
    if ((input != no_value && !inputs.back()) || (inputs.back() && inputs.back().size() > most_elements))
      return {};
  }
  auto k =
      static_cast<std::size_t>(std::find(node.outputs.begin(), node.outputs.end(), v) - node.outputs.begin());
  return run_reference(*node.op, node.attrs, inputs).at(k);
}

Tensor folded(Place place, ValueId v, Seen& seen) {
  if (v == no_value) return {};
  const Value& value = place.graph->value(v);
  if (value.is_constant()) return value.constant;
  if (auto found = seen.values.find(v); found != seen.values.end()) return found->second;
  if (!value.type.is_concrete() || volume(value.type.shape) > most_elements) return {};
  const Node* node = seen.values.size() < most_steps ? giver(*place.block, v, seen.first) : nullptr;
  Tensor& result = seen.values[v];  // nothing while it is being computed
  if (!node || !node->blocks.empty() || has(node->op->traits, Traits::random) || node->op->evaluate)
    return {};
  return result = computed(place, *node, v, seen);
}

}  // namespace

Tensor constant_of(Place place, ValueId v, std::size_t first) {
  Seen seen{first, {}};
  return folded(place, v, seen);
}

}  // namespace tl::coreml
