// SPDX-License-Identifier: Apache-2.0
// LSTM layers, one way and both ways. What the operation `lstm` computes goes there: its gates are stacked
// i, f, o, z. Other activations are a loop over the steps.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/recurrent.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Direction {  // one way through the sequence
  Message weights = {};
  std::vector<Message> activations = {};  // of gates, of the cell's input, of its output
  Ex w = {}, r = {}, b = {}, p = {};
};

struct Lstm {
  RecurrentSize size = {};
  bool sequence = false, bias = false, forget_bias = false, peepholes = false, coupled = false;
  double clip = 50;
  Ex x = {};  // [Seq, Batch, C]
};

Lstm read_lstm(Layer& l) {
  Message m = l.params.message(15);
  Lstm s{size_of(l), m.flag(10), m.flag(20), m.flag(30), m.flag(40), m.flag(50), m.number(60), {}};
  if (s.clip == 0) s.clip = 50;
  s.x = steps_of(l, l.in.at(0));
  return s;
}

// With its gates coupled the layer forgets 1 - i, and 1 - s(x) is s(-x) of these two.
bool can_negate(const std::string& gate) { return gate == "sigmoid" || gate == "hard_sigmoid"; }

// The names of all three activations if the operation has them; none otherwise.
std::vector<std::string> words_of(const Direction& d, bool coupled) {
  std::vector<std::string> out;
  for (const Message& m : d.activations)
    if (auto word = activation_word(m)) out.push_back(*word);
  return out.size() < 3 || (coupled && !can_negate(out[0])) ? std::vector<std::string>() : out;
}

void read_weights(Layer& l, const Lstm& s, Direction& d, bool negate) {
  if (d.activations.size() != 3)
    throw Error(Code::bad_input, text("has {} activations, it needs 3", d.activations.size()));
  auto parts = [&](std::uint32_t i, std::uint32_t f, std::initializer_list<std::uint32_t> others) {
    std::vector<Part> out{{d.weights.message(i), 1, 0},
                          {d.weights.message(negate ? i : f), negate ? -1.0 : 1.0, 0}};
    for (std::uint32_t field : others) out.push_back({d.weights.message(field), 1, 0});
    return out;
  };
  std::int64_t n = s.size.hidden;
  d.w = stacked(l, parts(1, 2, {4, 3}), {n, s.size.input});
  d.r = stacked(l, parts(20, 21, {23, 22}), {n, n});
  if (s.peepholes) d.p = stacked(l, parts(60, 61, {62}), {n});
  std::vector<Part> biases = parts(40, 41, {43, 42});
  if (s.forget_bias && !negate) biases[1].plus = 1;
  if (!s.bias)
    for (Part& part : biases) part.factor = 0;
  if (s.bias || s.forget_bias) d.b = stacked(l, biases, {n});
}

// ---- as the operation

Attrs attributes(const Lstm& s, const std::vector<std::string>& words, std::string direction) {
  return attrs_of({{"direction", std::move(direction)},
                   {"output_sequence", s.sequence},
                   {"recurrent_activation", words[0]},
                   {"cell_activation", words[1]},
                   {"activation", words[2]},
                   {"clip", s.clip}});
}

// ---- as a loop

std::vector<Ex> lstm_step(Layer& l, const Lstm& s, const Direction& d, const Ex& x,
                          std::span<const Ex> states) {
  Ex h = states[0], c = states[1];
  Ex before = x + emit(ops::matmul, {h, d.r}, {{"transpose_y", true}});
  std::vector<Ex> gates = emit_all(ops::split, std::array{before},
                                   attrs_of({{"num_splits", std::int64_t{4}}, {"axis", std::int64_t{-1}}}));
  std::vector<Ex> p(3);
  if (d.p) {
    Ex inner(x.place(), d.p.id());
    p = emit_all(ops::split, std::array{inner}, attrs_of({{"num_splits", std::int64_t{3}}}));
  }
  auto gate = [&](std::size_t k, const Ex& cell, std::size_t activation) {
    Ex y = k < 3 && p[k] ? gates[k] + cell * p[k] : gates[k];
    return activated(l, d.activations[activation], clip(y, {{"alpha", -50.0}, {"beta", 50.0}}));
  };
  Ex i = gate(0, c, 0), f = s.coupled ? i * -1 + 1 : gate(1, c, 0);
  Ex next = clip(f * c + i * gate(3, c, 1), {{"alpha", -s.clip}, {"beta", s.clip}});
  return {gate(2, next, 0) * activated(l, d.activations[2], next), next};
}

