// SPDX-License-Identifier: Apache-2.0
// Recurrent kernels against the reference: every instruction set here, all directions and cells, odd lengths.
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

struct Lengths {
  std::int64_t steps, batch, width, hidden;
};

struct Layer {
  const OpDef& op;
  int gates, states;
  std::vector<std::int64_t> extra;  // lengths, in hidden units, of the optional vectors; 0: absent
  bool both = false;
};

std::vector<Tensor> inputs_of(const Layer& layer, const Lengths& n, DType dtype) {
  unsigned seed = 1;
  double scale =
      1 / std::sqrt(static_cast<double>(n.hidden));  // else a long sequence is chaos, where rounding decides
  auto random = [&](Shape shape) { return random_tensor(dtype, std::move(shape), seed++, -scale, scale); };
  std::vector<Tensor> inputs{random({n.steps, n.batch, n.width})};
  for (int k = 0; k < layer.states; ++k) inputs.push_back(random({n.batch, n.hidden * (layer.both ? 2 : 1)}));
  for (int d = 0; d < (layer.both ? 2 : 1); ++d) {
    inputs.push_back(random({layer.gates * n.hidden, n.width}));
    inputs.push_back(random({layer.gates * n.hidden, n.hidden}));
    for (std::int64_t length : layer.extra) inputs.push_back(length ? random({length * n.hidden}) : Tensor());
  }
  return inputs;
}

void check_layer(const Layer& layer, Named attrs) {
  for (Lengths n : {Lengths{3, 2, 5, 4}, Lengths{1, 1, 1, 1}, Lengths{7, 5, 19, 33}, Lengths{300, 1, 8, 16}})
    for (DType dtype : {DType::f32, DType::f16})
      for (bool constant : {false, true}) {
        std::vector<Tensor> inputs = inputs_of(layer, n, dtype);
        Trial trial{layer.op, attrs_of(attrs), inputs, std::vector<bool>(inputs.size(), constant)};
        Attrs full = complete({layer.op.attrs.begin(), layer.op.attrs.end()}, trial.attrs);
        inputs.resize(layer.op.inputs.size());
        std::vector<Tensor> want = run_reference(layer.op, full, inputs);
        for (Isa isa : isas_here()) {
          ThreadPool pool(constant ? 3 : 1);
          std::vector<Tensor> got = run_kernel_outputs(trial, kernels::recurrent(isa), {isa, &pool});
          REQUIRE(got.size() == want.size());
          INFO(layer.op.name, " ", name_of(isa), " ", name_of(dtype), " steps ", n.steps, " hidden ",
               n.hidden);
          for (std::size_t i = 0; i < want.size(); ++i) CHECK(worst_error(got[i], want[i], 1e-5) <= 1);
        }
      }
}

const std::string reverse = "reverse", both = "bidirectional", hard = "hard_sigmoid", relu = "relu";

}  // namespace

TEST_CASE("lstm kernels are as the reference") {
  check_layer({ops::lstm, 4, 2, {4}}, {{"output_sequence", true}});
  check_layer({ops::lstm, 4, 2, {0, 3}}, {{"direction", reverse}, {"clip", 0.25}});
  check_layer({ops::lstm, 4, 2, {4, 3}, true}, {{"direction", both}, {"output_sequence", true}});
  check_layer({ops::lstm, 4, 2, {}}, {{"recurrent_activation", hard}, {"cell_activation", relu}});
}

TEST_CASE("gru kernels are as the reference") {
  check_layer({ops::gru, 3, 1, {3}}, {{"output_sequence", true}});
  check_layer({ops::gru, 3, 1, {3, 3}},
              {{"direction", reverse}, {"reset_after", true}, {"output_sequence", true}});
  check_layer({ops::gru, 3, 1, {3, 3}}, {});
  check_layer({ops::gru, 3, 1, {0, 3}}, {{"reset_after", true}});
}

TEST_CASE("rnn kernels are as the reference") {
  check_layer({ops::rnn, 1, 1, {1}}, {{"output_sequence", true}});
  check_layer({ops::rnn, 1, 1, {}}, {{"direction", reverse}, {"activation", hard}});
}

TEST_CASE("a recurrent layer of unknown lengths") {
  Graph graph;
  auto add = [&](Shape shape) { return graph.add_input(Type(DType::f32, std::move(shape)), "x"); };
  ValueId x = add({unknown, symbol(0), 5}), h = add({symbol(0), 4}), w = add({4, 5}), r = add({4, 4});
  Node node = graph.add_node(graph.body, ops::rnn, {x, h, w, r}, attrs_of({{"output_sequence", true}}));
  CHECK(graph.type(node.outputs[0]).shape == Shape{unknown, symbol(0), 4});
  CHECK(graph.type(node.outputs[1]).shape == Shape{symbol(0), 4});
  CHECK_THROWS_WITH(graph.add_node(graph.body, ops::rnn, {x, h, r, r}),
                    doctest::Contains("weight_ih is fp32[4, 4]"));
}

}  // namespace tl
