// SPDX-License-Identifier: Apache-2.0
// Masks that fp16 and the Neural Engine can add.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Constants below -4e4 (minus infinity too) that are added or selected on the way to a softmax become -4e4:
// their exponential is 0 either way. Gives true if it changed the graph.
bool limit_masks(Graph&);

}  // namespace tl::pass
