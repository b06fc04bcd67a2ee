// SPDX-License-Identifier: Apache-2.0
// A checked name for every operation: `node.op == &ops::softmax`.
#pragma once
#include "ir/op_def.h"

namespace tl::ops {
#define OP(name, ...) extern const OpDef name;
#define TL_UNARY OP
#define TL_BINARY OP
#define TL_TERNARY OP
#include "op/elementwise.def"
#include "op/ops.def"
#undef OP
}  // namespace tl::ops
