// SPDX-License-Identifier: Apache-2.0
// Recurrent layers over a sequence [s, b, input]: definitions, inference, and the loops that say what they
// mean.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::string_view activations = "relu tanh sigmoid linear hard_sigmoid scaled_tanh";

// ---- inference

struct Layer {  // which inputs are which, by number; 0: there is none
  int gates;
  std::size_t w, r, b, states;  // input and recurrent weights, bias; how many states (h, c)
};

void need_shape(const InferCall& call, std::size_t input, std::initializer_list<Dim> wanted,
                std::string_view name) {
  const Type& t = call.type(input);
  bool fits = t.rank() == wanted.size();
  for (std::size_t d = 0; fits && d < t.rank(); ++d) {
    Dim want = wanted.begin()[d];
    fits = !is_known(want) || !is_known(t.shape[d]) || want == t.shape[d];
  }
  if (!fits)
    throw Error(Code::bad_input,
                text("{} is {}, it must be {}", name, text_of(t), text_of(Type(t.dtype, wanted))));
}

Dim times(Dim a, int n) { return multiply_dims(a, n); }

// The hidden length, once the weights of one direction have been checked.
Dim check_weights(const InferCall& call, const Layer& layer) {
  need_rank(call, layer.r, 2, 2);
  Dim hidden = call.type(layer.r).shape[1];
  need_shape(call, layer.w, {times(hidden, layer.gates), call.type(0).shape[2]}, "weight_ih");
  need_shape(call, layer.r, {times(hidden, layer.gates), hidden}, "weight_hh");
  if (call.has(layer.b)) need_shape(call, layer.b, {times(hidden, layer.gates)}, "bias");
  return hidden;
}

// Sequence (or last step) and final states.
std::vector<Type> layer_types(const InferCall& call, const Layer& layer, int directions) {
  need_rank(call, 0, 3, 3);
  Dim hidden = check_weights(call, layer), width = times(hidden, directions), batch = call.type(0).shape[1];
  DType dtype = call.type(0).dtype;
  need(is_float(dtype), "takes floating sequences");
  for (std::size_t k = 0; k < layer.states; ++k) {
    const Type& state = call.type(1 + k);
    if (state.dtype != dtype)
      throw Error(Code::bad_input,
                  text("takes a state of {}, not of {}", name_of(dtype), name_of(state.dtype)));
    need_shape(call, 1 + k, {batch, width}, k ? "initial_c" : "initial_h");
    if (!is_known(batch)) batch = state.shape[0];
    if (!is_known(width)) width = state.shape[1];
  }
  Dim steps = call.attrs.boolean("output_sequence") ? call.type(0).shape[0] : 1;
  std::vector<Type> out{Type(dtype, {steps, batch, width})};
  for (std::size_t k = 0; k < layer.states; ++k) out.push_back(Type(dtype, {batch, width}));
  return out;
}

std::vector<Type> infer_lstm(const InferCall& call) {
  bool both = call.attrs.word("direction") == "bidirectional";
  std::vector<Type> out = layer_types(call, {4, 3, 4, 5, 2}, both ? 2 : 1);
  Dim hidden = call.type(4).shape[1];
  if (call.has(6)) need_shape(call, 6, {times(hidden, 3)}, "peephole");
  if (!both) return out;
  need(call.has(7) && call.has(8), "needs weight_ih_back and weight_hh_back to run both ways");
  if (check_weights(call, {4, 7, 8, 9, 2}) != hidden)
    need(!is_known(hidden), "its directions differ in length");
  if (call.has(10)) need_shape(call, 10, {times(hidden, 3)}, "peephole_back");
  return out;
}

std::vector<Type> infer_gru(const InferCall& call) {
  std::vector<Type> out = layer_types(call, {3, 2, 3, 4, 1}, 1);
  if (call.has(5)) need_shape(call, 5, {times(call.type(3).shape[1], 3)}, "input_bias");
  return out;
}

std::vector<Type> infer_rnn(const InferCall& call) { return layer_types(call, {1, 2, 3, 4, 1}, 1); }

// ---- reference

using Vector = std::vector<double>;

