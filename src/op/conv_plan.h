// SPDX-License-Identifier: Apache-2.0
// A convolution as its kernels see it: always three spatial dimensions, and taps (places of the window) with
// their distance from the output's place. One phase of a transposed convolution is such a convolution too.
#pragma once
#include <array>

#include "op/conv.h"
#include "op/kernel.h"

namespace tl {

struct Tap {
  std::array<std::int64_t, 3> offset = {};  // input position minus output position times stride
  std::int64_t weight = 0;                  // which element of the kernel
};

struct ConvPlan {
  std::int64_t batch = 0, groups = 1;
  std::int64_t channels = 0, outs = 0;  // per group
  std::array<std::int64_t, 3> in = {1, 1, 1}, out = {1, 1, 1}, stride = {1, 1, 1};
  std::vector<Tap> taps = {};
  std::int64_t kernel_volume = 1;
  bool transposed = false;  // the weight is [in, out / groups, kernel], else [out, in / groups, kernel]
  std::array<std::int64_t, 3> first = {},
                              step = {1, 1, 1};  // where out lies in the whole output of a transposed one

  std::int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  std::int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  std::int64_t depth() const { return channels * static_cast<std::int64_t>(taps.size()); }
  bool depthwise() const { return channels == 1 && outs == 1; }
  // The element of the weight for input channel c and output channel o of group g.
  std::int64_t weight_at(std::int64_t g, std::int64_t o, std::int64_t c, const Tap& tap) const {
    std::int64_t row = transposed ? (g * channels + c) * outs + o : (g * outs + o) * channels + c;
    return row * kernel_volume + tap.weight;
  }
};

ConvPlan plan_conv(std::span<const Dim> x, std::span<const Dim> weight, std::span<const Window>,
                   std::int64_t groups);

// All that the order of packed weights depends on, for the form of op/packed.h.
std::string weight_form(std::string_view kernel, const ConvPlan&);
bool all_finite(const Tensor& halves);

// One plan per combination of output positions modulo the strides.
std::vector<ConvPlan> plan_conv_transpose(std::span<const Dim> x, std::span<const Dim> weight,
                                          std::span<const Window>, std::int64_t groups);

// A stretch of packed values: of a row of the input, or zeros where the window lies outside.
struct Piece {
  int at = 0, length = 0;
  std::int64_t from = -1;  // element of the channel's plane; -1: zeros
};

// The pieces of one tap for `count` outputs from the `first`th on; gives their number, at most 3 * count.
int find_pieces(const ConvPlan&, const Tap&, std::int64_t first, int count, Piece* pieces);

}  // namespace tl
