// SPDX-License-Identifier: Apache-2.0
// What a layer of a neural network is lowered with: its parameters, its inputs as graph values, and the few
// words that many layers share. One function a layer type, listed in layer.def, emits the nodes.
#pragma once
#include <string>

#include "format/coreml/network/message.h"
#include "ir/ex.h"

namespace tl::coreml {

class Network;

// Blobs of the older shape regime are [Seq, Batch, C, H, W] with leading dimensions of length 1 left out down
// to rank 4, so that convolutions and the like see what they see in an ML Program. Axes counted from the end
// and broadcasting do not notice; who works along Seq asks for ranked(x, 5). In the exact regime (`nd`) blobs
// have the rank that the file means.
struct Layer {
  Network& net;
  Place place = {};
  std::string name = {};
  std::uint32_t type = 0;
  Message params = {};  // the layer's own message
  std::vector<Ex> in = {};
  std::vector<std::string> outputs = {};
  bool nd = false;
};

using Lowered = std::vector<Ex>;  // one per output

#define TL_LAYER(number, name, function) Lowered lower_##function(Layer&);
#define TL_NO_LAYER(number, name)
#include "format/coreml/network/layer.def"

// Throw Error unless the layer has that many inputs.
void need_inputs(const Layer&, std::size_t least, std::size_t most);
void need_inputs(const Layer&, std::size_t n);
// Throws Error with this sentence unless it holds.
void require(bool holds, std::string_view sentence);

// ---- weights (coreml.md 6.5)

bool has_weight(const Message& weight_params);  // it holds data
// The numbers as a constant of this shape and fp32. channel_axis: of the scales. Throws Error if they are not
// as many as the shape has.
Ex weight(Layer&, const Message& weight_params, Shape shape, int channel_axis = 0);
// The same, for what kernels pack: stays bytes of the file until a plan is made, so here it is no constant.
Ex large_weight(Layer&, const Message& weight_params, Shape shape, int channel_axis = 0);
Tensor weight_values(const Message& weight_params, Shape shape, int channel_axis = 0);
std::int64_t weight_size(const Message& weight_params);  // elements that are stored

// ---- shapes

Ex reshaped(Ex x, std::vector<std::int64_t> shape);  // one -1; a 0 is a length of 0
Ex transposed(Ex x, std::vector<std::int64_t> perm);
Ex ranked(Ex x, std::size_t rank);                        // with leading dimensions of 1, at least this rank
Ex shape_of(Ex x, std::int64_t begin, std::int64_t end);  // dimensions [begin, end) as int32
// x in the shape [N, C, H, W]: what leads is one batch. And back: y, [N, C, H, W], behind what leads in x.
Ex planes(Ex x);
Ex unplanes(Ex y, Ex x);
// Throws Error unless [C, H, W] of x, where it is known, has that many elements.
void need_elements(Ex x, std::int64_t n);
// The axis as the layer says it, within the rank of x.
std::int64_t axis_of(Ex x, std::int64_t axis);
Ex fp32(Ex x);         // booleans and integers as numbers
Ex int32(Ex x);        // numbers as indices or lengths
Ex truth(Ex x);        // other than 0
Ex truth_in(Ex x);     // that x was made a number of; nothing if it was not
Ex times(Ex a, Ex b);  // a product, also of x and its sigmoid

}  // namespace tl::coreml
