// SPDX-License-Identifier: Apache-2.0
// Matrix units over images in blocks of channels (op/blocked.h): how pixels are packed, once for all taps,
// and the product of some of them with a panel of weights. Vectors are of output channels.
//
// A step of a sum is 32 channels of a tap: 64 bytes of a packed pixel, 16 pairs of bf16. Pixels that follow
// one another in a row follow one another in memory, so that a tap is a distance. With two parts a value is
// high + low, and the product is high * high + low * high + high * low; weights are halves then, and are
// split as they are first used.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/half.h"
#include "simd/isa.h"

namespace tl {

inline constexpr int step_pairs = 16, step_channels = 32, step_lanes = 16;
inline constexpr std::int64_t step_bytes = 64;  // of a packed pixel, one part

struct PixelRun {  // pixels of up to 32 channels, to be packed
  const Half* first = nullptr;
  const Half* second = nullptr;        // the next 16 channels; null: there are none
  int channels = step_channels;        // which count, the others become zero
  std::int64_t step = 16, count = 0;   // halves between pixels
  const Half* scale = nullptr;         // of each channel, or null
  const Half* scale_second = nullptr;  // where `second` is there
};

// c[tile][row][vectors of 16] = the sum over steps, or adds it.
struct ImageProduct {
  const std::byte* a[2] = {};             // the first packed pixel of one or two tiles
  const std::int64_t* offsets = nullptr;  // per step, bytes from there
  std::int64_t low = 0;                   // bytes from high parts to low ones
  const std::byte* b = nullptr;           // weights of the first step: [step][pair][vector][16 pairs]
  std::byte* split = nullptr;         // with two parts: room for the parts of weights, split_bytes() a step
  bool fresh = true, more = false;    // the weights are not split yet; c has a part of the sum
  std::int64_t first = 0, steps = 0;  // of the whole sum
  std::int64_t period = 1;            // of each so many steps
  int last = step_pairs;              // the last one has but so many pairs
  int tiles = 1, rows = 0, vectors = 0;  // rows of a tile
  const std::byte* next = nullptr;       // what is read later: fetched while this is multiplied,
  std::int64_t next_bytes = 0;           // so much in each step
  float* c = nullptr;
};

// Into the second cache; beyond the last weights nothing is read.
inline void fetch_next(const ImageProduct& p, std::int64_t step) {
  const std::byte* from = p.next + step * p.next_bytes;
  for (std::int64_t i = 0; i < p.next_bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

struct ImageUnit {
  std::string_view name;
  Isa isa;
  int parts;
  int tiles, vectors;  // most at once
  int most_rows[4];    // of a tile, by vectors
  bool whole_steps;    // weights have 16 pairs in each step, else only those that count
  bool apart;          // a pair is of channels 16 apart, else of neighbours
  double pack, product,
      weight;  // cycles: a packed pixel of a step, a row of a vector of a step, a byte of weights

  void (*pack_pixels)(const PixelRun&, std::byte* to, std::int64_t low);
  void (*multiply)(const ImageProduct&);
  // Around all products of a task whose tiles have so many rows, on its thread; null: nothing to do.
  void (*enter)(int rows) = nullptr;
  void (*leave)() = nullptr;

  // Weights: bytes of a pair of a vector, and of a step split in two.
  static constexpr std::int64_t pair_bytes = 64, split_bytes = 2048;
};

// Null: there is none, vectors of fp32 are best.
const ImageUnit* image_unit(Isa, bool bf16);

}  // namespace tl
