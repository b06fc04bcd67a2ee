// SPDX-License-Identifier: Apache-2.0
// Where the windows of convolutions and poolings lie, one spatial dimension at a time: the rules of padding
// and of output lengths that inference, references and kernels share.
#pragma once
#include <span>
#include <vector>

#include "ir/attr.h"

namespace tl {

// Output position o covers input positions o * stride - before + k * dilation for k in [0, kernel); those
// outside [0, in) are padding. Of a transposed convolution the roles change: input position i adds to output
// positions i * stride - before + k * dilation, those outside [0, out) are cropped, and before and after may
// be negative.
struct Window {
  Dim in = unknown;
  Dim out = unknown;  // unknown where in or kernel leave it open
  Dim kernel = 1;
  std::int64_t stride = 1, dilation = 1;
  std::int64_t before = 0, after = 0;  // right once in and kernel are known
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

// One Window per spatial dimension, from the attributes strides, dilations, pad_type, pad and ceil_mode, as
// far as the operation has them. Throws Error for lengths and values that make no sense, and where no window
// fits.
std::vector<Window> windows(std::span<const Dim> in, std::span<const Dim> kernel, const Attrs&);

// The same for conv_transpose; `output_shape` (the whole shape, batch and channels first) wins where it is
// given.
std::vector<Window> transposed_windows(std::span<const Dim> in, std::span<const Dim> kernel, const Attrs&);

}  // namespace tl
