// SPDX-License-Identifier: Apache-2.0
// drop_unused, merge_duplicates, drop_no_ops, square_powers.
#include "pass/simplify.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/text.h"
#include "op/ops.h"

namespace tl::pass {
namespace {

// Applies a map of values to everything below a block.
void remap(Block& block, std::span<const ValueId> to) {
  auto apply = [&](std::vector<ValueId>& values) {
    for (ValueId& v : values)
      if (v != no_value) v = to[index(v)];
  };
  for (Node& node : block.nodes) {
    apply(node.inputs);
    for (Block& inner : node.blocks) remap(inner, to);
  }
  apply(block.outputs);
}

std::vector<ValueId> identity_map(const Graph& graph) {
  std::vector<ValueId> map(graph.value_count());
  for (std::size_t i = 0; i < map.size(); ++i) map[i] = ValueId(i);
  return map;
}

bool pure(const Node& node) {
  return !has(node.op->traits, Traits::side_effect) && !has(node.op->traits, Traits::random) &&
         node.op != &ops::read_state;
}

bool has_effect(const Block& block) {
  return std::any_of(block.nodes.begin(), block.nodes.end(), [](const Node& node) {
    return has(node.op->traits, Traits::side_effect) ||
           std::any_of(node.blocks.begin(), node.blocks.end(), has_effect);
  });
}

void mark(const Block& block, std::vector<bool>& used) {
  for (ValueId v : block.outputs) used[index(v)] = true;
}

bool drop(Block& block, std::vector<bool>& used) {
  mark(block, used);
  bool changed = false;
  for (std::size_t i = block.nodes.size(); i-- > 0;) {
    Node& node = block.nodes[i];
    bool needed =
        has(node.op->traits, Traits::side_effect) ||
        std::any_of(node.blocks.begin(), node.blocks.end(), has_effect) ||
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return used[index(v)]; });
    if (!needed) {
      node.op = nullptr;
      changed = true;
      continue;
    }
    for (Block& inner : node.blocks) changed |= drop(inner, used);
    for (ValueId v : node.inputs)
      if (v != no_value) used[index(v)] = true;
  }
  std::erase_if(block.nodes, [](const Node& node) { return node.op == nullptr; });
  return changed;
}

// What makes two nodes the same, as text; small constants count by their content.
std::string key_of(const Graph& graph, const Node& node) {
  std::string key(node.op->name);
  for (ValueId v : node.inputs) {
    const Tensor* c = v == no_value ? nullptr : &graph.value(v).constant;
    bool small = c && *c && c->bytes() <= 64 && c->dtype() != DType::string;
    if (small)
      key += text(" {}:", text_of(c->type())).append(reinterpret_cast<const char*>(c->data()), c->bytes());
    else key += text(" %{}", v == no_value ? -1 : static_cast<std::int64_t>(index(v)));
  }
  for (const auto& [name, value] : node.attrs) key += text(" {}={}", name, text_of(value));
  return key;
}

bool merge(const Graph& graph, Block& block, std::vector<ValueId>& to) {
  bool changed = false;
  std::map<std::string, const Node*> seen;
  for (Node& node : block.nodes) {
    for (ValueId& v : node.inputs)
      if (v != no_value) v = to[index(v)];
    if (!pure(node) || !node.blocks.empty()) continue;
    auto [found, fresh] = seen.emplace(key_of(graph, node), &node);
    if (fresh) continue;
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      to[index(node.outputs[i])] = found->second->outputs[i];
    changed = true;
  }
  return changed;
}

bool is_identity_transpose(const Node& node) {
  if (node.op != &ops::transpose) return false;
  const auto& perm = node.attrs.integers("perm");
  for (std::size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<std::int64_t>(i) &&
        perm[i] + static_cast<std::int64_t>(perm.size()) != static_cast<std::int64_t>(i))
      return false;
  return true;
}

bool does_nothing(const Graph& graph, const Node& node) {
  if (node.op == &ops::identity) return true;
  if (node.outputs.size() != 1 || node.inputs.empty() || node.inputs.front() == no_value) return false;
  const Type& in = graph.type(node.inputs.front());
  if (!in.is_tensor() || !in.is_concrete() || in != graph.type(node.outputs.front())) return false;
  return node.op == &ops::cast || has(node.op->traits, Traits::view) || is_identity_transpose(node);
}

void skip_no_ops(const Graph& graph, Block& block, std::vector<ValueId>& to, bool& changed) {
  for (Node& node : block.nodes) {
    for (ValueId& v : node.inputs)
      if (v != no_value) v = to[index(v)];
    for (Block& inner : node.blocks) skip_no_ops(graph, inner, to, changed);
    if (!does_nothing(graph, node)) continue;
    to[index(node.outputs.front())] = node.inputs.front();
    changed = true;
  }
}

// x to the power 2, which a multiplication gives at a thirtieth of the price.
bool is_square(const Graph& graph, const Node& node) {
  if (node.op != &ops::pow) return false;
  const Type &x = graph.type(node.inputs[0]), &y = graph.type(node.outputs[0]);
  const Tensor& power = graph.value(node.inputs[1]).constant;
  if (!power || power.dtype() == DType::string || volume(power.shape()) != 1) return false;
  return x.is_concrete() && x == y && to_doubles(power).front() == 2;
}

void make_squares(const Graph& graph, Block& block, bool& changed) {
  for (Node& node : block.nodes) {
    for (Block& inner : node.blocks) make_squares(graph, inner, changed);
    if (!is_square(graph, node)) continue;
    node.op = &ops::square;
    node.inputs.resize(1);
    changed = true;
  }
}

}  // namespace

bool square_powers(Graph& graph) {
  bool changed = false;
  make_squares(graph, graph.body, changed);
  return changed;
}

bool drop_unused(Graph& graph) {
  std::vector<bool> used(graph.value_count(), false);
  return drop(graph.body, used);
}

bool merge_duplicates(Graph& graph) {
  std::vector<ValueId> to = identity_map(graph);
  bool changed = merge(graph, graph.body, to);
  if (changed) remap(graph.body, to);
  return changed && drop_unused(graph);
}

bool drop_no_ops(Graph& graph) {
  std::vector<ValueId> to = identity_map(graph);
  bool changed = false;
  skip_no_ops(graph, graph.body, to, changed);
  if (changed) remap(graph.body, to);
  return changed && drop_unused(graph);
}

void replace_uses(Graph& graph, ValueId from, ValueId with) {
  std::vector<ValueId> to = identity_map(graph);
  to[index(from)] = with;
  remap(graph.body, to);
}

}  // namespace tl::pass
