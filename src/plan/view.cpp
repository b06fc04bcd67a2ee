// SPDX-License-Identifier: Apache-2.0
// Follows values back through what only moves elements.
#include "plan/view.h"

#include <algorithm>

namespace tl::plan {
namespace {

std::int64_t size_of(const Graph& graph, ValueId v) { return volume(graph.type(v).shape); }

}  // namespace

Views::Views(const Graph& graph, const Machine& machine)
    : graph_(graph), machine_(machine), made_(graph.value_count(), {nullptr, 0}) {
  for (const Node& node : graph.body.nodes)
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      made_[index(node.outputs[i])] = {&node, static_cast<int>(i)};
}

std::vector<Move> Views::moves(const Node& node) const {
  std::vector<Type> in, out;
  std::vector<const Tensor*> constants;
  std::unique_ptr<bool[]> given(new bool[node.inputs.size() + 1]());
  auto concrete = [](const Type& t) { return t.is_tensor() && t.is_concrete() && volume(t.shape) > 0; };
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    given[i] = node.inputs[i] != no_value;
    in.push_back(given[i] ? graph_.type(node.inputs[i]) : Type());
    if (given[i] && !concrete(in.back())) return {};
    const Tensor* known = given[i] ? &graph_.value(node.inputs[i]).constant : nullptr;
    constants.push_back(known && *known ? known : nullptr);
  }
  for (ValueId v : node.outputs) out.push_back(graph_.type(v));
  if (in.empty() || !given[0] || constants[0] || !std::all_of(out.begin(), out.end(), concrete)) return {};
  return moves_of({*node.op, node.attrs, in, {given.get(), in.size()}, constants, out, machine_});
}

const Views::Source* Views::of(ValueId v) const {
  if (v == no_value || !made_[index(v)].first) return nullptr;
  auto found = known_.find(v);
  if (found == known_.end())
    found = known_.emplace(v, look(*made_[index(v)].first, made_[index(v)].second)).first;
  return found->second ? &*found->second : nullptr;
}

std::optional<Views::Source> Views::look(const Node& node, int output) const {
  std::vector<Move> list = moves(node);
  if (list.empty()) return std::nullopt;
  ValueId in = node.inputs[0], out = node.outputs[static_cast<std::size_t>(output)];
  const Source* before = of(in);
  Source source{before ? before->root : in, before ? before->view : dense_view(size_of(graph_, in))};
  std::optional<View> view = view_of(list, output, size_of(graph_, out), source.view);
  if (!view) return std::nullopt;
  source.view = std::move(*view);
  return source;
}

bool Views::is_dense(const Node& node) const {
  if (node.outputs.size() != 1) return false;
  std::vector<Move> list = moves(node);
  if (list.empty() || size_of(graph_, node.inputs[0]) != size_of(graph_, node.outputs[0])) return false;
  std::int64_t size = size_of(graph_, node.outputs[0]);
  std::optional<View> view = view_of(list, 0, size, dense_view(size));
  return view && view->is_dense();
}

std::optional<View> Views::moved(const Node& node) const {
  if (node.outputs.size() != 1) return std::nullopt;
  std::vector<Move> list = moves(node);
  if (list.empty() || size_of(graph_, node.inputs[0]) != size_of(graph_, node.outputs[0]))
    return std::nullopt;
  return inverse_view(list, size_of(graph_, node.outputs[0]));
}

}  // namespace tl::plan
