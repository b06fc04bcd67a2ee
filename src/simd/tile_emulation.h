// SPDX-License-Identifier: Apache-2.0
// The instructions of AMX for tests on machines without them. Define TL_TILE as nothing beside these.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"

#define TILE_CONFIG(config) tl::tile_emulation::configure(config)
#define TILE_RELEASE() static_cast<void>(0)
#define TILE_ZERO(t) tl::tile_emulation::tiles[t] = {}
#define TILE_LOAD(t, from, stride) tl::tile_emulation::load(t, from, stride)
#define TILE_STORE(t, to, stride) tl::tile_emulation::store(t, to, stride)
#define TILE_PRODUCT(t, a, b) tl::tile_emulation::add_product(t, a, b)

namespace tl::tile_emulation {

struct Tile {
  std::byte lines[16][64] = {};
};
inline thread_local Tile tiles[8];
inline thread_local std::uint8_t rows[8] = {16, 16, 16, 16, 16, 16, 16, 16};

inline void configure(const void* config) {
  std::memcpy(rows, static_cast<const std::byte*>(config) + 48, 8);
}
inline void load(int t, const void* from, std::int64_t stride) {
  for (int r = 0; r < rows[t]; ++r)
    std::memcpy(tiles[t].lines[r], static_cast<const std::byte*>(from) + r * stride, 64);
}
inline void store(int t, void* to, std::int64_t stride) {
  for (int r = 0; r < rows[t]; ++r)
    std::memcpy(static_cast<std::byte*>(to) + r * stride, tiles[t].lines[r], 64);
}
inline void add_product(int t, int a, int b) {
  Tile& sum = tiles[t];
  for (int m = 0; m < rows[t]; ++m)
    for (int n = 0; n < 16; ++n) {
      float total;
      std::memcpy(&total, sum.lines[m] + 4 * n, 4);
      for (int k = 0; k < 32; ++k) {
        BFloat x, y;
        std::memcpy(&x, tiles[a].lines[m] + 2 * k, 2);
        std::memcpy(&y, tiles[b].lines[k / 2] + 4 * n + k % 2 * 2, 2);
        total += to_float(x) * to_float(y);
      }
      std::memcpy(sum.lines[m] + 4 * n, &total, 4);
    }
}

}  // namespace tl::tile_emulation
