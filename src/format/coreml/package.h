// SPDX-License-Identifier: Apache-2.0
// The folder of an .mlpackage: its manifest leads to the model.
#pragma once
#include <string>

#include "base/reader.h"

namespace tl::coreml {

// The path of the root model's file.
std::string root_model(const std::string& package);

// The item that is the model, below Data/: "com.apple.CoreML/model.mlmodel". manifest: the bytes of
// Manifest.json.
std::string root_item(Bytes manifest);

}  // namespace tl::coreml
