// SPDX-License-Identifier: Apache-2.0
// A graph for given input types: every type inferred anew, everything that is constant computed.
#pragma once
#include <functional>

#include "ir/graph.h"

namespace tl::pass {

// Computes one node of constant inputs (null: absent). An empty answer: not computed, the node stays.
using Fold = std::function<std::vector<Tensor>(const Node&, std::span<const Tensor* const> inputs,
                                               std::span<const Type> out)>;

// types: one per graph input, in their order; each must agree with the graph's where that is known.
// A condition that turns out constant leaves only the branch it takes.
Graph specialize(const Graph&, std::span<const Type> types, const Fold&);

}  // namespace tl::pass
