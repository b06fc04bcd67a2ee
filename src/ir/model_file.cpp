// SPDX-License-Identifier: Apache-2.0
// Names of the kinds of features, the five dimensions of older networks.
#include "ir/model_file.h"

namespace tl {

std::string_view name_of(FeatureKind kind) {
  constexpr std::string_view names[] = {"tensor", "image",      "int64",    "double",
                                        "string", "dictionary", "sequence", "state"};
  return names[static_cast<std::size_t>(kind)];
}

Shape five_dims(const Shape& shape) {
  switch (shape.size()) {
    case 0: return {1, 1, 1, 1, 1};
    case 1: return {1, 1, shape[0], 1, 1};
    case 2: return {shape[0], 1, shape[1], 1, 1};
    case 3: return {1, 1, shape[0], shape[1], shape[2]};
    case 4: return {1, shape[0], shape[1], shape[2], shape[3]};
    default: return shape;
  }
}

}  // namespace tl
