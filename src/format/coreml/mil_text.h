// SPDX-License-Identifier: Apache-2.0
// A MIL program out of the text of a compiled model: model.mil, in both of its dialects.
#pragma once
#include "format/coreml/mil_ast.h"

namespace tl::coreml {

// The result looks into `text`. Throws Error that begins with the line.
MilProgram parse_mil(std::string_view text);

}  // namespace tl::coreml
