// SPDX-License-Identifier: Apache-2.0
// Counts over a graph at the default shapes of its interface.
#include "model/operation_table.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "op/cost.h"
#include "op/reference.h"
#include "pass/specialize.h"

namespace tl {
namespace {

constexpr std::int64_t largest_shape_math = 1024;  // elements

Type default_type(Type type, const Feature& f) {
  if (f.kind == FeatureKind::tensor && f.shape.size() == type.rank()) type.shape = f.shape;
  if (f.kind == FeatureKind::tensor && f.five && type.rank() == 5) type.shape = five_dims(f.shape);
  if (f.kind == FeatureKind::image && f.shape.size() == 2 && type.rank() >= 2) {
    type.shape[type.rank() - 2] = f.shape[0];
    type.shape[type.rank() - 1] = f.shape[1];
  }
  return type;
}

std::vector<Tensor> small(const Node& node, std::span<const Tensor* const> inputs,
                          std::span<const Type> out) {
  std::vector<Tensor> in;
  for (const Tensor* t : inputs) {
    if (t && t->size() > largest_shape_math) return {};
    in.push_back(t ? *t : Tensor());
  }
  for (const Type& t : out)
    if (!t.is_concrete() || volume(t.shape) > largest_shape_math) return {};
  return run_reference(*node.op, node.attrs, in, 0, out);
}

Graph at_default_shapes(const Function& f) {
  std::vector<Type> types;
  bool open = false;
  for (ValueId v : f.graph->body.inputs) {
    types.push_back(f.graph->type(v));
    for (const Feature& feature : f.interface.inputs)
      if (feature.name == f.graph->value(v).name) types.back() = default_type(types.back(), feature);
    open = open || types.back() != f.graph->type(v);
  }
  if (!open) return *f.graph;
  try {
    return pass::specialize(*f.graph, types, small);
  } catch (const Error&) { return *f.graph; }  // the default shapes do not suit it: as it is
}

class Counter {
 public:
  explicit Counter(const Graph& graph) : graph_(graph) {}

  void count_nodes(const Graph& as_read) {
    for_each_node(as_read.body, [&](const Node& node) { ++row(node).count; });
    for_each_node(graph_.body, [&](const Node& node) {
      OperationRow& r = row(node);
      std::optional<std::int64_t> n = multiply_adds(graph_, node);
      if (!n || !r.multiply_adds) r.multiply_adds.reset();
      else *r.multiply_adds += *n;
      for (ValueId v : node.inputs)
        if (v != no_value) weight(r, graph_.value(v).constant);
    });
  }

  std::vector<OperationRow> sorted() && {
    std::stable_sort(rows_.begin(), rows_.end(), [](const OperationRow& a, const OperationRow& b) {
      return a.count != b.count ? a.count > b.count : a.name < b.name;
    });
    return std::move(rows_);
  }

 private:
  OperationRow& row(const Node& node) {
    for (OperationRow& r : rows_)
      if (r.name == node.op->name) return r;
    rows_.push_back({std::string(node.op->name)});
    return rows_.back();
  }

  void weight(OperationRow& r, const Tensor& t) {
    bool counts = t && t.rank() >= 1 && t.size() > 0 &&
                  (is_float(t.dtype()) || (is_integer(t.dtype()) && bits_of(t.dtype()) <= 8));
    if (!counts || !seen_.insert(t.data()).second) return;
    r.parameters += t.size();
    std::string type(name_of(t.dtype()));
    auto found = std::find_if(r.bytes.begin(), r.bytes.end(), [&](const auto& b) { return b.first == type; });
    if (found == r.bytes.end()) r.bytes.emplace_back(type, t.bytes());
    else found->second += t.bytes();
  }

  const Graph& graph_;
  std::vector<OperationRow> rows_ = {};
  std::set<const void*> seen_ = {};
};

}  // namespace

std::vector<OperationRow> operation_table(const Function& f) {
  if (!f.graph) return {};
  Graph graph = at_default_shapes(f);
  Counter counter(graph);
  counter.count_nodes(*f.graph);
  return std::move(counter).sorted();
}

}  // namespace tl
