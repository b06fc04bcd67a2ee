// SPDX-License-Identifier: Apache-2.0
// The edge of a model: feature values to the tensors of its graph, and back.
#pragma once
#include "model/value.h"

namespace tl {

// The value as the graph's input of this type. Checks shape and type against the declaration (a number or a
// shape that lacks leading ones is accepted where only one reading is possible); images are stretched to the
// size the model takes. Throws Error that says what the model takes.
Tensor to_input(const Feature&, const FeatureValue&, const Type& graph_type, const Notice&);

// What stands in for an optional input that is not given: its default value, or zeros.
Tensor default_input(const Feature&, const Type& graph_type);

// A result as the declared feature: converted to its element type, pixels for images, dictionaries as they
// are.
FeatureValue to_output(const Feature&, const RunValue&);

// "fp16 array [1, 3, 224, 224]", "image 224 × 224 RGB": for messages and `tl show`.
std::string describe(const Feature&);

}  // namespace tl
