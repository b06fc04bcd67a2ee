// SPDX-License-Identifier: Apache-2.0
// Attention that is written out: found and made one operation, for whoever computes it without the scores.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

// softmax(q . k^T / sqrt(E) + mask) . v, in whatever order it scales, becomes scaled_dot_product_attention.
// The types must be known. Gives true if it changed the graph; what is not read any more stays.
bool join_attention(Graph&);

}  // namespace tl::pass
