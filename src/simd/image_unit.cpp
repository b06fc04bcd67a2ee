// SPDX-License-Identifier: Apache-2.0
// Which matrix unit a kernel over images in blocks takes.
#include "simd/image_unit.h"

namespace tl {

#if defined(__x86_64__)
extern const ImageUnit image_bf16, image_amx, image_amx_bf16;

const ImageUnit* image_unit(Isa isa, bool bf16) {
  if (isa >= Isa::amx) return bf16 ? &image_amx_bf16 : &image_amx;
  if (bf16 && isa >= Isa::avx512 && has_avx512_bf16()) return &image_bf16;
  return nullptr;
}
#else
const ImageUnit* image_unit(Isa, bool) { return nullptr; }
#endif

}  // namespace tl
