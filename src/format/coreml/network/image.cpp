// SPDX-License-Identifier: Apache-2.0
// Layers that sample images: upsampling, resizing, crops of boxes.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/geometry.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {

Lowered lower_upsample(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  std::vector<double> factors = p.numbers(7);
  if (factors.empty())
    for (std::int64_t n : lengths_of(p, 1, 2, 1)) factors.push_back(static_cast<double>(n));
  require(factors.size() == 2, "the factors are not given for height and width");
  for (double f : factors) require(f > 0 && f < 1e6, "a scaling factor cannot be");
  Attrs attrs = attrs_of({{"scale_factor_height", factors[0]}, {"scale_factor_width", factors[1]}});
  Ex x = planes(layer.in[0]);
  bool linear = p.integer(5) == 1;
  if (linear) {  // by default neither: place i of the output is i * in / out
    attrs.set("align_corners", p.integer(6) == 1);
    attrs.set("half_pixel_centers", p.integer(6) == 2);
  }
  return {unplanes(
      emit(linear ? ops::upsample_bilinear : ops::upsample_nearest_neighbor, std::span(&x, 1), attrs),
      layer.in[0])};
}

Lowered lower_resize_bilinear(Layer& layer) {
  need_inputs(layer, 1);
  std::vector<std::int64_t> size = lengths_of(layer.params, 1, 2, 1);
  Ex y = emit(ops::resize_bilinear, {planes(layer.in[0])},
              {{"target_size_height", size[0]},
               {"target_size_width", size[1]},
               {"sampling_mode", sampling_mode(layer.params.message(2))}});
  return {unplanes(y, layer.in[0])};
}

Lowered lower_crop_resize(Layer& layer) {
  need_inputs(layer, 2);
  const Message& p = layer.params;
  std::vector<std::int64_t> size = lengths_of(p, 1, 2, 1);
  constexpr const char* boxes[] = {"CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST",
                                   "CENTER_SIZE_WIDTH_FIRST"};
  std::int64_t box = p.message(4).integer(1);
  require(box >= 0 && box <= 3, "there is no such mode of boxes");
  double scale = p.number(5);
  return {emit(ops::crop_resize, {planes(layer.in[0]), ranked(layer.in[1], 5)},
               {{"target_height", size[0]},
                {"target_width", size[1]},
                {"normalized_coordinates", p.flag(2)},
                {"spatial_scale", scale == 0 ? 1 : scale},
                {"box_coordinate_mode", std::string(boxes[box])},
                {"sampling_mode", sampling_mode(p.message(3))},
                {"roi", true}})};
}

}  // namespace tl::coreml
