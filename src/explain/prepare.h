// SPDX-License-Identifier: Apache-2.0
// The graph that a report is about: default shapes, small constants folded. Step 1 of a report.
#pragma once
#include "ir/model_file.h"

namespace tl::explain {

// Throws Error where the function has no graph.
Graph prepared(const ModelFile&, const Function&);

}  // namespace tl::explain
