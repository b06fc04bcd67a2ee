// SPDX-License-Identifier: Apache-2.0
// Which convolutions of images in blocks of channels become one operation (op/conv_inverted.h).
#pragma once
#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

// Rewrites a convolution 1x1, a depthwise one and again one 1x1, or the first two where a mean of each
// channel follows, into one node each. After block_images.
void join_inverted(Graph&, const Machine&);

}  // namespace tl::plan
