// SPDX-License-Identifier: Apache-2.0
// The façade that the command line, the language and the C API share: load, predict, ask.
#pragma once
#include <map>
#include <mutex>

#include "model/model_source.h"
#include "model/runtime.h"
#include "model/value.h"
#include "op/packed.h"
#include "plan/plan.h"

namespace tl {

class PlanCache;  // model/plan_cache.h

// What a model remembers between predictions; owned by the caller, one per session.
struct State {
  std::map<std::string, std::shared_ptr<StateCell>> cells = {};
};

struct PredictOptions {
  std::string function = {};           // empty: the default one
  State* state = nullptr;              // null: fresh zeros for this call
  std::vector<std::string> keep = {};  // intermediate values to give as well
  Notice notice = {};
  std::vector<plan::StepProfile>* profile = nullptr;
};

class Model {
 public:
  // Finds the format by content. The runtime must outlive the model.
  static std::shared_ptr<Model> load(const std::string& path, const Runtime&);
  // With the source, packed weights may come from the plan cache.
  explicit Model(ModelFile, const Runtime&, const std::optional<ModelSource>& = {});
  ~Model();

  const ModelFile& file() const { return file_; }
  const Runtime& runtime() const { return runtime_; }
  // Throws Error that lists the names.
  const Function& function(std::string_view name = {}) const;
  // Throws Error that says why the function cannot run, if it cannot.
  void check_runs(std::string_view function = {}) const;

  State make_state(std::string_view function = {}) const;  // zeros

  // Outputs in the order of the interface. Missing optional inputs take their default; unknown names are an
  // error that lists the names. Safe from several threads. Classic models (trees, vectors, neighbours …) and
  // pipelines of them also take many examples at once, arrays with one more dimension than is declared, and
  // then give arrays of [rows, …].
  Features predict(const Features& inputs, const PredictOptions& = {}) const;

  // Of each of these, in order. The threads take one prediction each instead of sharing one, which is quicker
  // for small models, unless the function has states. Throws the first row's error, which says which it was.
  std::vector<Features> predict_each(std::span<const Features>, const PredictOptions& = {}) const;

  // Plans for the shapes of these inputs without running; what `bench` times as loading.
  void prepare(const Features& inputs, const PredictOptions& = {}) const;

 private:
  struct Bound;                               // inputs in the graph's order
  const Graph& graph(const Function&) const;  // throws Error that says why there is none
  Bound bind(const Function&, const Graph&, const Features&, const PredictOptions&) const;
  std::shared_ptr<const plan::Plan> plan_for(const Function&, const Graph&, std::span<const Type>,
                                             std::span<const std::string> keep) const;
  std::vector<RunValue> run(const plan::Plan&, std::span<const RunValue>, const PredictOptions&) const;
  Features predict_graph(const Function&, const Features&, const PredictOptions&) const;
  Features predict_rows(const Function&, const Features&, const PredictOptions&) const;
  Features predict_parts(const Function&, const Features&, const PredictOptions&) const;

  ModelFile file_;
  const Runtime& runtime_;
  std::unique_ptr<PlanCache> cache_;
  mutable PackedStore packed_;
  Machine machine_;
  std::vector<std::pair<std::string, std::shared_ptr<const Model>>> parts_ = {};  // of a pipeline, in order
  mutable std::mutex mutex_;
  struct Cached {
    std::string key;
    std::shared_ptr<const plan::Plan> plan;
  };
  mutable std::vector<Cached> plans_;  // most recently used last, bounded
};

// Reads a file into what it holds, by content: also those that cannot run.
ModelFile read_model(const std::string& path);

}  // namespace tl
