// SPDX-License-Identifier: Apache-2.0
// Poolings of images and volumes.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/geometry.h"
#include "format/coreml/network/network.h"
#include "op/axes.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

const OpDef& pool_of(std::int64_t type) {
  require(type >= 0 && type <= 2, "there is no such type of pooling");
  return type == 0 ? ops::max_pool : type == 1 ? ops::avg_pool : ops::l2_pool;
}

Ex whole_pool(Ex x, std::int64_t type, std::vector<std::int64_t> axes) {
  pool_of(type);
  const OpDef& op = type == 0 ? ops::reduce_max : type == 1 ? ops::reduce_mean : ops::reduce_l2_norm;
  return emit(op, {x}, {{"axes", axes}, {"keep_dims", true}});
}

}  // namespace

Lowered lower_pooling(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  std::int64_t type = p.integer(1);
  Ex x = layer.in[0];
  if (p.flag(60)) return {whole_pool(x, type, {-2, -1})};
  Attrs attrs;
  if (p.has(32)) {  // as Caffe counts windows
    std::vector<std::int64_t> both = lengths_of(p.message(32), 10, 2, 0);
    attrs.set("pad_type", std::string("custom"));
    attrs.set("pad", std::vector<std::int64_t>{both[0], both[0], both[1], both[1]});
    attrs.set("ceil_mode", true);
  } else {
    set_padding(p, 30, attrs);
  }
  attrs.set("kernel_sizes", lengths_of(p, 10, 2, 3));
  attrs.set("strides", lengths_of(p, 20, 2, 1));
  if (type == 1) attrs.set("exclude_padding_from_average", p.flag(50));
  Ex flat = planes(x);
  return {unplanes(emit(pool_of(type), std::span(&flat, 1), attrs), x)};
}

Lowered lower_pooling3d(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  std::int64_t type = p.integer(1), padding = p.integer(15);
  std::vector<std::int64_t> kernel, strides, pad;
  for (std::uint32_t d = 0; d < 3; ++d) {
    kernel.push_back(p.integer(2 + d)), strides.push_back(std::max<std::int64_t>(p.integer(5 + d), 1));
    pad.push_back(p.integer(8 + 2 * d)), pad.push_back(p.integer(9 + 2 * d));
  }
  Attrs attrs = attrs_of({{"kernel_sizes", kernel}, {"strides", strides}});
  attrs.set("pad_type", std::string(padding == 0 ? "custom" : padding == 1 ? "valid" : "same"));
  if (padding == 0) attrs.set("pad", pad);
  if (type == 1) attrs.set("exclude_padding_from_average", p.flag(14));
  Ex x = ranked(layer.in[0], 5);
  return {emit(pool_of(type), std::span(&x, 1), attrs)};
}

Lowered lower_global_pooling3d(Layer& layer) {
  need_inputs(layer, 1);
  return {whole_pool(layer.in[0], layer.params.integer(1), {-3, -2, -1})};
}

}  // namespace tl::coreml
