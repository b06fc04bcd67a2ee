// SPDX-License-Identifier: Apache-2.0
// How reductions run, whatever they compute: stages over adjacent axes, split among threads. What a row and
// columns fold to is a vector function of each instruction set (reduce.simd.cpp).
#pragma once
#include "op/axes.h"
#include "op/kernel.h"

namespace tl {

inline constexpr std::int64_t column_tile = 256;   // columns folded side by side
inline constexpr std::int64_t fold_grain = 32768;  // elements a thread, from which on threads help

// Accumulators are 4 bytes: float, or int32 of integers.
struct Fold {
  void (*row)(const void* x, std::int64_t n, void* total) = nullptr;
  // n <= column_tile columns of a matrix with `stride` elements a row; room for a whole tile at totals
  void (*columns)(const void* x, std::int64_t rows, std::int64_t stride, std::int64_t n,
                  void* totals) = nullptr;
  std::size_t bytes = 4;  // of an element
};

struct Reduction {
  Fold first = {};  // of the elements
  Fold join = {};   // of accumulators
  void (*end)(const void* totals, std::int64_t n, std::int64_t count,
              void* out) = nullptr;  // each of `count` elements
};

std::unique_ptr<Kernel> reduce_kernel(const KernelRequest&, const Reduction&);

}  // namespace tl
