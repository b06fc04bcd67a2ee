// SPDX-License-Identifier: Apache-2.0
// Inverted residuals over images in blocks of channels: a convolution 1x1, a depthwise one and again one 1x1
// as one operation, so that the many channels between them never leave a cache. And how its kernels cut it.
// The planner makes such nodes (plan/inverted.cpp).
#pragma once
#include "op/blocked.h"
#include "op/fuse.h"

namespace tl {

struct Between {  // what follows an inner convolution
  Clip clip = {};
  bool silu = false;
};

// A task: a band of rows of outputs and a part of the hidden channels. It goes in steps of rows; within one,
// panels of hidden channels are expanded into rows that are padded, and summed up from there to what the last
// product reads.
struct InvertedPlan {
  static constexpr std::size_t most_taps = 49;
  ConvPlan window;                      // the depthwise convolution
  std::int64_t channels = 0, outs = 0;  // outs 0: there is no last product, but the mean of each channel
  bool expands = true;                  // false: x itself is what is hidden elsewhere
  std::array<Between, 2> between = {};

  std::int64_t top = 0, left = 0, halo = 1;  // the least offsets; rows of the input that one of outputs needs
  std::int64_t pitch = 0;                    // pixels of a padded row
  std::int64_t columns = 1;                  // of the window, where they are summed up together
  std::int64_t bands = 1, parts = 1, step = 1;
  std::int64_t few = 1;     // rows of outputs of a step that a panel is expanded for at a time
  std::int64_t rows = 0;    // padded rows that are kept
  bool ring = false;        // they are kept from step to step, of all blocks of the part
  std::int64_t kept = 0;    // blocks that have such rows
  std::int64_t chunk = 0;   // blocks that are summed up before the last product
  std::int64_t pixels = 0;  // of x, in a step
  bool whole = false;       // sums of the last product are kept of all pixels of a step

  std::int64_t batch() const { return window.batch; }
  std::int64_t hidden() const { return window.groups; }
  std::int64_t blocks() const { return blocks_of(window.groups); }
  std::int64_t first_row(std::int64_t band) const { return window.out[1] * band / bands; }
  std::int64_t first_block(std::int64_t part) const { return blocks() * part / parts; }
  std::int64_t step_pixels() const { return step * window.out[2]; }
};

// Nothing where it does not fit, or where a cache would not hold it.
std::optional<InvertedPlan> plan_inverted(const KernelRequest&, int slots, std::int64_t panel_blocks);

namespace ops {
extern const OpDef inverted_residual;  // image, blocked -> blocked
extern const OpDef expand_depthwise;   // its first two thirds, and the mean of each channel
}  // namespace ops

}  // namespace tl
