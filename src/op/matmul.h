// SPDX-License-Identifier: Apache-2.0
// What the definitions of sums of products share with their kernels.
#pragma once
#include "ir/op_def.h"
#include "op/einsum.h"

namespace tl {

// matmul, linear (of x and weight) or einsum as an equation, for inputs of these ranks.
Equation equation_of(const OpDef&, const Attrs&, std::span<const std::size_t> ranks);

// Per label the step in elements of a row-major operand; 0 where it broadcasts or lacks the label.
Shape label_strides(const Equation&, const Labels&, std::span<const Dim> shape);

}  // namespace tl
