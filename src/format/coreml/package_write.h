// SPDX-License-Identifier: Apache-2.0
// The entry of the Core ML writer: a ModelFile whose functions have graphs, as an .mlpackage.
#pragma once
#include "ir/model_file.h"

namespace tl {

// Written beside `path` and then renamed: path is the old package or the whole new one. What stands there and
// is no package is left alone, with an Error.
void write_package(const ModelFile&, const std::string& path);

}  // namespace tl
