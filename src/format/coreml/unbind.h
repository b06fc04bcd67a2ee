// SPDX-License-Identifier: Apache-2.0
// From a node to an operation of MIL, by its definition alone: the way back of bind.h.
#pragma once
#include "ir/mil.h"

namespace tl::coreml {

// The node as files of an opset have it. Its `lowest` and `highest` say which opsets have it at all.
MilWrite mil_write(const Graph&, const Node&, int opset);

// Opsets that know a type of values at all: states, small integers.
int oldest_opset(const Type&);

}  // namespace tl::coreml
