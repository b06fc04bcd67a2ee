// SPDX-License-Identifier: Apache-2.0
// What a path holds, found by content and never by name; what tl does not read is refused with what to do
// instead.
#pragma once
#include <string>

namespace tl {

enum class Format { coreml_package, coreml_compiled, coreml_model, gguf, safetensors, safetensors_index };

// Throws an Error that names the path.
Format detect_format(const std::string& path);

}  // namespace tl
