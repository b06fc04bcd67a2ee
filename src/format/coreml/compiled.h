// SPDX-License-Identifier: Apache-2.0
// A compiled model, the folder .mlmodelc.
#pragma once
#include "ir/model_file.h"

namespace tl::coreml {

bool looks_compiled(const std::string& path);
ModelFile read_compiled(const std::string& path, int depth = 0);

}  // namespace tl::coreml
