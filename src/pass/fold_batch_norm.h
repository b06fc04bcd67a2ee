// SPDX-License-Identifier: Apache-2.0
// Batch norms whose numbers are constants, before they are rounded to fp16.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Those right after a convolution go into its weight and bias. Others get the mean 0 and the variance 1 where
// a number of theirs is beyond what the Neural Engine sums (32,768). Only what computes in fp32 changes: in
// fp16 each would be rounded twice. True if any did.
bool fold_batch_norms(Graph&);

}  // namespace tl::pass
