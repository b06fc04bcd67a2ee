// SPDX-License-Identifier: Apache-2.0
// From an operation of MIL to a node: which definition it is, its inputs in order, its attributes out of
// constants.
#pragma once
#include "format/coreml/mil_ast.h"
#include "ir/mil.h"

namespace tl::coreml {

// The definition whose MIL name this is; null if there is none.
const OpDef* op_of_mil(std::string_view type);

// The number of an opset: "CoreML7" and "ios17" are 7. Throws Error for one that is newer than tl.
int opset_number(std::string_view opset);

// Upgrades the operation, then adds its node to its place. What is declared of the outputs is checked and
// kept where it says more than inference. Gives the node's outputs, as many as are declared.
std::vector<ValueId> add_mil_node(MilNode&, std::vector<Block> blocks);

// A list or tuple of scalars as attribute: words if any part is a string, else integers or numbers.
AttrValue attr_of_parts(const std::vector<MilValue>& parts);

}  // namespace tl::coreml
