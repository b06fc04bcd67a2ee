// SPDX-License-Identifier: Apache-2.0
// Fuzzes the decoders of PNG and JPEG.
#include "base/error.h"
#include "format/data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t largest =
      4096;  // longer ones only decode for longer: a byte may stand for a thousand pixels
  if (size > largest) return 0;
  try {
    tl::Tensor pixels = tl::data::parse_image(std::as_bytes(std::span(data, size)));
    TL_ASSERT(pixels.rank() == 2 || (pixels.rank() == 3 && pixels.shape()[2] == 3));
  } catch (const tl::Error&) {}
  return 0;
}
