// SPDX-License-Identifier: Apache-2.0
// Convolutions of images and volumes, and their transposes.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/geometry.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Form {  // what both kinds have in common
  std::int64_t outputs = 0, inputs = 0, groups = 1;
  bool transposed = false;
  std::vector<std::int64_t> kernel = {};
  Shape weight_shape() const {  // of a transposed one the channels of the input come first
    require(groups > 0 && outputs > 0 && inputs > 0, "the numbers of channels and groups must be positive");
    Shape shape = transposed ? Shape{inputs, outputs / groups} : Shape{outputs, inputs};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return shape;
  }
};

Form form_of(const Message& p, std::uint32_t transposed) {
  Form form;
  form.outputs = p.integer(1), form.inputs = p.integer(2);
  form.groups = std::max<std::int64_t>(p.integer(10), 1);
  form.transposed = p.flag(transposed);
  return form;
}

Ex convolved(const Form& form, std::vector<Ex> in, Attrs attrs) {
  attrs.set("groups", form.groups);
  return emit(form.transposed ? ops::conv_transpose : ops::conv, in, attrs);
}

// [N, C, …] with the wanted spatial lengths, as conv_transpose takes them.
void set_output_shape(const Message& p, std::uint32_t tag, const Form& form, Attrs& attrs) {
  std::vector<std::int64_t> wanted = p.integers(tag);
  if (!form.transposed || wanted.empty()) return;
  require(wanted.size() == form.kernel.size(),
          "the output shape has another number of dimensions than the kernel");
  wanted.insert(wanted.begin(), {1, form.outputs});
  attrs.set("output_shape", wanted);
  if (attrs.word("pad_type") == "custom") attrs.set("pad_type", std::string("valid")), attrs.erase("pad");
}

}  // namespace

Lowered lower_convolution(Layer& layer) {
  need_inputs(layer, 1, 2);
  const Message& p = layer.params;
  Form form = form_of(p, 60);
  form.kernel = lengths_of(p, 20, 2, 3);
  Attrs attrs;
  set_padding(p, 50, attrs);
  attrs.set("strides", lengths_of(p, 30, 2, 1));
  if (!form.transposed) attrs.set("dilations", lengths_of(p, 40, 2, 1));
  set_output_shape(p, 100, form, attrs);
  Ex x = layer.in[0];
  bool given = layer.in.size() > 1;
  std::vector<Ex> in{
      planes(x),
      given ? layer.in[1] : large_weight(layer, p.message(90), form.weight_shape(), form.transposed)};
  if (p.flag(70)) in.push_back(weight(layer, p.message(91), {form.outputs}));
  return {unplanes(convolved(form, in, attrs), x)};
}

Lowered lower_convolution3d(Layer& layer) {
  need_inputs(layer, 1);
  const Message& p = layer.params;
  Form form = form_of(p, 86);
  std::vector<std::int64_t> strides, dilations, pad;
  for (std::uint32_t d = 0; d < 3; ++d) {
    form.kernel.push_back(std::max<std::int64_t>(p.integer(20 + d), 1));
    strides.push_back(std::max<std::int64_t>(p.integer(31 + d), 1));
    dilations.push_back(std::max<std::int64_t>(p.integer(40 + d), 1));
    pad.push_back(p.integer(80 + 2 * d)), pad.push_back(p.integer(81 + 2 * d));
  }
  if (!form.transposed) form.inputs /= form.groups;  // here the number of all channels is given
  std::int64_t type = p.integer(70);
  Attrs attrs = attrs_of({{"strides", strides}, {"dilations", dilations}});
  attrs.set("pad_type", std::string(type == 0 ? "custom" : type == 1 ? "valid" : "same"));
  if (type == 0) attrs.set("pad", pad);
  set_output_shape(p, 87, form, attrs);
  std::vector<Ex> in{ranked(layer.in[0], 5),
                     large_weight(layer, p.message(60), form.weight_shape(), form.transposed)};
  if (p.flag(50)) in.push_back(weight(layer, p.message(61), {form.outputs}));
  return {convolved(form, in, attrs)};
}

}  // namespace tl::coreml
