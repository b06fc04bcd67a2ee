// SPDX-License-Identifier: Apache-2.0
// The weights while a plan is made: compressed ones are expanded when a kernel packs them, and only those
// that no kernel packs stay expanded; pages of a file that have been packed may leave memory.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

class Weights {
 public:
  // graph outlives this and keeps its nodes where they are.
  Weights(Graph& graph, const Machine&, bool release);

  // The node only computes weights from weights: no step of the plan.
  bool is_waiting(const Node& node) const { return nodes_.contains(&node); }
  // A weight, expanded; empty where the value is none.
  Tensor of(ValueId);
  // How a weight is made that waits for a kernel, with what it is made of; nothing where the value is none.
  std::optional<Compressed> compressed(ValueId);
  // A step reads the value when the plan runs: from now on it is a constant of the graph.
  void keep(ValueId);
  // A kernel has a copy.
  void release(const Tensor&) const;
  void release(const Compressed&) const;

 private:
  void find_waiting();
  std::vector<Tensor> inputs_of(const Node&);
  Tensor expand(ValueId, const Node&);

  Graph& graph_;
  const Machine& machine_;
  bool release_;
  std::map<ValueId, const Node*> waiting_ = {};
  std::set<const Node*> nodes_ = {};
  std::pair<ValueId, Tensor> last_ = {no_value, {}};  // planning asks for the same one several times in a row
};

}  // namespace tl::plan
