// SPDX-License-Identifier: Apache-2.0
// Attention head by head, for values that pass/layout.h holds. Each gives false where it does not apply.
#pragma once
#include "pass/layout.h"

namespace tl::pass {

// The last two axes of the product x y: as the node has them, after its transposes.
struct Operands {
  ValueId x = no_value, y = no_value;
  bool transposed_x = false, transposed_y = false;
};

// Scores: each query with each key, [.., query, D] times [.., D, key]; per head (batch, key, 1, query).
std::optional<Laid> head_scores(Layout&, const Operands&, ValueId out);
// What the weights make of the values: [.., query, key] times [.., key, D].
std::optional<Laid> head_sums(Layout&, const Laid& weights, ValueId values, ValueId out);

}  // namespace tl::pass
