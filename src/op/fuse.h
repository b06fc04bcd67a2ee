// SPDX-License-Identifier: Apache-2.0
// Operations that a sum of products applies to its result before rounding: clips, and one addition.
#pragma once
#include <limits>

#include "op/kernel.h"

namespace tl {

struct Clip {
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
};

struct Fused {  // clip, then add input `residual`, then clip
  Clip before = {}, after = {};
  int residual = -1;
};

// Nothing if the request asks for more than that, or for a residual of another type than the output.
std::optional<Fused> fused(const KernelRequest&);

}  // namespace tl
