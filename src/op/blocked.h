// SPDX-License-Identifier: Apache-2.0
// Images whose channels lie in blocks of 16: [N, C, H, W] as [N, ceil(C / 16), H, W, 16], a type of its own,
// so that all that works element by element needs no other kernel. What lies beyond C in the last block is
// undefined. Operations over such images are the planner's (plan/blocked.cpp): no file and no script has
// them.
#pragma once
#include "op/conv_plan.h"
#include "op/pool.h"

namespace tl {

inline constexpr std::int64_t channel_block = 16;

inline std::int64_t blocks_of(std::int64_t channels) {
  return (channels + channel_block - 1) / channel_block;
}
Shape blocked_shape(std::span<const Dim> plain);                         // of [N, C, H, W]
Shape plain_shape(std::span<const Dim> blocked, std::int64_t channels);  // and back
Tensor block_channels(const Tensor&);                                    // of a constant [N, C, H, W], fp16
ConvPlan plan_blocked_conv(const KernelRequest&, std::int64_t groups);   // of conv_blocked

bool is_over_planes(const Attrs&);  // of a reduction of a blocked image: its axes are height and width

// The operation over blocked images that does what `op` does over plain ones; null if there is none.
const OpDef* blocked_form(const OpDef& op);

namespace ops {
extern const OpDef to_blocks;         // [N, C, H, W] -> blocked
extern const OpDef from_blocks;       // and back; attribute channels
extern const OpDef conv_blocked;      // x blocked, or plain; and each channel of x times `scale`, blocked
extern const OpDef max_pool_blocked;  // as the poolings of plain images
extern const OpDef avg_pool_blocked;
}  // namespace ops

}  // namespace tl
