// SPDX-License-Identifier: Apache-2.0
// What the planner makes of a graph of convolutions: images in blocks of channels, the same results.
#include "op/kernel_test.h"
#include "op/ops.h"
#include "plan/plan.h"

namespace tl {

TEST_CASE("a graph of convolutions gives the same in blocks") {
  using Ints = std::vector<std::int64_t>;
  Graph graph;
  ValueId in = graph.add_input(Type(DType::f16, {1, 3, 20, 20}), "x");
  auto weight = [&](Shape shape, unsigned seed) {
    double scale = 1 / std::sqrt(static_cast<double>(volume(shape) / shape[0]));
    return graph.add_constant(random_tensor(DType::f16, shape, seed, -scale, scale));
  };
  auto add = [&](const OpDef& op, std::vector<ValueId> inputs, Named attrs = {}) {
    return graph.add_node(graph.body, op, std::move(inputs), attrs_of(attrs)).outputs[0];
  };
  std::string same = "same";
  ValueId a = add(ops::conv, {in, weight({24, 3, 3, 3}, 1), no_value},
                  {{"strides", Ints({2, 2})}, {"pad_type", same}});
  ValueId b = add(ops::relu, {a});
  ValueId c = add(ops::conv, {b, weight({24, 1, 3, 3}, 2), no_value},
                  {{"groups", std::int64_t{24}}, {"pad_type", same}});
  ValueId mean = add(ops::reduce_mean, {c}, {{"axes", Ints({2, 3})}, {"keep_dims", true}});
  ValueId gate = add(ops::sigmoid, {add(ops::conv, {mean, weight({24, 24, 1, 1}, 3), no_value})});
  ValueId scaled = add(ops::mul, {c, gate});
  ValueId e = add(ops::add, {add(ops::conv, {scaled, weight({24, 24, 1, 1}, 4), no_value}), b});
  graph.add_output(e, "e");
  graph.add_output(add(ops::max_pool, {e}, {{"kernel_sizes", Ints({2, 2})}, {"strides", Ints({2, 2})}}), "p");
  Tensor x = random_tensor(DType::f16, {1, 3, 20, 20}, 9);
  std::vector<RunValue> inputs{x}, want, got;
  ThreadPool pool(2);
  std::vector<Type> types{x.type()};
  plan::Plan::make(graph, types, {Isa::base, &pool})->run(inputs, want);
  std::shared_ptr<const plan::Plan> plan = plan::Plan::make(graph, types, {best_isa(), &pool});
  plan->run(inputs, got);
  if (best_isa() != Isa::base) CHECK(plan->describe().find("conv_blocked_stem") != std::string::npos);
  for (std::size_t i = 0; i < want.size(); ++i)
    CHECK(worst_error(std::get<Tensor>(got[i]), std::get<Tensor>(want[i]), 4e-3) <= 1);
}

}  // namespace tl
