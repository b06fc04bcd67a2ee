// SPDX-License-Identifier: Apache-2.0
// A model cut at its tables gives what the whole gives.
#include "model/split_embedding.h"

#include <doctest/doctest.h>

#include "op/formulas.h"
#include "op/reference.h"

namespace tl {
namespace {

Function model_with(Dim words) {
  Function f;
  f.graph.emplace();
  Graph& g = *f.graph;
  Place place{&g, &g.body};
  std::vector<double> numbers(static_cast<std::size_t>(words * 500));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i % 97);
  for (const char* name : {"ids", "kinds"}) {
    Feature feature;
    feature.name = name, feature.dtype = DType::i32, feature.shape = {1, 3};
    f.interface.inputs.push_back(feature);
    g.add_input({DType::i32, {1, 3}}, name);
  }
  Ex table = constant(place, from_doubles(numbers, DType::f32, {words, 500}));
  Ex few = constant(place, from_doubles(std::span(numbers).first(1000), DType::f32, {2, 500}));
  Ex x = emit(ops::gather, {table, Ex(place, g.body.inputs[0])});
  Ex y = x * 2 + emit(ops::gather, {few, Ex(place, g.body.inputs[1])});
  g.add_output(y.id(), "y");
  Feature out;
  out.name = "y", out.shape = {1, 3, 500};
  f.interface.outputs.push_back(out);
  return f;
}

std::map<std::string, Tensor> run(const Function& f, const std::map<std::string, Tensor>& inputs) {
  std::map<ValueId, Tensor> values;
  const Graph& g = *f.graph;
  for (ValueId v : g.body.inputs) values[v] = inputs.at(g.value(v).name);
  run_reference(g, g.body, values);
  std::map<std::string, Tensor> out;
  for (std::size_t i = 0; i < g.body.outputs.size(); ++i)
    out[g.output_names[i]] = values.at(g.body.outputs[i]);
  return out;
}

}  // namespace

TEST_CASE("a large table is split off, and small ones with it") {
  Function whole = model_with(3000);
  std::vector<Function> parts = split_embedding(whole);
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].name == "main_embed");
  CHECK(parts[0].graph->body.nodes.size() == 2);
  CHECK(parts[1].name == "main_body");
  CHECK(parts[1].interface.inputs.size() == 2);
  CHECK(parts[1].interface.inputs[0].name == "rows_0");
  std::map<std::string, Tensor> inputs{
      {"ids", from_integers(std::vector<std::int64_t>{5, 2999, 7}, DType::i32, {1, 3})},
      {"kinds", from_integers(std::vector<std::int64_t>{0, 1, 1}, DType::i32, {1, 3})}};
  std::map<std::string, Tensor> rows = run(parts[0], inputs);
  CHECK(same(run(parts[1], rows).at("y"), run(whole, inputs).at("y")));
}

TEST_CASE("small tables alone stay") { CHECK(split_embedding(model_with(100)).empty()); }

}  // namespace tl
