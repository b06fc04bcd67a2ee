// SPDX-License-Identifier: Apache-2.0
// How the recurrent kernels lay out a layer: units in blocks of a vector, and for every block the weights of
// all its gates side by side, so that one pass over them gives everything a block of units needs for its next
// state.
#pragma once
#include <algorithm>

#include "op/kernel.h"

namespace tl {

enum class Cell : std::uint8_t { lstm, gru, rnn };
enum class Activation : std::uint8_t { relu, tanh, sigmoid, linear, hard_sigmoid };

struct RecurrentInputs {  // of one direction, by number; 0: there is none
  std::size_t w = 0, r = 0, bias = 0, input_bias = 0, peephole = 0;
};

struct RecurrentPlan {
  Cell cell = Cell::rnn;
  std::int64_t steps = 0, batch = 0, width = 0, hidden = 0;
  std::int64_t lanes = 1, blocks = 0;  // blocks * lanes units, the last ones padding
  int gates = 1, directions = 1;
  std::int64_t chunk = 1;  // steps whose inputs are multiplied at once
  RecurrentInputs inputs[2] = {};
  bool reverse = false, in_time_order = false, sequence = false, reset_after = false;
  Activation gate = Activation::sigmoid, candidate = Activation::tanh, output = Activation::tanh;
  float clip = 0;  // 0: none

  std::int64_t units() const { return blocks * lanes; }
  // Floats of one direction's packed image, in three parts: input weights, recurrent weights, and the rest:
  // bias of the input's product, bias of the state's product (gru), peepholes.
  std::int64_t w_floats() const { return units() * gates * width; }
  std::int64_t r_floats() const { return units() * gates * hidden; }
  std::int64_t bias_at() const { return 0; }
  std::int64_t state_bias_at() const { return units() * gates; }
  std::int64_t peephole_at() const { return state_bias_at() + units(); }
  std::int64_t rest_floats() const { return (peephole_at() + 3 * units() + 15) / 16 * 16; }
  std::int64_t image_floats() const { return w_floats() + r_floats() + rest_floats(); }
};

inline Activation activation_named(std::string_view name) {
  if (name == "relu") return Activation::relu;
  if (name == "sigmoid") return Activation::sigmoid;
  if (name == "linear") return Activation::linear;
  return name == "hard_sigmoid" ? Activation::hard_sigmoid : Activation::tanh;
}

// Everything but the packed weights; none if a shape is not one the kernels take.
std::optional<RecurrentPlan> recurrent_plan(const KernelRequest&, std::int64_t lanes);

struct RecurrentImage {
  const float *w = nullptr, *r = nullptr, *rest = nullptr;
};

// The parts of an image from inputs as they are in memory. A matrix is [gate][unit][depth].
void pack_recurrent_matrix(const RecurrentPlan&, DType, const std::byte* from, std::int64_t depth, float* to);
void pack_recurrent_rest(const RecurrentPlan&, int direction, DType, const std::byte* const* in, float* to);

// All that a packed matrix depends on, for the form of op/packed.h.
std::string recurrent_form(const RecurrentPlan&, std::int64_t depth);

}  // namespace tl