// Output and states of one direction; the order of the output is that of the steps.
std::vector<Ex> one_way(Layer& l, const Lstm& s, Direction& d, std::vector<Ex> states, bool reverse) {
  std::vector<std::string> words = words_of(d, s.coupled);
  read_weights(l, s, d, s.coupled && !words.empty());
  if (!words.empty()) {
    std::vector<Ex> in{s.x, states[0], states[1], d.w, d.r, d.b, d.p};
    return emit_all(ops::lstm, in, attributes(s, words, reverse ? "reverse" : "forward"));
  }
  Ex x = emit(ops::matmul, {s.x, d.w}, {{"transpose_y", true}});
  if (d.b) x = x + d.b;
  return stepped(l, {x, std::move(states), reverse, s.sequence},
                 [&](const Ex& now, std::span<const Ex> given) { return lstm_step(l, s, d, now, given); });
}

Ex joined(const Ex& a, const Ex& b) { return emit(ops::concat, {a, b}, {{"axis", std::int64_t{-1}}}); }

// Both ways in one operation, where the activations are the same.
std::vector<Ex> both_ways(Layer& l, const Lstm& s, std::array<Direction, 2>& d, std::span<const Ex> states) {
  std::vector<std::string> words = words_of(d[0], s.coupled);
  for (Direction& one : d) read_weights(l, s, one, s.coupled);
  std::vector<Ex> in{s.x, joined(states[0], states[2]), joined(states[1], states[3])};
  for (const Direction& one : d) in.insert(in.end(), {one.w, one.r, one.b, one.p});
  std::vector<Ex> out = emit_all(ops::lstm, in, attributes(s, words, "bidirectional")), all{out[0]};
  auto half = [&](const Ex& x, std::size_t k) {
    return emit_all(ops::split, std::array{x},
                    attrs_of({{"num_splits", std::int64_t{2}}, {"axis", std::int64_t{-1}}}))[k];
  };
  for (std::size_t k : {0u, 1u}) all.push_back(half(out[1], k)), all.push_back(half(out[2], k));
  return all;
}

Lowered as_blobs(const std::vector<Ex>& y) {
  Lowered out{blob_of_steps(y[0])};
  for (std::size_t i = 1; i < y.size(); ++i) out.push_back(blob_of_state(y[i]));
  return out;
}

}  // namespace

Lowered lower_uni_directional_lstm(Layer& l) {
  need_inputs(l, 1, 3);
  Lstm s = read_lstm(l);
  Direction d{l.params.message(20), l.params.messages(10), {}, {}, {}, {}};
  std::vector<Ex> states;
  for (std::size_t k : {1u, 2u}) states.push_back(state_of(l, k, s.x, s.size.hidden));
  return as_blobs(one_way(l, s, d, states, l.params.flag(100)));
}

Lowered lower_bi_directional_lstm(Layer& l) {
  need_inputs(l, 1, 5);
  Lstm s = read_lstm(l);
  std::vector<Message> weights = l.params.messages(20);
  if (weights.size() != 2)
    throw Error(Code::bad_input, text("has the weights of {} directions, it needs 2", weights.size()));
  std::array<Direction, 2> d;
  for (std::size_t k : {0u, 1u}) d[k].weights = weights[k], d[k].activations = l.params.messages(10 + k);
  if (d[1].activations.empty()) d[1].activations = d[0].activations;
  std::vector<Ex> states;
  for (std::size_t k = 1; k < 5; ++k) states.push_back(state_of(l, k, s.x, s.size.hidden));
  if (auto words = words_of(d[0], s.coupled); !words.empty() && words == words_of(d[1], s.coupled))
    return as_blobs(both_ways(l, s, d, states));
  std::vector<Ex> ahead = one_way(l, s, d[0], {states[0], states[1]}, false),
                  back = one_way(l, s, d[1], {states[2], states[3]}, true);
  if (s.sequence) back[0] = emit(ops::reverse, {back[0]}, {{"axes", Integers{0}}});
  return as_blobs({joined(ahead[0], back[0]), ahead[1], ahead[2], back[1], back[2]});
}

}  // namespace tl::coreml