double activated(std::string_view name, double x) {
  if (name == "relu") return std::max(x, 0.0);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "linear") return x;
  if (name == "hard_sigmoid") return std::clamp(0.2 * x + 0.5, 0.0, 1.0);
  return std::tanh(x);  // scaled_tanh too: Core ML scales it by 1
}

struct Steps {  // of one direction: which time comes k-th, and where its result goes
  std::int64_t count = 0;
  bool reverse = false, in_time_order = false;
  std::int64_t time(std::int64_t k) const { return reverse ? count - 1 - k : k; }
  std::int64_t place(std::int64_t k) const { return in_time_order ? time(k) : k; }
};

// y += W[rows first ... first + y.size()] x
void add_product(Vector& y, const Array& w, std::size_t first, const double* x) {
  std::size_t n = static_cast<std::size_t>(w.shape[1]);
  for (std::size_t i = 0; i < y.size(); ++i)
    for (std::size_t j = 0; j < n; ++j) y[i] += w.data[(first + i) * n + j] * x[j];
}

// `rows` of the bias from `first`, or zeros.
Vector bias_of(const Array* bias, std::size_t first, std::size_t rows) {
  if (!bias) return Vector(rows, 0);
  auto from = bias->data.begin() + static_cast<std::ptrdiff_t>(first);
  return Vector(from, from + static_cast<std::ptrdiff_t>(rows));
}

struct Sequence {  // one row of the batch in one direction, and where its outputs go
  const ReferenceCall& call;
  std::size_t row = 0, direction = 0, directions = 1, hidden = 0;

  const double* x(std::int64_t time) const {
    const Array& all = *call.in[0];
    return all.data.data() +
           (static_cast<std::size_t>(time * all.shape[1]) + row) * static_cast<std::size_t>(all.shape[2]);
  }
  std::size_t state_at() const { return (row * directions + direction) * hidden; }
  Vector state(std::size_t input) const {
    auto from = call.in[input]->data.begin() + static_cast<std::ptrdiff_t>(state_at());
    return Vector(from, from + static_cast<std::ptrdiff_t>(hidden));
  }
  void keep_step(const Vector& h, std::int64_t place) const {
    std::size_t batch = static_cast<std::size_t>(call.in[0]->shape[1]);
    std::copy(h.begin(), h.end(),
              call.out[0].data.begin() +
                  static_cast<std::ptrdiff_t>(static_cast<std::size_t>(place) * batch * directions * hidden +
                                              state_at()));
  }
  void keep_state(const Vector& s, std::size_t output) const {
    std::copy(s.begin(), s.end(), call.out[output].data.begin() + static_cast<std::ptrdiff_t>(state_at()));
  }
};

void size_outputs(const ReferenceCall& call, std::size_t hidden, std::size_t directions) {
  const Shape& x = call.in[0]->shape;
  auto width = static_cast<Dim>(hidden * directions);
  for (std::size_t k = 0; k < call.out.size(); ++k) {
    call.out[k].shape = {x[1], width};
    if (k == 0)
      call.out[k].shape.insert(call.out[k].shape.begin(), call.attrs.boolean("output_sequence") ? x[0] : 1);
    call.out[k].data.assign(static_cast<std::size_t>(volume(call.out[k].shape)), 0);
  }
}

// Runs step(time, h) for every time, h becoming the next hidden state, and keeps what the attributes ask for.
template <class Step>
void run_steps(const Sequence& sequence, const Steps& steps, Vector h, const Step& step) {
  bool whole = sequence.call.attrs.boolean("output_sequence");
  for (std::int64_t k = 0; k < steps.count; ++k) {
    step(sequence.x(steps.time(k)), h);
    if (whole) sequence.keep_step(h, steps.place(k));
  }
  if (!whole) sequence.keep_step(h, 0);
  sequence.keep_state(h, 1);
}

struct LstmWeights {
  const Array *w, *r, *b, *p;
  // Gate g of [i, f, o, z] before its activation; c is what its peephole sees.
  Vector gate(std::size_t g, const double* x, const Vector& h, const Vector& c) const {
    std::size_t n = h.size();
    Vector y = bias_of(b, g * n, n);
    add_product(y, *w, g * n, x);
    add_product(y, *r, g * n, h.data());
    for (std::size_t i = 0; p && g < 3 && i < n; ++i) y[i] += p->data[g * n + i] * c[i];
    return y;
  }
};

