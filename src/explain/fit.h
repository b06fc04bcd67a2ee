// SPDX-License-Identifier: Apache-2.0
// Which rules speak of a node on a chip. Step 3 of a report.
#pragma once
#include "explain/chip.h"
#include "explain/work.h"

namespace tl::explain {

bool holds(const AneWhen&, const Graph&, const Node&, const Facts&);

// The rules of its operation and of every operation that hold for the node, but those that only name a
// source.
std::vector<const AneRule*> rules_for(const Graph&, const Node&, const Facts&, const Chip&);

// At the edge of the model: casts of inputs and outputs, and the labels of a classifier. Core ML does these
// on its own.
bool is_edge(const Graph&, const Node&, const Facts&);

}  // namespace tl::explain
