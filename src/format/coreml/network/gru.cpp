// SPDX-License-Identifier: Apache-2.0
// GRU and the plain recurrent layer: operations of the same kind, or a loop where an activation is none of
// theirs.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/recurrent.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Recurrent {
  RecurrentSize size = {};
  bool sequence = false, bias = false, reverse = false;
  std::vector<Message> activations = {};
  Ex x = {}, h = {}, w = {}, r = {}, b = {};
};

Recurrent read(Layer& l, std::size_t activations) {
  need_inputs(l, 1, 2);
  Recurrent s{size_of(l),
              l.params.flag(15),
              l.params.flag(20),
              l.params.flag(100),
              l.params.messages(10),
              {},
              {},
              {},
              {},
              {}};
  if (s.activations.size() != activations)
    throw Error(Code::bad_input, text("has {} activations, it needs {}", s.activations.size(), activations));
  s.x = steps_of(l, l.in[0]);
  s.h = state_of(l, 1, s.x, s.size.hidden);
  return s;
}

// Weights in the order of the fields given: of the input, of the state, of the biases.
void read_weights(Layer& l, Recurrent& s, std::array<std::vector<std::uint32_t>, 3> fields) {
  auto parts = [&](std::size_t k) {
    std::vector<Part> out;
    for (std::uint32_t field : fields[k]) out.push_back({l.params.message(field), 1, 0});
    return out;
  };
  std::int64_t n = s.size.hidden;
  s.w = stacked(l, parts(0), {n, s.size.input});
  s.r = stacked(l, parts(1), {n, n});
  if (s.bias) s.b = stacked(l, parts(2), {n});
}

Attrs attributes(const Recurrent& s) {
  return attrs_of(
      {{"direction", std::string(s.reverse ? "reverse" : "forward")}, {"output_sequence", s.sequence}});
}

Ex product(const Ex& x, const Ex& w) { return emit(ops::matmul, {x, w}, {{"transpose_y", true}}); }

std::vector<Ex> looped(Layer& l, const Recurrent& s, const Step& step) {
  Ex x = product(s.x, s.w);
  if (s.b) x = x + s.b;
  return stepped(l, {x, {s.h}, s.reverse, s.sequence}, step);
}

std::vector<Ex> split(const Ex& x, std::int64_t n, std::int64_t axis) {
  return emit_all(ops::split, std::array{x}, attrs_of({{"num_splits", n}, {"axis", axis}}));
}

// Gates r, o, z.
std::vector<Ex> gru_step(Layer& l, const Recurrent& s, const Ex& x, const Ex& h) {
  std::vector<Ex> from_x = split(x, 3, -1), r = split({x.place(), s.r.id()}, 3, 0);
  Ex reset = activated(l, s.activations[0], from_x[0] + product(h, r[0])),
     keep = activated(l, s.activations[0], from_x[2] + product(h, r[2])),
     next = activated(l, s.activations[1], from_x[1] + product(reset * h, r[1]));
  return {next + keep * (h - next)};
}

Lowered as_blobs(const std::vector<Ex>& y) { return {blob_of_steps(y[0]), blob_of_state(y[1])}; }

}  // namespace

Lowered lower_gru(Layer& l) {
  Recurrent s = read(l, 2);
  read_weights(l, s, {{{31, 32, 30}, {51, 52, 50}, {71, 72, 70}}});
  auto gate = activation_word(s.activations[0]), output = activation_word(s.activations[1]);
  if (!gate || !output)
    return as_blobs(
        looped(l, s, [&](const Ex& x, std::span<const Ex> h) { return gru_step(l, s, x, h[0]); }));
  Attrs attrs = attributes(s);
  attrs.set("recurrent_activation", *gate);
  attrs.set("activation", *output);
  return as_blobs(emit_all(ops::gru, std::array{s.x, s.h, s.w, s.r, s.b}, attrs));
}

Lowered lower_simple_recurrent(Layer& l) {
  Recurrent s = read(l, 1);
  read_weights(l, s, {{{30}, {31}, {32}}});
  auto word = activation_word(s.activations[0]);
  if (!word)
    return as_blobs(looped(l, s, [&](const Ex& x, std::span<const Ex> h) -> std::vector<Ex> {
      return {activated(l, s.activations[0], x + product(h[0], s.r))};
    }));
  Attrs attrs = attributes(s);
  attrs.set("activation", *word);
  return as_blobs(emit_all(ops::rnn, std::array{s.x, s.h, s.w, s.r, s.b}, attrs));
}

}  // namespace tl::coreml
