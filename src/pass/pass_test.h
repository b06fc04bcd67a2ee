// SPDX-License-Identifier: Apache-2.0
// What tests of rewrites share: random constants, and both graphs run on the same random inputs.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "op/formulas.h"
#include "op/reference.h"

namespace tl::test {

inline Tensor random_tensor(const Type& type, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> draw(-1, 1);
  std::vector<double> values(static_cast<std::size_t>(volume(type.shape)));
  for (double& x : values) x = draw(engine);
  return from_doubles(values, type.dtype, type.shape);
}

struct Builder {
  Graph graph = {};
  unsigned seed = 1;
  Place place() { return {&graph, &graph.body}; }
  Ex input(Shape shape) { return {place(), graph.add_input({DType::f32, std::move(shape)}, "x")}; }
  Ex weight(Shape shape) { return constant(place(), random_tensor({DType::f32, std::move(shape)}, seed++)); }
  Ex number(double x) { return constant(place(), scalar(x, DType::f32)); }
  Ex reshaped(const Ex& x, std::vector<std::int64_t> shape) {
    return emit(ops::reshape, {x, integers(place(), std::move(shape))});
  }
  Ex transposed(const Ex& x, std::vector<std::int64_t> perm) {
    return emit(ops::transpose, {x}, {{"perm", std::move(perm)}});
  }
  void output(const Ex& y) { graph.add_output(y.id(), "y"); }
};

inline std::vector<double> results(const Graph& graph) {
  std::map<ValueId, Tensor> values;
  unsigned seed = 100;
  for (ValueId v : graph.body.inputs) values[v] = random_tensor(graph.type(v), seed++);
  run_reference(graph, graph.body, values);
  std::vector<double> all;
  for (ValueId v : graph.body.outputs)
    for (double x : to_doubles(graph.value(v).is_constant() ? graph.value(v).constant : values.at(v)))
      all.push_back(x);
  return all;
}

inline void check_same_results(const Graph& before, const Graph& after) {
  verify(after, "a pass");
  std::vector<double> a = results(before), b = results(after);
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  CHECK(worst < 1e-4);
}

inline int count(const Graph& graph, const OpDef& op) {
  int n = 0;
  for_each_node(graph.body, [&](const Node& node) { n += node.op == &op; });
  return n;
}

}  // namespace tl::test
