// SPDX-License-Identifier: Apache-2.0
// How a convolution over an image in blocks of channels (op/blocked.h) is cut for a matrix unit
// (simd/image_unit.h).
//
// Pixels are packed in rows of `pitch`, one such plane for each remainder of the positions by the strides, so
// that with any stride neighbours in a row of the output read neighbours, and a tap is a distance. What lies
// outside of the image on the right of a row is what lies outside on the left of the next one.
#pragma once
#include "op/conv_plan.h"
#include "simd/image_unit.h"

namespace tl {

struct ImagePanel {  // vectors of output channels, counted in vectors from the group's first
  std::int64_t first = 0;
  int vectors = 0;
};

struct ImageTile {         // outputs next to one another
  std::int64_t first = 0;  // in rows of `pitch`:
  std::int64_t y = 0, x = 0;
  int count = 0;
};

struct ImagePhase {  // positions that leave this when divided by the strides
  std::int64_t y = 0, x = 0;
};

struct ConvImage {
  std::int64_t pitch = 0, width = 0;      // of a row, and of the outputs in it
  std::int64_t first_y = 0, first_x = 0;  // the least shift of a tap
  std::int64_t reach = 0;                 // the greatest distance of a tap, in pixels
  std::vector<ImagePhase> phases = {};
  std::int64_t period = 0, depth = 0;  // steps of a tap, of the sum
  int last_pairs = step_pairs;         // of the last step of a tap

  int rows = 0;  // of the largest tile
  std::vector<ImageTile> list = {};
  std::int64_t tiles = 0, places = 0;  // places: outputs and what lies between their rows
  std::int64_t per_row = 0;            // tiles of a row; 0: they do not end with it
  std::vector<ImagePanel> panels = {};

  std::int64_t blocks = 1, parts = 1;           // tasks: of the tiles, of the panels
  std::int64_t chunk = 0;                       // steps whose weights are split at once
  std::int64_t plane = 0;                       // bytes of a packed step
  std::vector<std::int64_t> offsets = {};       // of each step, bytes
  std::size_t pixels = 0, split = 0, sums = 0;  // bytes of scratch; pixels: of one part

  const ImageTile& tile(std::int64_t i) const { return list[static_cast<std::size_t>(i)]; }
  std::int64_t pairs_before(std::int64_t step) const {  // of weights
    return step / period * ((period - 1) * step_pairs + last_pairs) + step % period * step_pairs;
  }
};

// Nothing where the unit would not pay.
std::optional<ConvImage> plan_image(const ConvPlan&, const ImageUnit&, int slots);

}  // namespace tl
