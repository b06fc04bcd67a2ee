// SPDX-License-Identifier: Apache-2.0
// Where the samples of a resized axis lie: shared by the references and the kernels.
#pragma once
#include "ir/op_def.h"

namespace tl {

inline constexpr std::string_view sampling_modes =
    "STRICT_ALIGN_CORNERS ALIGN_CORNERS DEFAULT OFFSET_CORNERS UNALIGN_CORNERS";

// One output sample along an axis: (1 - part) * x[low] + part * x[high]; part 0 is x[low] itself.
struct ResizeTap {
  std::int64_t low = 0, high = 0;
  double part = 0;
};

// The sample at `position`, clamped to the axis.
ResizeTap tap_at(double position, std::int64_t length);

// Positions along an axis of `in` elements for `out` samples, by Core ML's sampling modes; not clamped.
double grid_position(std::string_view sampling_mode, std::int64_t i, std::int64_t in, std::int64_t out);

// The taps of the last axes of x that a resizing operation changes: one list an axis, as many as are resized.
using Taps = std::vector<ResizeTap>;
std::vector<Taps> resize_taps(const OpDef&, const Attrs&, std::span<const Dim> in, std::span<const Dim> out);

}  // namespace tl
