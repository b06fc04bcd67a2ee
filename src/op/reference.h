// SPDX-License-Identifier: Apache-2.0
// Running operations by their references: the oracle of the tests, constant folding, and what the planner
// falls back to where no kernel takes a node.
#pragma once
#include <map>

#include "ir/graph.h"

namespace tl {

// The outputs of one operation on tensors; an absent input is an empty Tensor. Attributes must be complete.
// Uses the reference, else `evaluate`, else the decomposition; throws Error where there is none of them.
// `types`, if given, say the outputs' element types: inference sees every input as constant here, and a few
// operations (matmul of mixed types) decide by what was constant when the graph was read.
std::vector<Tensor> run_reference(const OpDef&, const Attrs&, std::span<const Tensor> inputs,
                                  std::uint64_t seed = 0, std::span<const Type> types = {});

// Every node of a block without nested blocks, in order; `values` holds the inputs and receives what the
// nodes give. Constants of the graph need not be in it.
void run_reference(const Graph&, const Block&, std::map<ValueId, Tensor>& values, std::uint64_t seed = 0);

}  // namespace tl
