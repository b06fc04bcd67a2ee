// SPDX-License-Identifier: Apache-2.0
// Pixels to the planes that networks take, and back; resizing.
#pragma once
#include "model/value.h"

namespace tl {

Image resized(const Image&, std::int64_t height,
              std::int64_t width);  // bilinear, half-pixel centres, antialiased when shrinking
Image to_gray(const Image&);        // Rec. 601
Image to_rgb(const Image&);
Tensor planes(const Image&, bool bgr);             // float32 [1, 3 or 1, height, width], 0…255
Image image_from_planes(const Tensor&, bool bgr);  // clamped to 0…255, rounded half to even

// An array as an image: uint8 or numbers in 0…255, [H, W], [H, W, 1|3|4], [1|3, H, W] or [1, 1|3, H, W].
Image image_of(const Tensor&, const Feature&);

// Of the allowed sizes [height, width] the one that changes the given one least.
Shape nearest_size(const Shape& given, std::span<const Shape> allowed);

}  // namespace tl
