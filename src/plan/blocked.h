// SPDX-License-Identifier: Apache-2.0
// Which images of a graph have their channels in blocks (op/blocked.h).
#pragma once
#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

// Rewrites convolutions, and what stands between them, to images in blocks of channels; conversions stand
// only where such a region begins or ends. Regions that are not worth it stay as they are.
void block_images(Graph&, const Machine&);

}  // namespace tl::plan
