// SPDX-License-Identifier: Apache-2.0
// AVX512_BF16 over images in blocks of channels: pairs of a pixel, broadcast, times vectors of weights.
#include "simd/image_unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>
#include <utility>

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))

namespace tl {
namespace {

#include "simd/image.inc"

// R pixels times V vectors: at most 28 of 32 registers sum.
template <int R, int V> struct Sums { __m512 of[R][V]; };

template <int R, int V> TL_STEP void begin(const ImageProduct& p, Sums<R, V>& sum) {
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v)
      sum.of[r][v] = p.more ? _mm512_loadu_ps(p.c + (r * V + v) * step_lanes) : _mm512_setzero_ps();
}

template <int R, int V> TL_STEP void add_pair(const std::byte* a, const std::byte* b, Sums<R, V>& sum) {
  __m512i x[V];
#pragma GCC unroll 3
  for (int v = 0; v < V; ++v) x[v] = _mm512_loadu_si512(b + 64 * v);
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r) {
    __m512i y = _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(a + r * step_bytes));
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) sum.of[r][v] = _mm512_dpbf16_ps(sum.of[r][v], (__m512bh)y, (__m512bh)x[v]);
  }
}

template <int R, int V> TL_PAIR void multiply_pixels(const ImageProduct& p) {
  Sums<R, V> sum;
  begin(p, sum);
  const std::byte* b = p.b;
  std::int64_t left = p.period - p.first % p.period;
  for (std::int64_t s = 0; s < p.steps; ++s) {
    const std::byte* a = p.a[0] + p.offsets[s];
    int n = step_pairs;
    if (--left == 0) left = p.period, n = p.last;
    fetch_next(p, s);
    for (int k = 0; k < n; ++k, a += 4, b += 64 * V) add_pair(a, b, sum);
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(p.c + (r * V + v) * step_lanes, sum.of[r][v]);
}

using Multiply = void(const ImageProduct&);
template <int V, int... R>
constexpr std::array<Multiply*, sizeof...(R)> all(std::integer_sequence<int, R...>) {
  return {multiply_pixels<R + 1, V>...};
}
constexpr auto one = all<1>(std::make_integer_sequence<int, 14>());
constexpr auto two = all<2>(std::make_integer_sequence<int, 14>());
constexpr auto three = all<3>(std::make_integer_sequence<int, 9>());

void multiply(const ImageProduct& p) {
  auto i = static_cast<std::size_t>(p.rows - 1);
  (p.vectors == 1 ? one[i] : p.vectors == 2 ? two[i] : three[i])(p);
}

}  // namespace

extern const ImageUnit image_bf16;
const ImageUnit image_bf16{.name = "bf16",
                           .isa = Isa::avx512,
                           .parts = 1,
                           .tiles = 1,
                           .vectors = 3,
                           .most_rows = {0, 14, 14, 9},
                           .whole_steps = false,
                           .apart = false,
                           .pack = 5,
                           .product = step_pairs,
                           .weight = 1.0 / 16,
                           .pack_pixels = pack_pixels<1>,
                           .multiply = multiply};

}  // namespace tl
#endif
