// SPDX-License-Identifier: Apache-2.0
// The same graph computed in another floating type.
#pragma once
#include <functional>

#include "ir/graph.h"

namespace tl::pass {

// With the types of inputs, outputs and states as they were: `tl convert --precision`. Casts stand at the
// edges, and around the operations that `stays` names or whose constants fp16 cannot hold.
Graph with_precision(const Graph&, DType floating, const std::function<bool(const OpDef&)>& stays);

// With inputs, outputs and states in that type too: `--precision fp16`, `fp32`, `reference` (fp64). fp64
// stays fp64.
Graph retyped(const Graph&, DType floating);

}  // namespace tl::pass
