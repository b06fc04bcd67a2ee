// SPDX-License-Identifier: Apache-2.0
// How a convolution is cut for a matrix unit, and where the input of a task lies while it is multiplied: in
// the unit's own format, so placed that for each tap the columns of a tile are read at one place, whatever
// the strides and the padding. Each task stages what it needs itself: nothing travels between cores.
#pragma once
#include "op/conv_plan.h"
#include "simd/unit.h"

namespace tl {

struct Stretch {  // of the columns of a panel: outputs that lie together
  int at = 0, length = 0;
  std::int64_t out = 0;  // from the first output of the block on
};
using Panels = std::vector<std::vector<Stretch>>;

// Two ways. Panels, for a window of one element: each panel of columns has its groups of channels after one
// another. Planes, for larger ones: each group of channels has some rows of the padded plane, cut into one
// for each remainder of the positions by the strides; columns run over the padding between rows, and what is
// summed there is not stored.
struct ConvStage {
  bool planes = false;
  std::int64_t groups = 0;                                  // groups of channels
  std::int64_t more_rows = 0, more_columns = 0, pitch = 0;  // of a plane, beyond one for each output
  std::array<std::int64_t, 2> first = {0, 0};               // the least shift of a tap, in rows and columns
  std::vector<std::array<std::int64_t, 2>> phases = {};     // remainders by the strides

  // A task: `block` rows of outputs (or panels of columns) times `part` tiles of output channels.
  std::int64_t lines = 0, block = 0, blocks = 0;
  std::int64_t tiles = 0, part = 0, parts = 0;
  bool tiles_first = false;  // each tile of weights meets all panels before the next one

  std::int64_t step = 0, panel_step = 0, plane = 0;  // bytes between groups, between panels, of a phase
  std::int64_t bytes = 0;                            // of one part of the unit's
  std::vector<std::int64_t> offsets = {};            // per tap, bytes
  Panels panels = {}, last_panels = {};              // of each block, of the last one

  std::int64_t first_out(std::int64_t outs, std::int64_t tile) const { return outs * tile / tiles; }
};

// Two dimensions at most; nothing otherwise.
std::optional<ConvStage> plan_stage(const ConvPlan&, const MatrixUnit&, int slots);

}  // namespace tl
