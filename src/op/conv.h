// SPDX-License-Identifier: Apache-2.0
// What the definitions of convolutions share with their kernels.
#pragma once
#include "ir/op_def.h"
#include "op/geometry.h"

namespace tl {

inline std::span<const Dim> spatial(std::span<const Dim> shape) {
  return shape.subspan(shape.size() < 2 ? shape.size() : 2);
}

// The windows of conv, conv_quantized, conv_transpose or conv_weight_gradient for inputs of these shapes.
std::vector<Window> windows_of(const OpDef&, std::span<const Dim> x, std::span<const Dim> weight,
                               const Attrs&);

}  // namespace tl
