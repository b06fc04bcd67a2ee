// SPDX-License-Identifier: Apache-2.0
// The matrix of a product as the kernel of a 1x1 convolution, compressed if it was.
#pragma once
#include <functional>

#include "ir/ex.h"

namespace tl::pass {

struct ConvWeight {
  Dim outputs = 0, inputs = 0;
  std::function<ValueId(Place)> emit = {};  // makes [outputs, inputs, 1, 1]
};

// Of a constant matrix, or one that is expanded from a compressed constant: [out, in] as_rows, else [in,
// out].
std::optional<ConvWeight> conv_weight(Graph&, ValueId weight, bool as_rows);

}  // namespace tl::pass