void lstm_step(const LstmWeights& weights, const Attrs& attrs, const double* x, Vector& h, Vector& c) {
  std::string_view gate = attrs.word("recurrent_activation");
  Vector i = weights.gate(0, x, h, c), f = weights.gate(1, x, h, c), z = weights.gate(3, x, h, c);
  for (std::size_t k = 0; k < h.size(); ++k) {
    c[k] =
        activated(gate, f[k]) * c[k] + activated(gate, i[k]) * activated(attrs.word("cell_activation"), z[k]);
    if (attrs.has("clip"))
      c[k] = std::clamp(c[k], -std::abs(attrs.number("clip")), std::abs(attrs.number("clip")));
  }
  Vector o = weights.gate(2, x, h, c);
  for (std::size_t k = 0; k < h.size(); ++k)
    h[k] = activated(gate, o[k]) * activated(attrs.word("activation"), c[k]);
}

void reference_lstm(const ReferenceCall& call) {
  std::string_view direction = call.attrs.word("direction");
  bool both = direction == "bidirectional";
  std::size_t hidden = static_cast<std::size_t>(call.in[4]->shape[1]), directions = both ? 2 : 1;
  size_outputs(call, hidden, directions);
  for (std::size_t d = 0; d < directions; ++d) {
    LstmWeights weights{call.in[3 + 4 * d], call.in[4 + 4 * d], call.in[5 + 4 * d], call.in[6 + 4 * d]};
    Steps steps{call.in[0]->shape[0], d == 1 || direction == "reverse", both};
    for (std::size_t row = 0; row < static_cast<std::size_t>(call.in[0]->shape[1]); ++row) {
      Sequence sequence{call, row, d, directions, hidden};
      Vector c = sequence.state(2);
      run_steps(sequence, steps, sequence.state(1),
                [&](const double* x, Vector& h) { lstm_step(weights, call.attrs, x, h, c); });
      sequence.keep_state(c, 2);
    }
  }
}

// Gates [r, o, z]; the state is reset before the recurrent product, or after it.
void gru_step(const ReferenceCall& call, const double* x, Vector& h) {
  const Array &w = *call.in[2], &r = *call.in[3];
  std::string_view gate = call.attrs.word("recurrent_activation");
  std::size_t n = h.size();
  auto from_input = [&](std::size_t g) {
    Vector y = bias_of(call.in[5], g * n, n);
    add_product(y, w, g * n, x);
    return y;
  };
  auto from_state = [&](std::size_t g, const Vector& state) {
    Vector y = bias_of(call.in[4], g * n, n);
    add_product(y, r, g * n, state.data());
    return y;
  };
  Vector reset = from_input(0), reset_h = from_state(0, h), keep = from_input(2), keep_h = from_state(2, h),
         state = h;
  for (std::size_t k = 0; k < n; ++k) reset[k] = activated(gate, reset[k] + reset_h[k]);
  bool after = call.attrs.boolean("reset_after");
  for (std::size_t k = 0; k < n && !after; ++k) state[k] *= reset[k];
  Vector next = from_input(1), next_h = from_state(1, state);
  for (std::size_t k = 0; k < n; ++k) {
    double z = activated(gate, keep[k] + keep_h[k]);
    double o = activated(call.attrs.word("activation"), next[k] + (after ? reset[k] : 1) * next_h[k]);
    h[k] = (1 - z) * o + z * h[k];
  }
}

void rnn_step(const ReferenceCall& call, const double* x, Vector& h) {
  Vector y = bias_of(call.in[4], 0, h.size());
  add_product(y, *call.in[2], 0, x);
  add_product(y, *call.in[3], 0, h.data());
  for (std::size_t k = 0; k < h.size(); ++k) h[k] = activated(call.attrs.word("activation"), y[k]);
}

