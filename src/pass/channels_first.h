// SPDX-License-Identifier: Apache-2.0
// Sequences as the Neural Engine wants them: (batch, channels, 1, sequence).
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// Products with constant matrices over the last axis become 1x1 convolutions; what lies between them (norms,
// activations, sums, splits, rotations) stays in that form, so that transposes are left at the edges only.
// Attention between them is computed head by head, as products of the form nchw,nwhu->nchu. Shapes must be
// known where it is to change something. True if it changed anything.
bool channels_first(Graph&);

}  // namespace tl::pass
