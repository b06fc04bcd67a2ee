// SPDX-License-Identifier: Apache-2.0
// From a MIL program, of whichever spelling, to the graphs of a model file.
#pragma once
#include "format/coreml/blob.h"
#include "format/coreml/description.h"
#include "format/coreml/mil_ast.h"

namespace tl::coreml {

// Adds functions and weights to `file`. A function that uses what is not supported has the sentence in
// `why_not` instead of a graph, and its operations are counted in `file.layers`.
void lower_program(const MilProgram&, const Description&, WeightFiles&, ModelFile& file);

}  // namespace tl::coreml
