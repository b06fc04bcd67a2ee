// SPDX-License-Identifier: Apache-2.0
// Matrix units over images in blocks against sums in float64: those of this machine, and AMX emulated.
#include "simd/image_unit.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>

#include "simd/tile_emulation.h"

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own headers (its bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define TL_PAIR __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,f16c,fma,avx2")))
#define TL_TILE TL_PAIR
#define TL_TILE_STEP TL_TILE __attribute__((always_inline)) inline

namespace tl {
namespace {

#include "simd/image.inc"

#include "simd/image_amx.inc"

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Case {
  int rows, vectors, tiles;
  std::int64_t taps, period;
  int channels;  // of the last step of a tap
};

std::vector<Half> random_halves(std::int64_t n, bool narrow, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Half> all(at(n));
  for (Half& h : all) {
    float x = uniform(random);
    h = to_half(narrow ? to_float(to_bfloat(x)) : x);
  }
  return all;
}

// Blocks of 16 channels of some pixels, packed as the unit has them: [step][pixel].
struct Pixels {
  Pixels(const ImageUnit& unit, const Case& c, std::int64_t pixels)
      : count(pixels), plain(random_halves(c.period * 2 * pixels * 16, unit.parts == 1, 1)) {
    part = c.period * pixels * step_bytes;
    packed.resize(at(part * 2 + 64));
    for (std::int64_t k = 0; k < c.period; ++k) {
      int channels = k + 1 == c.period ? c.channels : step_channels;
      PixelRun run{.first = plain.data() + 2 * k * pixels * 16, .channels = channels, .count = pixels};
      if (channels > 16) run.second = run.first + pixels * 16;
      unit.pack_pixels(run, packed.data() + k * pixels * step_bytes, part);
    }
  }
  float value(std::int64_t pixel, std::int64_t channel) const {
    return to_float(plain[at((channel / 16 * count + pixel) * 16 + channel % 16)]);
  }
  std::int64_t count, part = 0;
  std::vector<Half> plain;
  std::vector<std::byte> packed;
};

// The largest error of a sum, relative to the sum of the sizes of its terms; a tap is a pixel further.
double worst(const ImageUnit& unit, const Case& c) {
  std::int64_t n = c.rows * c.tiles, steps = c.taps * c.period, width = c.vectors * step_lanes;
  Pixels x(unit, c, n + c.taps + 16);
  std::vector<Half> w = random_halves(steps * step_channels * width, unit.parts == 1, 2);
  std::vector<std::uint16_t> weights;
  std::vector<std::int64_t> offsets;
  for (std::int64_t s = 0; s < steps; ++s) {
    offsets.push_back((s % c.period * x.count + s / c.period) * step_bytes);
    int channels = s % c.period + 1 == c.period ? c.channels : step_channels;
    int pairs = unit.whole_steps ? step_pairs : (channels + 1) / 2;
    for (int p = 0; p < pairs; ++p)
      for (int v = 0; v < c.vectors; ++v)
        for (int k = 0; k < 32; ++k) {
          int channel = unit.apart ? p + k / 16 * 16 : 2 * p + k % 2,
              out = v * 16 + (unit.apart ? k % 16 : k / 2);
          Half value = channel < channels ? w[at((s * step_channels + channel) * width + out)] : Half{};
          weights.push_back(unit.parts == 2 ? value.bits : to_bfloat(to_float(value)).bits);
        }
  }
  std::vector<std::byte> split(at(steps * c.vectors * ImageUnit::split_bytes));
  std::vector<float> sums(at(32 * width), NAN);
  ImageProduct p;
  for (int i = 0; i < 2; ++i) p.a[i] = x.packed.data() + (c.tiles == 2 ? i : 0) * c.rows * step_bytes;
  p.offsets = offsets.data(), p.low = x.part;
  p.b = reinterpret_cast<const std::byte*>(weights.data()), p.split = split.data();
  p.period = c.period;
  p.last = unit.whole_steps ? step_pairs : (c.channels + 1) / 2;
  p.tiles = c.tiles, p.rows = c.rows, p.vectors = c.vectors, p.c = sums.data();
  if (unit.enter) unit.enter(c.rows);
  // In two chunks, and again where they are split already.
  std::int64_t half = (steps + 1) / 2, bytes = (half / c.period * ((c.period - 1) * step_pairs + p.last) +
                                                half % c.period * step_pairs) *
                                               c.vectors * 64;
  p.steps = half;
  unit.multiply(p);
  p.fresh = false;
  unit.multiply(p);
  p.fresh = true;
  p.offsets += half, p.b += bytes, p.first = half, p.steps = steps - half, p.more = true;
  if (p.steps) unit.multiply(p);
  if (unit.leave) unit.leave();
  double most = 0;
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t o = 0; o < width; ++o) {
      double sum = 0, size = 1e-3;
      for (std::int64_t s = 0; s < steps; ++s) {
        int channels = s % c.period + 1 == c.period ? c.channels : step_channels;
        for (int k = 0; k < channels; ++k) {
          double y = double{x.value(r + s / c.period, s % c.period * step_channels + k)} *
                     to_float(w[at((s * step_channels + k) * width + o)]);
          sum += y, size += std::fabs(y);
        }
      }
      double error = std::fabs(sums[at(r * width + o)] - sum) / size;
      most = std::isnan(error) ? INFINITY : std::max(most, error);
    }
  return most;
}

void check(const ImageUnit& unit) {
  struct Depth {
    std::int64_t taps, period;
    int channels;
  };
  for (int tiles = 1; tiles <= unit.tiles; ++tiles)
    for (int vectors = 1; vectors <= unit.vectors; ++vectors)
      for (int rows : {1, 2, 7, unit.most_rows[vectors]})
        for (Depth d : {Depth{1, 1, 20}, {3, 2, 32}, {9, 3, 5}}) {
          INFO(unit.name, " ", tiles, " x ", rows, " x ", vectors, ", ", d.taps, " x ", d.period, " ",
               d.channels);
          CHECK(worst(unit, {rows, vectors, tiles, d.taps, d.period, d.channels}) <
                (unit.parts == 2 ? 0x1p-15 : 2e-6));
        }
}

}  // namespace

TEST_CASE("units over images sum what they are given") {
  for (bool bf16 : {false, true})
    if (const ImageUnit* unit = image_unit(best_isa(), bf16)) check(*unit);
}

TEST_CASE("units of tiles over images sum what they are given, emulated") {
  if (!has_avx512_bf16()) return;
  check(image_tiles<1>("amx_bf16, emulated"));
  check(image_tiles<2>("amx, emulated"));
}

}  // namespace tl
#endif
