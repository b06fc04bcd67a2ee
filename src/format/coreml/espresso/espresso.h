// SPDX-License-Identifier: Apache-2.0
// Espresso, what neural networks were compiled to (coreml.md 8.5): a net as JSON, shapes, weights. It is put
// back into the message of a NeuralNetwork, so that its layers are lowered as those of one.
#pragma once
#include "base/reader.h"
#include "ir/model_file.h"

namespace tl::coreml {

struct EspressoFiles {
  Bytes net = {}, shape = {}, weights = {};
  std::string_view trailer = {};  // of coremldata.bin: labels of a classifier
};

// Fills in graph or why_not of `function`, whose interface is set. type: as in Model's type.
void lower_espresso(const EspressoFiles&, std::uint32_t type, Function& function);

}  // namespace tl::coreml
