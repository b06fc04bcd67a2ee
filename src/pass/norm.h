// SPDX-License-Identifier: Apache-2.0
// Normalisations that are written out: found and made one operation.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// x / sqrt(mean(x * x) + epsilon), and its product with a constant along the last axis, become rms_norm. The
// types must be known. Gives true if it changed the graph; what is not read any more stays.
bool join_norms(Graph&);

}  // namespace tl::pass
