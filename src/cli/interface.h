// SPDX-License-Identifier: Apache-2.0
// The interface of a model as text.
#pragma once
#include "ir/model_file.h"

namespace tl::cli {

std::string quoted_for_shell(std::string_view word);  // as it stands where nothing needs quoting

// Aligned lines "  name  what it takes  description", under "Inputs", "Outputs", "States".
std::string interface_text(const Interface&);

// "tl predict model.mlpackage --input image=image.png"
std::string ready_command(const std::string& path, const Interface&, std::string_view function);

}  // namespace tl::cli
