// SPDX-License-Identifier: Apache-2.0
// Whole numbers that arrive as floats, as older networks take the numbers of words.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// A cast to integers of what was only moved since it came in (views, transposes, slices) is done on the input
// itself: in fp16, whole numbers beyond 2,048 would not be exact. True if any was moved.
bool cast_indices_first(Graph&);

}  // namespace tl::pass
