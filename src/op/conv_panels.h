// SPDX-License-Identifier: Apache-2.0
// The weights of a convolution as its kernels read compressed ones: codes in the order of packed panels, so
// that a panel is decoded (op/conv_decode.inc) right before it is multiplied. Made once, with the plan.
#pragma once
#include <cmath>

#include "op/conv_plan.h"
#include "op/matmul_compressed.h"

namespace tl {

struct CodePanel {           // of one group
  std::int64_t first = 0;    // output channel
  std::int64_t columns = 0;  // output channels
  std::int64_t width = 0;    // with padding: whole vectors
  std::int64_t at = 0;       // the sum of the widths before
};

// A step of a column is one code, or two: the first in the low half of its byte. Steps of a panel lie after
// one another, each a byte a column; blocks of input channels follow, then taps, panels, groups.
struct CodePanels {
  using Form = CompressedWeight::Form;

  Form form = Form::nibble_scale;
  bool half = false;  // what a code stands for is rounded to fp16
  std::int64_t taps = 0, channels = 0, block = 0, blocks = 0;
  std::int64_t columns = 0;  // of a group, padded
  std::vector<CodePanel> panels = {};
  StoragePtr codes = {};

  // scale * (code - offset): one a column and block, or (offsets empty) one offset for all.
  bool half_scales = false;
  StoragePtr scales = {};
  std::vector<float> offsets = {};
  float offset = 0;

  // Tables after one another, and where that of each column and block begins (empty: they have one).
  std::vector<float> table = {};
  std::vector<Half> half_table = {};  // empty where entries are none
  std::vector<std::int32_t> table_at = {};
  float largest = 0;     // magnitude of an entry
  bool together = true;  // all columns of a vector have one table

  bool is_nibble() const { return form == Form::nibble_scale || form == Form::nibble_table; }
  bool is_table() const { return form == Form::nibble_table || form == Form::byte_table; }
  std::int64_t entries() const { return is_nibble() ? 16 : 256; }
  std::int64_t steps() const { return is_nibble() ? (block + 1) / 2 : block; }
  bool finite() const { return !is_table() || std::isfinite(largest); }
  std::int64_t column_bytes() const { return taps * blocks * steps(); }
  const std::uint8_t* codes_of(std::int64_t g, const CodePanel& p) const {
    return reinterpret_cast<const std::uint8_t*>(codes->data()) + (g * columns + p.at) * column_bytes();
  }
  std::int64_t table_of(std::int64_t number) const {
    return table_at.empty() ? 0 : table_at[static_cast<std::size_t>(number)];
  }
  // Where the numbers of block b of a panel begin.
  std::int64_t number_at(std::int64_t g, const CodePanel& p, std::int64_t b) const {
    return (g * columns + p.at) * blocks + b * p.width;
  }
};

struct PanelCut {
  std::vector<CodePanel> panels = {};  // first, columns, width
  int lanes = 1;
};

// Nothing for what has no such form or gains nothing by it.
std::optional<CodePanels> pack_panels(const Compressed&, const Type&, const ConvPlan&, PanelCut,
                                      const Machine&);

}  // namespace tl
