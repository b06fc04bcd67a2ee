// SPDX-License-Identifier: Apache-2.0
// The same graph with every floating value in another element type: `--precision fp16`, `fp32`, `reference`
// (fp64).
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Inputs, constants, states, casts and what `dtype` attributes name change with it. fp64 stays fp64.
Graph retyped(const Graph&, DType floating);

}  // namespace tl::pass
