// SPDX-License-Identifier: Apache-2.0
// Shapes and conditions are computed, weights are not: a report needs no arithmetic of the model's size.
#include "explain/prepare.h"

#include "base/error.h"
#include "base/text.h"
#include "op/reference.h"
#include "pass/simplify.h"
#include "pass/specialize.h"

namespace tl::explain {
namespace {

constexpr std::int64_t most_folded = 4096;  // elements

bool is_small(const Type& t) { return t.is_tensor() && t.is_concrete() && volume(t.shape) <= most_folded; }

std::vector<Tensor> fold_small(const Node& node, std::span<const Tensor* const> inputs,
                               std::span<const Type> out) {
  if (has(node.op->traits, Traits::dequantize)) return {};
  for (const Type& t : out)
    if (!is_small(t)) return {};
  std::vector<Tensor> values;
  for (const Tensor* t : inputs) {
    if (t && t->size() > 16 * most_folded) return {};
    values.push_back(t ? *t : Tensor());
  }
  return run_reference(*node.op, node.attrs, values, 0, out);
}

// The type of a graph's input, its unknown lengths as the interface has them by default.
Type default_type(const Value& value, const Interface& interface) {
  Type type = value.type;
  const Feature* feature = nullptr;
  for (const Feature& f : interface.inputs)
    if (f.name == value.name) feature = &f;
  if (!feature || !type.is_tensor()) return type;
  Shape shape = feature->five ? five_dims(feature->shape) : feature->shape;
  if (!type.ranked) type.ranked = true, type.shape = shape;
  for (std::size_t d = 0; d < type.rank(); ++d)
    if (!is_known(type.shape[d]))
      type.shape[d] = shape.size() == type.rank() && is_known(shape[d]) ? shape[d] : 1;
  return type;
}

// With the default shapes; where these do not suit the program (an index that depends on an input), as it is.
Graph specialized(const Graph& graph, const std::vector<Type>& types) {
  try {
    return pass::specialize(graph, types, fold_small);
  } catch (const Error&) { return graph; }
}

}  // namespace

Graph prepared(const ModelFile& file, const Function& function) {
  if (!function.graph)
    throw Error(Code::unsupported,
                function.why_not.empty()
                    ? text("a model of type {} has no operations that could run on a Neural Engine",
                           file.type.empty() ? file.format : file.type)
                    : function.why_not);
  Graph graph = *function.graph;
  std::vector<Type> types;
  for (ValueId v : graph.body.inputs) types.push_back(default_type(graph.value(v), function.interface));
  Graph ready = specialized(graph, types);
  pass::drop_unused(ready);
  pass::drop_no_ops(ready);
  pass::merge_duplicates(ready);
  return ready;
}

}  // namespace tl::explain
