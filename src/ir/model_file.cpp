// SPDX-License-Identifier: Apache-2.0
// Names of the kinds of features.
#include "ir/model_file.h"

namespace tl {

std::string_view name_of(FeatureKind kind) {
  constexpr std::string_view names[] = {"tensor", "image",      "int64",    "double",
                                        "string", "dictionary", "sequence", "state"};
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace tl
