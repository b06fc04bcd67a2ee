// SPDX-License-Identifier: Apache-2.0
// Small clean-ups that hold on every machine. Each gives true if it changed the graph.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Nodes whose outputs nobody reads, unless they have a side effect.
bool drop_unused(Graph&);

// Keeps one of several nodes of a block that compute the same thing from the same inputs.
bool merge_duplicates(Graph&);

// identity, casts to the same type, reshapes and transposes that change nothing: their readers read the
// input.
bool drop_no_ops(Graph&);

// x to the power 2 becomes the square of x.
bool square_powers(Graph&);

// Everything that reads `from` reads `to` instead; outputs of the graph too.
void replace_uses(Graph&, ValueId from, ValueId to);

}  // namespace tl::pass
