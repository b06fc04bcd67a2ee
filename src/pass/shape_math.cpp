// SPDX-License-Identifier: Apache-2.0
// Follows lengths from `shape` on: every float that is one gets an int32 twin.
#include "pass/shape_math.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "op/ops.h"
#include "pass/rewrite.h"

namespace tl::pass {
namespace {

bool keeps_whole(const OpDef* op) {  // whole numbers in, whole numbers out
  const OpDef* const all[] = {&ops::add,           &ops::sub,         &ops::mul,
                              &ops::floor_div,     &ops::maximum,     &ops::minimum,
                              &ops::concat,        &ops::stack,       &ops::split,
                              &ops::reshape,       &ops::squeeze,     &ops::gather,
                              &ops::expand_dims,   &ops::reduce_prod, &ops::reduce_sum,
                              &ops::reduce_max,    &ops::reduce_min,  &ops::slice_by_index,
                              &ops::slice_by_size, &ops::identity,    &ops::mod,
                              &ops::range_1d};
  return std::find(std::begin(all), std::end(all), op) != std::end(all);
}

class ShapeMath {
 public:
  explicit ShapeMath(Graph& graph) : graph_(graph) {}

  void block(Block& b) {
    rewrite_block(b, map_, [&](Node& node, Block& out) {
      for (Block& inner : node.blocks) block(inner);
      out.nodes.push_back(node);
      follow(node, out);
    });
  }

 private:
  DType dtype(ValueId v) const { return graph_.type(v).dtype; }

  void follow(const Node& node, Block& out) {
    if (node.op == &ops::shape) lengths_.insert(node.outputs[0]);
    else if (node.op == &ops::cast) cast(node);
    else if (keeps_whole(node.op) && node.blocks.empty()) twin(node, out);
  }

  void cast(const Node& node) {
    ValueId from = node.inputs[0], to = node.outputs[0];
    if (is_float(dtype(to)) && lengths_.contains(from)) whole_[to] = from;
    auto found = whole_.find(from);
    if (found == whole_.end() || !graph_.type(to).is_tensor()) return;
    if (is_float(dtype(to))) whole_[to] = found->second;
    else if (dtype(to) == dtype(found->second)) map_.set(to, found->second);
  }

  // The operand as int32; nothing where it may be no whole number.
  ValueId whole(ValueId v) {
    if (auto found = whole_.find(v); found != whole_.end()) return found->second;
    if (v == no_value || !graph_.value(v).is_constant()) return no_value;
    std::vector<double> numbers = to_doubles(graph_.value(v).constant);
    bool fits = std::all_of(numbers.begin(), numbers.end(),
                            [](double x) { return x == std::rint(x) && std::fabs(x) < 0x1p31; });
    return fits ? whole_[v] = graph_.add_constant(converted(graph_.value(v).constant, DType::i32)) : no_value;
  }

  void twin(const Node& node, Block& out) {
    bool any = false, lengths = false;
    std::vector<ValueId> inputs = node.inputs;
    for (ValueId& v : inputs) {
      if (v == no_value) continue;
      lengths = lengths || lengths_.contains(v);
      if (!is_float(dtype(v))) continue;
      any = any || whole_.contains(v);
    }
    if (lengths && !any)
      for (ValueId v : node.outputs)
        if (is_integer(dtype(v))) lengths_.insert(v);
    if (!any) return;
    for (ValueId& v : inputs) {
      if (v == no_value || !is_float(dtype(v))) continue;
      v = whole(v);
      if (v == no_value) return;
    }
    std::vector<ValueId> outputs = graph_.add_node(out, *node.op, inputs, node.attrs, {node.name}).outputs;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      whole_[node.outputs[i]] = outputs[i];
      lengths_.insert(outputs[i]);
    }
  }

  Graph& graph_;
  std::unordered_map<ValueId, ValueId> whole_ = {};  // from a float to its twin
  std::unordered_set<ValueId> lengths_ = {};         // whole numbers that come from shapes
  ValueMap map_ = {};                                // casts back read the twin
};

}  // namespace

void whole_shape_math(Graph& graph) { ShapeMath(graph).block(graph.body); }

}  // namespace tl::pass
