// SPDX-License-Identifier: Apache-2.0
// A model's interface and metadata: ModelDescription, as .mlmodel and coremldata.bin both hold it.
#pragma once
#include "ir/model_file.h"

namespace tl::coreml {

struct Description {
  std::vector<std::pair<std::string, Interface>> functions = {};  // "" for that of a model with one function
  std::string default_function = {};
  const Interface* of(std::string_view function) const;  // null if it says nothing of this one
};

// Fills in the metadata of `file`.
Description read_description(std::string_view message, ModelFile& file);

}  // namespace tl::coreml
