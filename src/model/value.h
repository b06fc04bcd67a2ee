// SPDX-License-Identifier: Apache-2.0
// What a model takes and gives by name: the values of features.
#pragma once
#include "ir/model_file.h"

namespace tl {

struct Image {
  Tensor pixels = {};  // uint8 [height, width] gray, or [height, width, 3] RGB
  std::int64_t height() const { return pixels.shape()[0]; }
  std::int64_t width() const { return pixels.shape()[1]; }
};

// A sequence is a tensor of rank 1 of strings or int64.
using FeatureValue = std::variant<Tensor, Image, std::int64_t, double, std::string, Dictionary>;
using Features = std::vector<std::pair<std::string, FeatureValue>>;

const FeatureValue* find(const Features&, std::string_view name);  // null if there is none

// Called with one line for the user: an image was resized, a value converted.
using Notice = std::function<void(const std::string&)>;

}  // namespace tl
