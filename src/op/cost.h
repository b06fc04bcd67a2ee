// SPDX-License-Identifier: Apache-2.0
// What a node costs in multiplications and additions: for tables that people read, not for plans.
#pragma once
#include <optional>

#include "ir/graph.h"

namespace tl {

// Of products summed: convolutions, matrix products, attention, recurrent layers; 0 for all others. Nothing
// where a shape is not known.
std::optional<std::int64_t> multiply_adds(const Graph&, const Node&);

}  // namespace tl
