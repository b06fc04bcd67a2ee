// SPDX-License-Identifier: Apache-2.0
// JPEG over libjpeg-turbo; found by image.h.
#pragma once
#include "base/reader.h"
#include "ir/tensor.h"

namespace tl::data {

inline constexpr std::uint64_t most_pixels = std::uint64_t{1} << 27;

Tensor parse_jpeg(Bytes content);

}  // namespace tl::data
