// SPDX-License-Identifier: Apache-2.0
// AMX over images in blocks of channels, with bf16 operands and with halves in two parts.
#include "simd/image_unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE \
  __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE_STEP TL_TILE __attribute__((always_inline)) inline
#define TILE_CONFIG _tile_loadconfig
#define TILE_RELEASE _tile_release
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define TILE_PRODUCT(t, a, b) _tile_dpbf16ps(t, a, b)

namespace tl {
namespace {

#include "simd/image.inc"

#include "simd/image_amx.inc"

}  // namespace

extern const ImageUnit image_amx, image_amx_bf16;
const ImageUnit image_amx = image_tiles<2>("amx"), image_amx_bf16 = image_tiles<1>("amx_bf16");

}  // namespace tl
#endif
