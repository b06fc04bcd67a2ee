// SPDX-License-Identifier: Apache-2.0
// Packing the weights of recurrent layers for the kernels of recurrent.simd.cpp.
#include "op/recurrent_plan.h"

#include <cmath>

#include "base/text.h"
#include "op/ops.h"

namespace tl {
namespace {

void set_lstm(const KernelRequest& request, RecurrentPlan& plan) {
  plan.cell = Cell::lstm;
  plan.gates = 4;
  plan.directions = request.attrs.word("direction") == "bidirectional" ? 2 : 1;
  plan.in_time_order = plan.directions == 2;
  plan.candidate = activation_named(request.attrs.word("cell_activation"));
  if (request.attrs.has("clip")) plan.clip = static_cast<float>(std::fabs(request.attrs.number("clip")));
  for (std::size_t d = 0; d < 2; ++d) {
    std::size_t at = 3 + 4 * d;
    plan.inputs[d] = {at, at + 1, request.has(at + 2) ? at + 2 : 0, 0, request.has(at + 3) ? at + 3 : 0};
  }
}

void set_gru(const KernelRequest& request, RecurrentPlan& plan) {
  plan.cell = Cell::gru;
  plan.gates = 3;
  plan.inputs[0] = {2, 3, request.has(4) ? std::size_t{4} : 0, request.has(5) ? std::size_t{5} : 0, 0};
  plan.reset_after = request.attrs.boolean("reset_after");
}

void set_rnn(const KernelRequest& request, RecurrentPlan& plan) {
  plan.inputs[0] = {2, 3, request.has(4) ? std::size_t{4} : 0, 0, 0};
}

}  // namespace

std::optional<RecurrentPlan> recurrent_plan(const KernelRequest& request, std::int64_t lanes) {
  RecurrentPlan plan;
  if (&request.op == &ops::lstm) set_lstm(request, plan);
  else if (&request.op == &ops::gru) set_gru(request, plan);
  else set_rnn(request, plan);
  for (std::size_t i = 0; i < request.in.size(); ++i)
    if (request.has(i) && (request.in[i].dtype != request.in[0].dtype || !request.in[i].is_concrete()))
      return std::nullopt;
  if (plan.clip == 0 && request.attrs.has("clip")) return std::nullopt;
  const Shape& x = request.in[0].shape;
  plan.steps = x[0];
  plan.batch = x[1];
  plan.width = x[2];
  plan.hidden = request.in[plan.inputs[0].r].shape[1];
  if (plan.hidden == 0 || plan.batch == 0) return std::nullopt;
  plan.lanes = lanes;
  plan.blocks = (plan.hidden + lanes - 1) / lanes;
  plan.chunk = std::clamp<std::int64_t>(256 / plan.batch, 1, std::max<std::int64_t>(plan.steps, 1));
  plan.reverse = request.attrs.word("direction") == "reverse";
  plan.sequence = request.attrs.boolean("output_sequence");
  plan.output = activation_named(request.attrs.word("activation"));
  if (request.attrs.has("recurrent_activation"))
    plan.gate = activation_named(request.attrs.word("recurrent_activation"));
  return plan;
}

namespace {

float number(float x) { return x; }
float number(Half x) { return to_float(x); }

// In the images the gates of a GRU are reset, update, new: the first two are needed before the third.
int stacked_gate(const RecurrentPlan& plan, int gate) {
  constexpr int gru[] = {0, 2, 1};
  return plan.cell == Cell::gru ? gru[gate] : gate;
}

// [block][depth][gate][lane] from [gate][unit][depth].
template <class T> void pack_matrix(const RecurrentPlan& plan, const T* from, std::int64_t depth, float* to) {
  for (std::int64_t block = 0; block < plan.blocks; ++block)
    for (int g = 0; g < plan.gates; ++g)
      for (std::int64_t lane = 0; lane < plan.lanes; ++lane) {
        std::int64_t unit = block * plan.lanes + lane;
        float* column = to + (block * depth * plan.gates + g) * plan.lanes + lane;
        const T* row = from + (stacked_gate(plan, g) * plan.hidden + unit) * depth;
        for (std::int64_t k = 0; k < depth; ++k)
          column[k * plan.gates * plan.lanes] = unit < plan.hidden ? number(row[k]) : 0;
      }
}

// Adds a stacked vector to [block][gate][lane]; the one of `gate` goes to `instead`, [unit], if that is
// given.
template <class T>
void add_bias(const RecurrentPlan& plan, const T* from, float* to, int gate, float* instead) {
  for (int g = 0; g < plan.gates; ++g)
    for (std::int64_t unit = 0; unit < plan.hidden; ++unit) {
      float x = number(from[stacked_gate(plan, g) * plan.hidden + unit]);
      if (instead && g == gate) instead[unit] += x;
      else to[(unit / plan.lanes * plan.gates + g) * plan.lanes + unit % plan.lanes] += x;
    }
}

template <class T>
void pack_rest(const RecurrentPlan& plan, const RecurrentInputs& inputs, const std::byte* const* in,
               float* to) {
  auto at = [&](std::size_t i) { return reinterpret_cast<const T*>(in[i]); };
  std::fill_n(to, plan.rest_floats(), 0.0f);
  if (inputs.bias)
    add_bias(plan, at(inputs.bias), to + plan.bias_at(), 2,
             plan.reset_after ? to + plan.state_bias_at() : nullptr);
  if (inputs.input_bias) add_bias(plan, at(inputs.input_bias), to + plan.bias_at(), 2, nullptr);
  for (std::int64_t k = 0; inputs.peephole && k < 3; ++k)
    for (std::int64_t unit = 0; unit < plan.hidden; ++unit)
      to[plan.peephole_at() + k * plan.units() + unit] = number(at(inputs.peephole)[k * plan.hidden + unit]);
}

}  // namespace

void pack_recurrent_matrix(const RecurrentPlan& plan, DType dtype, const std::byte* from, std::int64_t depth,
                           float* to) {
  if (dtype == DType::f16) pack_matrix(plan, reinterpret_cast<const Half*>(from), depth, to);
  else pack_matrix(plan, reinterpret_cast<const float*>(from), depth, to);
}

void pack_recurrent_rest(const RecurrentPlan& plan, int direction, DType dtype, const std::byte* const* in,
                         float* to) {
  const RecurrentInputs& inputs = plan.inputs[direction];
  if (dtype == DType::f16) pack_rest<Half>(plan, inputs, in, to);
  else pack_rest<float>(plan, inputs, in, to);
}

std::string recurrent_form(const RecurrentPlan& plan, std::int64_t depth) {
  return text("recurrent {} {} {} {} {}", static_cast<int>(plan.cell), plan.gates, plan.hidden, depth,
              plan.lanes);
}

}  // namespace tl
