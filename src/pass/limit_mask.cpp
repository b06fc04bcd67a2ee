// SPDX-License-Identifier: Apache-2.0
// Apple's advice for causal masks, as a rewrite.
#include "pass/limit_mask.h"

#include <algorithm>

#include "op/ops.h"

namespace tl::pass {
namespace {

constexpr double lowest = -4e4;
constexpr std::int64_t largest_mask = std::int64_t{1} << 24;  // elements

bool hands_on(const OpDef* op) {
  return op == &ops::add || op == &ops::select || op == &ops::cast || op == &ops::reshape ||
         op == &ops::expand_dims || op == &ops::squeeze || op == &ops::transpose ||
         op == &ops::slice_by_index || op == &ops::tile || op == &ops::concat;
}

// Per value: whether all that reads it hands it on to a softmax.
std::vector<bool> towards_softmax(const Block& block, std::size_t values) {
  std::vector<int> reads(values, 0), good(values, 0);
  for (ValueId v : block.outputs) ++reads[index(v)];
  for (const Node& node : block.nodes)  // what blocks inside read is not followed
    for (const Block& inner : node.blocks) {
      for (ValueId v : inner.outputs) ++reads[index(v)];
      for_each_node(inner, [&](const Node& deep) {
        for (ValueId v : deep.inputs)
          if (v != no_value) ++reads[index(v)];
      });
    }
  for (auto node = block.nodes.rbegin(); node != block.nodes.rend(); ++node) {
    bool on = node->op == &ops::softmax || node->op == &ops::scaled_dot_product_attention;
    if (hands_on(node->op) && !node->outputs.empty()) {
      std::size_t out = index(node->outputs[0]);
      on = reads[out] > 0 && reads[out] == good[out];
    }
    for (ValueId v : node->inputs)
      if (v != no_value) ++reads[index(v)], good[index(v)] += on;
  }
  std::vector<bool> all(values);
  for (std::size_t i = 0; i < values; ++i) all[i] = reads[i] > 0 && reads[i] == good[i];
  return all;
}

bool limit(Tensor& t) {
  if (!is_float(t.dtype()) || t.size() > largest_mask) return false;
  std::vector<double> values = to_doubles(t);
  if (std::none_of(values.begin(), values.end(), [](double x) { return x < lowest; })) return false;
  for (double& x : values) x = x < lowest ? lowest : x;  // NaN stays
  t = from_doubles(values, t.dtype(), t.shape());
  return true;
}

}  // namespace

bool limit_masks(Graph& graph) {
  std::vector<bool> masks = towards_softmax(graph.body, graph.value_count());
  bool changed = false;
  for (std::size_t i = 0; i < graph.value_count(); ++i)
    if (masks[i] && graph.value(ValueId(i)).is_constant())
      changed = limit(graph.value(ValueId(i)).constant) || changed;
  return changed;
}

}  // namespace tl::pass
