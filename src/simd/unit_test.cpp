// SPDX-License-Identifier: Apache-2.0
// The matrix units of this machine, and those of AMX with their instructions emulated.
#include "simd/unit_test.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "simd/tile_emulation.h"

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE
namespace tl {
namespace {

#include "simd/pair.inc"

#include "simd/amx.inc"

}  // namespace

TEST_CASE("units of tiles sum what they are given, emulated") {
  if (!has_avx512_bf16()) return;
  unit_test::check(tile_unit<1>("amx_bf16, emulated"));
  unit_test::check(tile_unit<2>("amx, emulated"));
}

}  // namespace tl
#endif

namespace tl {

TEST_CASE("matrix units sum what they are given") {
  for (const MatrixUnit* unit : matrix_units()) unit_test::check(*unit);
}

}  // namespace tl
