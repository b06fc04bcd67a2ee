// SPDX-License-Identifier: Apache-2.0
// Lookups in tables of words at the beginning, where the CPU does them all before the Neural Engine starts.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Nodes that gather rows of constants by inputs alone come first, with what makes their indices; all others
// keep their order. True if any moved.
bool lookups_first(Graph&);

}  // namespace tl::pass