template <auto step> void reference_simple(const ReferenceCall& call) {
  auto hidden = static_cast<std::size_t>(call.in[3]->shape[1]);
  size_outputs(call, hidden, 1);
  Steps steps{call.in[0]->shape[0], call.attrs.word("direction") == "reverse", false};
  for (std::size_t row = 0; row < static_cast<std::size_t>(call.in[0]->shape[1]); ++row) {
    Sequence sequence{call, row, 0, 1, hidden};
    run_steps(sequence, steps, sequence.state(1), [&](const double* x, Vector& h) { step(call, x, h); });
  }
}

}  // namespace

constinit const OpDef ops::lstm{
    .name = "lstm",
    .doc = "Long short-term memory over a sequence [s, b, i]; gates are stacked i, f, o, z.",
    .inputs = {"x",
               "initial_h",
               "initial_c",
               "weight_ih",
               "weight_hh",
               {"bias", Arity::optional},
               {"peephole", Arity::optional},
               {"weight_ih_back", Arity::optional},
               {"weight_hh_back", Arity::optional},
               {"bias_back", Arity::optional},
               {"peephole_back", Arity::optional}},
    .attrs = {{"direction", AttrKind::word, "forward", "forward reverse bidirectional"},
              {"output_sequence", AttrKind::boolean, "false"},
              {"recurrent_activation", AttrKind::word, "sigmoid", activations},
              {"cell_activation", AttrKind::word, "tanh", activations},
              {"activation", AttrKind::word, "tanh", activations},
              {"clip", AttrKind::number, absent}},
    .outputs = {"output", "output_h", "output_c"},
    .infer = infer_lstm,
    .reference = reference_lstm,
    .mil = {.name = "lstm", .parameters = {{.name = "clip", .tied = true}}, .half = 7},
    .near_zero = 1e-6,
    .samples = {{.inputs = {"fp32[3, 2, 5]", "fp32[2, 4]", "fp32[2, 4]", "fp32[16, 5]", "fp32[16, 4]",
                            "fp32[16]"},
                 .attrs = "output_sequence=true"}},
};

constinit const OpDef ops::gru{
    .name = "gru",
    .doc = "Gated recurrent unit over a sequence [s, b, i]; gates are stacked r, o, z.",
    .inputs = {"x",
               "initial_h",
               "weight_ih",
               "weight_hh",
               {"bias", Arity::optional},
               {"input_bias", Arity::optional}},
    .attrs = {{"direction", AttrKind::word, "forward", "forward reverse"},
              {"output_sequence", AttrKind::boolean, "false"},
              {"recurrent_activation", AttrKind::word, "sigmoid", activations},
              {"activation", AttrKind::word, "tanh", activations},
              {"reset_after", AttrKind::boolean, "false"}},
    .outputs = {"output", "output_h"},
    .infer = infer_gru,
    .reference = reference_simple<gru_step>,
    .mil = {.name = "gru",
            .parameters = {{.name = "reset_after", .since = 8}, {.name = "input_bias", .since = 8}},
            .half = 7},
    .near_zero = 1e-6,
    .samples = {{.inputs = {"fp32[3, 2, 5]", "fp32[2, 4]", "fp32[12, 5]", "fp32[12, 4]", "fp32[12]"},
                 .attrs = "output_sequence=true"},
                {.inputs = {"fp32[3, 1, 5]", "fp32[1, 4]", "fp32[12, 5]", "fp32[12, 4]", "fp32[12]",
                            "fp32[12]"},
                 .attrs = "direction=reverse, reset_after=true"}},
};

constinit const OpDef ops::rnn{
    .name = "rnn",
    .doc = "The plain recurrent layer over a sequence [s, b, i].",
    .inputs = {"x", "initial_h", "weight_ih", "weight_hh", {"bias", Arity::optional}},
    .attrs = {{"direction", AttrKind::word, "forward", "forward reverse"},
              {"output_sequence", AttrKind::boolean, "false"},
              {"activation", AttrKind::word, "tanh", activations}},
    .outputs = {"output", "output_h"},
    .infer = infer_rnn,
    .reference = reference_simple<rnn_step>,
    .mil = {.name = "rnn", .half = 7},
    .near_zero = 1e-6,
    .samples = {{.inputs = {"fp32[3, 2, 5]", "fp32[2, 4]", "fp32[4, 5]", "fp32[4, 4]", "fp32[4]"},
                 .attrs = "output_sequence=true"}},
};

}  // namespace tl
