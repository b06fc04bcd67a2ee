// SPDX-License-Identifier: Apache-2.0
// Operations in terms of others, for whoever does not have them: a file format, a backend.
#pragma once
#include <functional>

#include "ir/ex.h"

namespace tl::pass {

// What stands for a node: its outputs, made at the place from its inputs (absent ones are Ex{}). Nothing: the
// node stays.
using Replacement = std::function<std::vector<Ex>(Place, const Node&, std::span<const Ex> inputs)>;

// Replaces nodes, and what a replacement is made of again.
void replace_nodes(Graph&, const Replacement&);

// Replaces every node whose operation `lacks` names by its decomposition. Nodes without one stay.
void expand(Graph&, const std::function<bool(const OpDef&)>& lacks);

}  // namespace tl::pass
