// SPDX-License-Identifier: Apache-2.0
// One loaded model and several threads that predict at once: items_per_second should not fall as threads are
// added. The model is $TL_BENCH_MODEL, or the digits of the examples.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "cli/random_input.h"
#include "model/model.h"

namespace {

using namespace tl;

struct Loaded {
  Runtime runtime{Settings()};
  std::shared_ptr<Model> model = Model::load(path(), runtime);
  Features inputs = cli::random_inputs(model->function().interface, 0);

  static std::string path() {
    const char* named = std::getenv("TL_BENCH_MODEL");
    return named ? named : "examples/digits/digits.mlpackage";
  }
};

void predict(benchmark::State& state) {
  static const Loaded loaded;
  State own = loaded.model->make_state();
  PredictOptions call;
  call.state = &own;
  for (auto _ : state) benchmark::DoNotOptimize(loaded.model->predict(loaded.inputs, call));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(predict)->UseRealTime()->Unit(benchmark::kMillisecond)->ThreadRange(1, 16);

}  // namespace
