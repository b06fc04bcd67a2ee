// SPDX-License-Identifier: Apache-2.0
// Lengths computed as whole numbers where a graph computes them as floats: exact in every precision.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Older networks know only floats: what they compute from shapes and then use as a shape is computed in int32
// as well, and read from there. Values that nobody reads any more stay; drop_unused takes them.
void whole_shape_math(Graph&);

}  // namespace tl::pass
