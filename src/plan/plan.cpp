// SPDX-License-Identifier: Apache-2.0
// From a graph to a plan: specialise, clean up, then decide whether every shape is known.
#include "plan/plan.h"

#include <algorithm>

#include "op/ops.h"
#include "pass/attention.h"
#include "pass/norm.h"
#include "pass/simplify.h"
#include "pass/specialize.h"
#include "plan/blocked.h"
#include "plan/executor.h"
#include "plan/inverted.h"
#include "plan/node.h"

namespace tl::plan {
namespace {

// Weights that a kernel expands or reads while it packs would be doubled by folding anything large but
// themselves.
constexpr std::size_t largest_folded = std::size_t{64} << 20;
// Compressed weights that are larger stay so until the plan packs them, one at a time.
constexpr std::size_t largest_expanded = std::size_t{64} << 10;

std::vector<Tensor> fold_with(const Machine& machine, const Node& node, std::span<const Tensor* const> inputs,
                              std::span<const Type> out, bool expand) {
  std::size_t bytes = 0, in_bytes = 0;
  for (const Type& t : out) {
    if (!t.is_tensor()) return {};
    if (t.is_concrete()) bytes += bytes_of(t.dtype, volume(t.shape));
  }
  for (const Tensor* t : inputs) in_bytes += t ? t->bytes() : 0;
  bool compressed = has(node.op->traits, Traits::dequantize);
  if (compressed ? !expand && bytes > largest_expanded : bytes > largest_folded && bytes > 4 * in_bytes)
    return {};
  return run_node(*node.op, node.attrs, inputs, machine, 0);
}

// Every value a tensor of a known shape, no blocks, and nothing that works on whole values but classify and
// states.
bool is_static(const Graph& graph) {
  auto known = [&](ValueId v) {
    const Type& t = graph.type(v);
    return t.is_tensor() && t.is_concrete();
  };
  for (const Node& node : graph.body.nodes) {
    if (node.op == &ops::read_state || node.op == &ops::write_state || node.op == &ops::classify) continue;
    if (node.op->evaluate || !node.blocks.empty() || has(node.op->traits, Traits::structural)) return false;
    if (!std::all_of(node.outputs.begin(), node.outputs.end(), known)) return false;
  }
  return true;
}

Graph made_ready(const Graph& graph, std::span<const Type> types, const Machine& machine, bool expand) {
  pass::Fold fold = [&](const Node& node, std::span<const Tensor* const> inputs, std::span<const Type> out) {
    return fold_with(machine, node, inputs, out, expand);
  };
  Graph ready = pass::specialize(graph, types, fold);
  pass::drop_unused(ready);
  pass::drop_no_ops(ready);
  pass::square_powers(ready);
  pass::merge_duplicates(ready);
  bool joined = pass::join_attention(ready);
  joined = pass::join_norms(ready) || joined;
  if (joined) pass::drop_unused(ready);
  verify(ready, "plan");
  return ready;
}

}  // namespace

std::shared_ptr<const Plan> Plan::make(const Graph& graph, std::span<const Type> types,
                                       const Machine& machine, const Options& options) {
  Graph ready = made_ready(graph, types, machine, false);
  if (is_static(ready)) {
    block_images(ready, machine);
    join_inverted(ready, machine);
    verify(ready, "block_images");
    return make_static(std::move(ready), machine, options);
  }
  return make_dynamic(made_ready(graph, types, machine, true), machine, options);
}

}  // namespace tl::plan
