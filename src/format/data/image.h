// SPDX-License-Identifier: Apache-2.0
// PNG and JPEG files, found by content. Read as uint8 [height, width] gray or [height, width, 3] RGB:
// palettes are resolved, alpha is dropped, 16 bits become 8. EXIF orientation is ignored.
#pragma once
#include "base/reader.h"
#include "ir/tensor.h"

namespace tl::data {

Tensor parse_image(Bytes content);
Tensor read_image(const std::string& path);

std::vector<std::byte> format_png(const Tensor& pixels);
void write_png(const std::string& path, const Tensor& pixels);

}  // namespace tl::data
