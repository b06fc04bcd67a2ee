// SPDX-License-Identifier: Apache-2.0
// coremldata.bin of a compiled model: what the model is, its interface, or all of it.
#pragma once
#include <string>
#include <vector>

#include "base/reader.h"

namespace tl::coreml {

struct CompiledData {
  std::uint32_t type = 0;             // field number of Model's type
  std::uint32_t version = 0;          // of the specification
  std::string_view model = {};        // the whole Model, if it is embedded
  std::string_view description = {};  // else its description
  std::string_view trailer = {};      // and what follows that, which depends on the type
};

CompiledData read_coremldata(Bytes);
std::vector<std::string> read_model_names(Bytes);  // modelNames/coremldata.bin

}  // namespace tl::coreml
