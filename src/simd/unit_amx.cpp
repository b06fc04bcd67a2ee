// SPDX-License-Identifier: Apache-2.0
// AMX: products of whole tiles, sixteen times the rate of fp32 vectors with bf16 operands, five times with
// halves in two parts.
#include "simd/unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE __attribute__((target("amx-tile,amx-bf16")))
#define TILE_CONFIG _tile_loadconfig
#define TILE_RELEASE _tile_release
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define TILE_PRODUCT(t, a, b) _tile_dpbf16ps(t, a, b)

namespace tl {
namespace {

#include "simd/pair.inc"

#include "simd/amx.inc"

}  // namespace

extern const MatrixUnit unit_amx, unit_amx_bf16;
const MatrixUnit unit_amx = tile_unit<2>("amx"), unit_amx_bf16 = tile_unit<1>("amx_bf16");

}  // namespace tl
#endif
