// SPDX-License-Identifier: Apache-2.0
// The entry of the Core ML reader: a package, a bare model or a compiled folder as a ModelFile.
#pragma once
#include "base/reader.h"
#include "ir/model_file.h"

namespace tl {

// Throws an Error that begins with the path.
ModelFile read_coreml(const std::string& path);

namespace coreml {

// A serialized Model; model_folder is what `@model_path` stands for, empty if there is none. file: the mapped
// file that the bytes are in, if they are in one.
ModelFile read_model(Bytes, const std::string& model_folder, const StoragePtr& file = nullptr);

}  // namespace coreml
}  // namespace tl
