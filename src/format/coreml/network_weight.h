// SPDX-License-Identifier: Apache-2.0
// The weights of a neural network as they stand in its layers: what `tl show` counts. Running networks is
// elsewhere.
#pragma once
#include <string_view>

#include "ir/model_file.h"

namespace tl::coreml {

// Appends those of one layer: `content` is the layer's own message, `type` its field number (coreml.md 6.7).
void list_weights(std::string_view layer_name, std::uint32_t type, std::string_view content,
                  std::vector<NamedTensor>& to);

}  // namespace tl::coreml
