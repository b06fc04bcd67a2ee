// SPDX-License-Identifier: Apache-2.0
// AVX512_BF16: vdpbf16ps adds the products of two pairs to each of 16 sums. Twice the rate of fp32.
#include "simd/unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>
#include <utility>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))

namespace tl {
namespace {

#include "simd/pair.inc"

constexpr int most_rows = 14, columns = 32;  // 28 of 32 registers sum

// A: [group][row]
std::size_t a_bytes(int rows, std::int64_t groups) { return static_cast<std::size_t>(rows * groups) * 4; }

TL_PAIR void pack_rows(const Lines& lines, std::int64_t groups, std::byte* to, std::int64_t) {
  if (lines.half)
    pack_turned_pairs<1>(reinterpret_cast<const Half* const*>(lines.starts), lines.count, lines.length,
                         groups, lines.count, to, 4 * lines.count, 0);
  else
    pack_turned_pairs<1>(reinterpret_cast<const float* const*>(lines.starts), lines.count, lines.length,
                         groups, lines.count, to, 4 * lines.count, 0);
}

TL_INLINE __m512i one_pair(const std::byte* p) {
  return _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(p));
}

template <int R, int V> TL_PAIR void multiply_rows(const TileProduct& p) {
  __m512 sum[R][V];
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_setzero_ps();
  const std::byte* a = p.a;
  for (std::int64_t s = 0; s < p.segments; ++s) {
    const std::byte* b = p.b + p.offsets[s];
    for (std::int64_t g = 0; g < p.groups; ++g, a += 4 * R, b += p.step) {
      _mm_prefetch(reinterpret_cast<const char*>(a + 2048), _MM_HINT_T0);  // weights come from memory once
      __m512i x[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) x[v] = _mm512_loadu_si512(b + 64 * v);
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) {
        __m512i y = one_pair(a + 4 * r);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)y, (__m512bh)x[v]);
      }
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(p.c + r * columns + 16 * v, sum[r][v]);
}

using Multiply = void(const TileProduct&);
template <int V, int... R> constexpr std::array<Multiply*, most_rows> all(std::integer_sequence<int, R...>) {
  return {multiply_rows<R + 1, V>...};
}
constexpr auto narrow = all<1>(std::make_integer_sequence<int, most_rows>());
constexpr auto broad = all<2>(std::make_integer_sequence<int, most_rows>());

void multiply(const TileProduct& p) {
  (p.columns > 16 ? broad : narrow)[static_cast<std::size_t>(p.rows - 1)](p);
}

}  // namespace

extern const MatrixUnit unit_bf16;
const MatrixUnit unit_bf16{.name = "bf16",
                           .isa = Isa::avx512,
                           .rows = most_rows,
                           .columns = columns,
                           .terms = 2,
                           .round = 1,
                           .cycles = 1,
                           .parts = 1,
                           .a_bytes = a_bytes,
                           .pack_rows = pack_rows,
                           .pack_columns = pack_pair_columns<1>,
                           .pack_group = pack_pair_group<1>,
                           .multiply = multiply};

}  // namespace tl
#endif
