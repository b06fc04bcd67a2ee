// SPDX-License-Identifier: Apache-2.0
// The parts that recurrent layers are made of.
#include "format/coreml/network/recurrent.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::coreml {

RecurrentSize size_of(const Layer& l) {
  RecurrentSize size{l.params.integer(1), l.params.integer(2)};
  constexpr std::int64_t most = 1 << 20;
  if (size.input < 1 || size.hidden < 1 || size.input > most || size.hidden > most)
    throw Error(Code::bad_input, text("takes vectors of {} and gives ones of {}", size.input, size.hidden));
  return size;
}

// ---- activations

namespace {

bool has_parameters(const Message& m, double alpha, double beta) {
  return std::abs(m.number(1) - alpha) < 1e-6 && std::abs(m.number(2) - beta) < 1e-6;
}

}  // namespace

std::optional<std::string> activation_word(const Message& activation) {
  if (activation.has(5) && has_parameters(activation.message(5), 1, 0)) return "linear";
  if (activation.has(10)) return "relu";
  if (activation.has(30)) return "tanh";
  if (activation.has(40)) return "sigmoid";
  if (activation.has(41) && has_parameters(activation.message(41), 0.2, 0.5)) return "hard_sigmoid";
  return std::nullopt;
}

Ex activated(Layer& l, const Message& activation, const Ex& x) {
  if (activation.has(25) || activation.has(71))
    throw Error(Code::unsupported, "an activation with weights is not supported in a recurrent layer");
  Layer inner{l.net, x.place(), l.name, 130, activation, {x}, {}, true};
  return lower_activation(inner).at(0);
}

// ---- weights

Ex stacked(Layer& l, std::span<const Part> parts, const Shape& part) {
  Shape whole = part;
  whole[0] *= static_cast<Dim>(parts.size());
  Tensor all(DType::f32, whole);
  float* to = all.writable<float>().data();
  auto each = static_cast<std::size_t>(volume(part));
  for (const Part& p : parts) {
    Tensor t = p.factor == 0 ? from_doubles(std::vector<double>(each), DType::f32, part)
                             : weight_values(p.weight, part);
    to = std::transform(t.as<float>().begin(), t.as<float>().end(), to,
                        [&](float x) { return static_cast<float>(p.factor * x + p.plus); });
  }
  return constant(l.place, std::move(all));
}

// ---- blobs

Ex steps_of(const Layer& l, const Ex& x) {
  Ex five = l.nd ? x : ranked(x, 5);
  if (rank_of(five) != 5)
    throw Error(Code::bad_input, text("takes [Seq, Batch, C, 1, 1], not {}", text_of(x.shape())));
  if (five.shape()[3] == 1 && five.shape()[4] == 1)
    return emit(ops::squeeze, {five}, {{"axes", Integers{3, 4}}});
  Ex shape = emit(ops::concat, {shape_of(five, 0, 2), integers(l.place, {-1})});
  return emit(ops::reshape, {five, shape});
}

namespace {

// [steps, width of the batch, a length], as a shape.
Ex shape_with(const Ex& steps, std::int64_t first, std::int64_t length) {
  return emit(ops::concat, {shape_of(steps, first, 2), integers(steps.place(), {length})});
}

Ex zeros(const Ex& shape) { return emit(ops::fill, {shape}, {{"value", 0.0}}); }

}  // namespace

Ex state_of(const Layer& l, std::size_t input, const Ex& steps, std::int64_t width) {
  if (input >= l.in.size()) return zeros(shape_with(steps, 1, width));
  return reshaped(l.in[input], {-1, width});  // converters put its ones before or after
}

Ex blob_of_steps(const Ex& y) { return emit(ops::expand_dims, {y}, {{"axes", Integers{3, 4}}}); }
Ex blob_of_state(const Ex& h) { return emit(ops::expand_dims, {h}, {{"axes", Integers{0, 3, 4}}}); }

// ---- a loop over the steps

namespace {

struct Loop {
  const Layer& layer;
  const Steps& steps;
  Block condition = {}, body = {};

  Graph& graph() const { return *layer.place.graph; }
  // The loop variables as a block takes them: step, states, and all outputs if they are wanted.
  std::vector<Ex> inputs(Block& block, std::span<const Ex> initial) const {
    std::vector<Ex> out;
    for (const Ex& x : initial) {
      block.inputs.push_back(graph().add_value(x.type()));
      out.push_back({{&graph(), &block}, block.inputs.back()});
    }
    return out;
  }

  void make_condition(std::span<const Ex> initial, const Ex& count) {
    Ex step = inputs(condition, initial)[0];
    condition.outputs = {less(step, count).id()};
  }

  void make_body(std::span<const Ex> initial, const Ex& count, const Step& take) {
    std::vector<Ex> vars = inputs(body, initial);
    std::size_t n = steps.states.size();
    Place here = vars[0].place();
    Ex time = steps.reverse ? Ex(here, count.id()) - 1 - vars[0] : vars[0], inner_x(here, steps.x.id());
    std::vector<Ex> states = take(emit(ops::gather, {inner_x, time}), std::span(vars).subspan(1, n));
    std::vector<Ex> next{vars[0] + 1};
    next.insert(next.end(), states.begin(), states.end());
    if (steps.sequence) {
      Ex at = emit(ops::expand_dims, {vars[0]}, {{"axes", Integers{0}}}),
         row = emit(ops::expand_dims, {states[0]}, {{"axes", Integers{0}}});
      next.push_back(emit(ops::scatter, {vars[n + 1], at, row}, {{"mode", std::string("update")}}));
    }
    for (const Ex& x : next) body.outputs.push_back(x.id());
  }
};

}  // namespace

std::vector<Ex> stepped(const Layer& l, const Steps& steps, const Step& take) {
  std::int64_t hidden = steps.states[0].shape().back();
  std::vector<Ex> vars{integer(l.place, 0)};
  vars.insert(vars.end(), steps.states.begin(), steps.states.end());
  if (steps.sequence) vars.push_back(zeros(shape_with(steps.x, 0, hidden)));
  Ex count = one_number(shape_of(steps.x, 0, 1));
  Loop loop{l, steps, {}, {}};
  loop.make_condition(vars, count);
  loop.make_body(vars, count, take);
  std::vector<ValueId> inputs;
  for (const Ex& x : vars) inputs.push_back(x.id());
  NodeParts parts{l.name, {}};
  parts.blocks.push_back(std::move(loop.condition));
  parts.blocks.push_back(std::move(loop.body));
  const Node& node =
      l.place.graph->add_node(*l.place.block, ops::while_loop, std::move(inputs), {}, std::move(parts));
  std::vector<Ex> out;
  for (std::size_t i = 1; i < node.outputs.size(); ++i) out.push_back({l.place, node.outputs[i]});
  if (steps.sequence) std::rotate(out.begin(), out.end() - 1, out.end());
  else out.insert(out.begin(), emit(ops::expand_dims, {out[0]}, {{"axes", Integers{0}}}));
  return out;
}

}  // namespace tl::coreml
