// SPDX-License-Identifier: Apache-2.0
// Operations that a sum of products applies to its result before rounding: clips, an elementwise row, an
// addition.
#pragma once
#include <limits>

#include "op/post.h"

namespace tl {

struct Clip {
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
  bool is_none() const { return low == -std::numeric_limits<float>::infinity() && high == -low; }
};

struct Fused {  // clip, then the row, then add input `residual`, then clip
  Clip before = {}, after = {};
  PostBlock block = {};
  int residual = -1;
};

// Nothing if the request asks for more than that, or for a residual of another type than the output.
std::optional<Fused> fused(const KernelRequest&);

}  // namespace tl
