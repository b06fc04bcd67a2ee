// SPDX-License-Identifier: Apache-2.0
// The JSON of SafeTensors, read as the format wants it: no name twice, nothing nested deep.
#pragma once
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace tl::safetensors {

struct Header {
  nlohmann::json root = {};
  std::vector<std::string> names = {};  // the keys of the outermost object, as they stand there
};

// Throws Error; `what` is what its sentence begins with: "its header".
Header parse_header(std::string_view source, std::string_view what);

}  // namespace tl::safetensors
