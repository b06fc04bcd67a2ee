// SPDX-License-Identifier: Apache-2.0
// Constants that a program computes: an attribute may be a cast of one.
#pragma once
#include "ir/ex.h"

namespace tl::coreml {

// The value if it is constant or computed in this block, by nodes from `first` on, from little that is; an
// empty Tensor otherwise.
Tensor constant_of(Place, ValueId, std::size_t first = 0);

}  // namespace tl::coreml
