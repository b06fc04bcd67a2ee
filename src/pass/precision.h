// SPDX-License-Identifier: Apache-2.0
// The same graph computed in another floating type, with the types of its inputs, outputs and states as they
// were: `tl convert --precision`. (retype.h changes those too.)
#pragma once
#include <functional>

#include "ir/graph.h"

namespace tl::pass {

// Casts stand at the edges, and around the operations that `stays` names or whose constants fp16 cannot hold.
Graph with_precision(const Graph&, DType floating, const std::function<bool(const OpDef&)>& stays);

}  // namespace tl::pass
