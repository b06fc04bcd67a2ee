// SPDX-License-Identifier: Apache-2.0
// A MIL program out of the protobuf of an .mlpackage or .mlmodel.
#pragma once
#include "format/coreml/mil_ast.h"

namespace tl::coreml {

// message: the bytes of MILSpec.Program, which the result looks into.
MilProgram read_program(std::string_view message);

}  // namespace tl::coreml
