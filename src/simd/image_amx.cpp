// SPDX-License-Identifier: Apache-2.0
// AMX over images in blocks of channels, with bf16 operands and with halves in two parts.
#include "simd/image_unit.h"

#if defined(__x86_64__)
#include "simd/tile_instruction.inc"
#define TL_TILE \
  __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE_STEP TL_TILE __attribute__((always_inline)) inline

namespace tl {
namespace {

#include "simd/image.inc"

#include "simd/image_amx.inc"

}  // namespace

extern const ImageUnit image_amx, image_amx_bf16;
const ImageUnit image_amx = image_tiles<2>("amx"), image_amx_bf16 = image_tiles<1>("amx_bf16");

}  // namespace tl
#endif
