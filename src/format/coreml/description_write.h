// SPDX-License-Identifier: Apache-2.0
// Interfaces and metadata as a ModelDescription.
#pragma once
#include "ir/model_file.h"

namespace tl::coreml {

std::string description_message(const ModelFile&);

}  // namespace tl::coreml
