// SPDX-License-Identifier: Apache-2.0
// gelu and silu that an exporter wrote out become one operation again.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// x * 0.5 * (1 + erf(x / sqrt 2)), the same with tanh, x * sigmoid(1.702 x): gelu; x * sigmoid(x): silu.
bool fuse_gelus(Graph&);

}  // namespace tl::pass
