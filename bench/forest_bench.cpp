// SPDX-License-Identifier: Apache-2.0
// A forest of 500 trees of depth 10 over a million rows, one float32 array through Model::predict.
// bench/forest.py measures the same forest against scikit-learn's: it names the files in FOREST_MODEL and
// FOREST_ROWS; without them, trees and rows are made up.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <random>

#include "format/data/npy.h"
#include "ir/ex.h"
#include "model/model.h"
#include "op/ops.h"
#include "op/tree.h"

namespace {

using namespace tl;

constexpr Dim features = 20, row_count = 1000000;
constexpr std::int64_t tree_count = 500, depth = 10;

Tensor column(const std::vector<std::int64_t>& values) {
  return from_integers(values, DType::i32, {static_cast<Dim>(values.size())});
}

// Complete trees, numbered as heaps are.
std::vector<Tensor> made_up_trees() {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::vector<std::int64_t> root, feature, behavior, yes, no, missing, first, index;
  std::vector<double> threshold, value;
  constexpr std::int64_t size = (2 << depth) - 1, branches = (1 << depth) - 1;
  for (std::int64_t t = 0; t < tree_count; ++t) {
    root.push_back(t * size);
    for (std::int64_t i = 0; i < size; ++i) {
      bool leaf = i >= branches;
      feature.push_back(static_cast<std::int64_t>(random() % features));
      threshold.push_back(normal(random));
      behavior.push_back(leaf ? trees::leaf : trees::at_most);
      yes.push_back(leaf ? 0 : t * size + 2 * i + 1);
      no.push_back(leaf ? 0 : t * size + 2 * i + 2);
      missing.push_back(0);
      first.push_back(static_cast<std::int64_t>(value.size()));
      if (leaf) index.push_back(0), value.push_back(normal(random));
    }
  }
  first.push_back(static_cast<std::int64_t>(value.size()));
  auto reals = [](const std::vector<double>& v) {
    return from_doubles(v, DType::f64, {static_cast<Dim>(v.size())});
  };
  return {column(root),    column(feature), reals(threshold), column(behavior), column(yes), column(no),
          column(missing), column(first),   column(index),    reals(value),     reals({0.0})};
}

ModelFile made_up_model() {
  Graph graph;
  Place place{&graph, &graph.body};
  std::vector<Ex> in{{place, graph.add_input(Type(DType::f64, {graph.new_symbol(), features}), "x")}};
  for (Tensor& t : made_up_trees()) in.push_back(constant(place, std::move(t)));
  graph.add_output(emit(ops::tree_ensemble, in, Attrs()).id(), "y");
  Function function;
  function.graph = std::move(graph);
  function.by_rows = true;
  function.interface.inputs = {{.name = "x", .dtype = DType::f64, .shape = {features}}};
  function.interface.outputs = {{.name = "y", .kind = FeatureKind::double_}};
  ModelFile file;
  file.type = "treeEnsembleRegressor";
  file.functions.push_back(std::move(function));
  return file;
}

Tensor made_up_rows() {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  Tensor rows(DType::f32, {row_count, features});
  for (float& x : rows.writable<float>()) x = normal(random);
  return rows;
}

void forest(benchmark::State& state) {
  Settings settings;
  settings.threads = static_cast<int>(state.range(0));
  Runtime runtime(settings);
  const char *model_path = std::getenv("FOREST_MODEL"), *rows_path = std::getenv("FOREST_ROWS");
  Model model(model_path ? read_model(model_path) : made_up_model(), runtime);
  Tensor rows = rows_path ? data::read_npy(rows_path) : made_up_rows();
  Features inputs{{model.function().interface.inputs.at(0).name, rows}};
  model.predict(inputs);
  for (auto _ : state) benchmark::DoNotOptimize(model.predict(inputs));
  state.counters["rows/s"] = benchmark::Counter(static_cast<double>(rows.shape()[0] * state.iterations()),
                                                benchmark::Counter::kIsRate);
}

}  // namespace

BENCHMARK(forest)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);
