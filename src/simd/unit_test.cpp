// SPDX-License-Identifier: Apache-2.0
// The matrix units of this machine, and those of AMX with their instructions emulated.
#include "simd/unit_test.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE
#define TILE_CONFIG(config) static_cast<void>(config)
#define TILE_RELEASE() static_cast<void>(0)
#define TILE_ZERO(t) emulated[t] = {}
#define TILE_LOAD(t, from, stride) load(emulated[t], from, stride)
#define TILE_STORE(t, to, stride) store(emulated[t], to, stride)
#define TILE_PRODUCT(t, a, b) add_product(emulated[t], emulated[a], emulated[b])

namespace tl {
namespace {

struct Tile {
  std::byte lines[16][64] = {};
};
Tile emulated[8];

void load(Tile& tile, const std::byte* from, std::int64_t stride) {
  for (int r = 0; r < 16; ++r) std::memcpy(tile.lines[r], from + r * stride, 64);
}
void store(const Tile& tile, float* to, std::int64_t stride) {
  for (int r = 0; r < 16; ++r) std::memcpy(reinterpret_cast<std::byte*>(to) + r * stride, tile.lines[r], 64);
}
void add_product(Tile& sum, const Tile& a, const Tile& b) {
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      float total;
      std::memcpy(&total, sum.lines[m] + 4 * n, 4);
      for (int k = 0; k < 32; ++k) {
        BFloat x, y;
        std::memcpy(&x, a.lines[m] + 2 * k, 2);
        std::memcpy(&y, b.lines[k / 2] + 4 * n + k % 2 * 2, 2);
        total += to_float(x) * to_float(y);
      }
      std::memcpy(sum.lines[m] + 4 * n, &total, 4);
    }
}

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
