// SPDX-License-Identifier: Apache-2.0
// Binding features to a graph, choosing a plan for their shapes, running it.
#include "model/model.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "model/convert.h"
#include "model/feature.h"
#include "model/plan_cache.h"
#include "model/program_identity.h"
#include "model/row.h"
#include "op/ops.h"
#include "pass/precision.h"

namespace tl {
namespace {

constexpr std::size_t most_plans = 16;  // kept for different shapes of the inputs

std::vector<std::string_view> names_of(std::span<const Feature> features) {
  std::vector<std::string_view> names;
  for (const Feature& feature : features) names.push_back(feature.name);
  return names;
}

std::string listed(std::span<const std::string_view> names) {
  std::string all;
  for (std::string_view name : names) all += text("{}'{}'", all.empty() ? "" : ", ", name);
  return all;
}

void check_names(const Interface& interface, const Features& inputs) {
  std::vector<std::string_view> names = names_of(interface.inputs);
  for (const auto& [name, value] : inputs)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error(Code::bad_input, text("there is no input '{}'{}; the inputs are {}", printable(name),
                                        did_you_mean(name, names), listed(names)));
}

ValueId find_value(const Graph& graph, const std::string& name) {
  std::vector<std::string_view> names;
  ValueId found = no_value;
  for_each_node(graph.body, [&](const Node& node) {
    for (ValueId v : node.outputs) {
      names.push_back(graph.value(v).name);
      if (graph.value(v).name == name) found = v;
    }
  });
  if (found == no_value)
    throw Error(Code::bad_input,
                text("there is no value '{}' to keep{}", printable(name), did_you_mean(name, names)));
  return found;
}

const Feature* find_feature(std::span<const Feature> features, std::string_view name) {
  for (const Feature& feature : features)
    if (feature.name == name) return &feature;
  return nullptr;
}

// What a value that the interface does not declare is given out as.
Feature undeclared(const std::string& name, const RunValue& value) {
  Feature feature;
  feature.name = name;
  if (const auto* tensor = std::get_if<Tensor>(&value))
    feature.dtype = tensor->dtype(), feature.shape = tensor->shape();
  return feature;
}

void check_type(const Feature& feature, const Type& declared, const Type& given) {
  bool fits = declared.dtype == given.dtype && (!declared.ranked || declared.rank() == given.rank());
  for (std::size_t d = 0; fits && declared.ranked && d < declared.rank(); ++d)
    fits = !is_known(declared.shape[d]) || declared.shape[d] == given.shape[d] || feature.flexible();
  if (!fits)
    throw Error(Code::bad_input, text("input '{}' is {}, the program computes with {}", feature.name,
                                      text_of(given), text_of(declared)));
}

std::optional<DType> precision_of(const Runtime& runtime, const ModelFile& file) {
  const std::string& wanted = runtime.settings().precision;
  if (wanted == "fp16") return DType::f16;
  if (wanted == "fp32") return DType::f32;
  if (wanted == "reference") return DType::f64;
  bool typed = file.type == "mlProgram";
  return typed ? std::nullopt : std::optional(DType::f32);
}

std::unique_ptr<PlanCache> cache_of(const std::optional<ModelSource>& source, const Runtime& runtime) {
  if (!source || !runtime.settings().cache || program_identity().empty()) return nullptr;
  return std::make_unique<PlanCache>(*source, runtime);
}

}  // namespace

Model::Model(ModelFile file, const Runtime& runtime, const std::optional<ModelSource>& source)
    : file_(std::move(file)),
      runtime_(runtime),
      cache_(cache_of(source, runtime)),
      packed_(cache_.get()),
      machine_(runtime.machine()) {
  machine_.packed = &packed_;
  for (const auto& [name, part] : file_.parts) {
    std::optional<ModelSource> own = source;
    if (own) own->part += "/" + name;
    parts_.emplace_back(name, std::make_shared<const Model>(part, runtime_, own));
  }
  if (std::optional<DType> floating = precision_of(runtime_, file_))
    for (Function& function : file_.functions)
      if (function.graph && !function.by_rows) function.graph = pass::retyped(*function.graph, *floating);
  for (const Function& function : file_.functions)
    if (cache_ && function.graph) cache_->know(*function.graph);
}

Model::~Model() = default;

struct Model::Bound {
  std::vector<RunValue> values = {};
  std::vector<Type> types = {};
};

std::shared_ptr<Model> Model::load(const std::string& path, const Runtime& runtime) {
  std::optional<ModelSource> source = runtime.settings().cache ? source_of(path) : std::nullopt;
  return std::make_shared<Model>(read_model(path), runtime, source);
}

const Function& Model::function(std::string_view name) const {
  if (name.empty()) name = file_.default_function;
  std::vector<std::string_view> names;
  for (const Function& function : file_.functions) {
    if (function.name == name) return function;
    names.push_back(function.name);
  }
  if (names.empty())
    throw Error(Code::unsupported, text("{}: a {} file holds weights and no program: a script reads them "
                                        "with load_model(\"{}\").get_tensor(\"NAME\")",
                                        file_.path, file_.format, file_.path));
  throw Error(Code::bad_input, text("there is no function '{}'{}; the functions are {}", printable(name),
                                    did_you_mean(name, names), listed(names)));
}

const Graph& Model::graph(const Function& f) const {
  if (f.graph) return *f.graph;
  std::string why = f.why_not.empty() ? text("a model of type {} cannot run", file_.type) : f.why_not;
  throw Error(Code::unsupported, file_.path.empty() ? why : text("{}: {}", file_.path, why));
}

void Model::check_runs(std::string_view name) const {
  const Function& f = function(name);
  if (f.conversion) return;
  if (parts_.empty()) return void(graph(f));
  for (const auto& [part, model] : parts_)
    with_note([&part = part] { return text("part '{}'", printable(part)); },
              [&model = model] { model->check_runs(); });
}

State Model::make_state(std::string_view name) const {
  State state;
  for (const auto& [part, model] : parts_) state.cells.merge(model->make_state().cells);
  const Function& f = function(name);
  if (!f.graph) return state;
  const Graph& g = *f.graph;
  for (ValueId v : g.body.inputs) {
    const Type& type = g.type(v);
    if (type.kind != Type::Kind::state) continue;
    std::vector<double> zeros(static_cast<std::size_t>(volume(type.shape)), 0);
    state.cells[g.value(v).name] =
        std::make_shared<StateCell>(StateCell{from_doubles(zeros, type.dtype, type.shape)});
  }
  return state;
}

Model::Bound Model::bind(const Function& f, const Graph& g, const Features& inputs,
                         const PredictOptions& options) const {
  Bound bound;
  State fresh;
  for (ValueId v : g.body.inputs) {
    const std::string& name = g.value(v).name;
    const Type& type = g.type(v);
    if (type.kind == Type::Kind::state) {
      State* state = options.state ? options.state : &fresh;
      if (!state->cells.contains(name)) state->cells.merge(make_state(f.name).cells);
      bound.values.emplace_back(state->cells.at(name));
      bound.types.push_back(type);
      continue;
    }
    const Feature* feature = find_feature(f.interface.inputs, name);
    if (!feature)
      throw Error(Code::bad_input,
                  text("the program takes '{}', which the model's description does not list", name));
    const FeatureValue* value = find(inputs, name);
    if (!value && !feature->optional)
      throw Error(Code::bad_input, text("input '{}' is missing: it takes {}", name, describe(*feature)));
    Tensor t = value ? to_input(*feature, *value, type, options.notice) : default_input(*feature, type);
    check_type(*feature, type, t.type());
    bound.types.push_back(t.type());
    bound.values.emplace_back(std::move(t));
  }
  return bound;
}

std::shared_ptr<const plan::Plan> Model::plan_for(const Function& f, const Graph& g,
                                                  std::span<const Type> types,
                                                  std::span<const std::string> keep) const {
  std::string key = f.name;
  for (const Type& type : types) key += " " + text_of(type);
  for (const std::string& name : keep) key += " keep " + name;
  std::lock_guard lock(mutex_);
  auto found =
      std::find_if(plans_.begin(), plans_.end(), [&](const Cached& cached) { return cached.key == key; });
  if (found != plans_.end()) {
    std::rotate(found, found + 1, plans_.end());
    return plans_.back().plan;
  }
  std::shared_ptr<const plan::Plan> plan;
  if (keep.empty()) plan = plan::Plan::make(g, types, machine_);
  else {
    Graph wider = g;
    for (const std::string& name : keep) wider.add_output(find_value(g, name), name);
    plan = plan::Plan::make(wider, types, machine_);
  }
  if (cache_) cache_->save();
  if (plans_.size() >= most_plans) plans_.erase(plans_.begin());
  plans_.push_back({std::move(key), plan});
  return plan;
}

void Model::prepare(const Features& inputs, const PredictOptions& options) const {
  const Function& f = function(options.function);
  if (!f.graph) {
    check_runs(options.function);
    if (!parts_.empty()) predict(inputs, options);  // what parts take is known when others have run
    return;
  }
  std::vector<Type> types;
  if (f.by_rows)
    for (const Tensor& t : rows_of_inputs(f, inputs).values) types.push_back(t.type());
  else types = bind(f, *f.graph, inputs, options).types;
  plan_for(f, *f.graph, types, options.keep);
}

std::vector<RunValue> Model::run(const plan::Plan& plan, std::span<const RunValue> values,
                                 const PredictOptions& options) const {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  double limit = runtime_.settings().timeout;
  std::function<bool()> late = [&] {
    return std::chrono::duration<double>(Clock::now() - start).count() > limit;
  };
  plan::RunOptions run{runtime_.settings().seed, limit > 0 ? &late : nullptr, options.profile};
  std::vector<RunValue> results;
  try {
    plan.run(values, results, run);
  } catch (const Error& e) {
    if (e.code() != Code::interrupted || limit <= 0) throw;
    std::string where = e.what();  // the loop it was in
    where.resize(std::min(where.size(), where.rfind("stopped")));
    throw Error(Code::bad_input, text("{}the run took longer than {:g} s and was stopped", where, limit));
  }
  return results;
}

Features Model::predict_graph(const Function& f, const Features& inputs,
                              const PredictOptions& options) const {
  Bound bound = bind(f, *f.graph, inputs, options);
  std::vector<RunValue> results =
      run(*plan_for(f, *f.graph, bound.types, options.keep), bound.values, options);
  std::vector<std::string> names = f.graph->output_names;
  names.insert(names.end(), options.keep.begin(), options.keep.end());
  Features outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Feature* declared = find_feature(f.interface.outputs, names[i]);
    outputs.emplace_back(names[i],
                         to_output(declared ? *declared : undeclared(names[i], results[i]), results[i]));
  }
  return outputs;
}

Features Model::predict_rows(const Function& f, const Features& inputs, const PredictOptions& options) const {
  RowInputs rows = rows_of_inputs(f, inputs);
  std::vector<Type> types;
  for (const Tensor& t : rows.values) types.push_back(t.type());
  std::vector<RunValue> values(rows.values.begin(), rows.values.end());
  std::vector<RunValue> results = run(*plan_for(f, *f.graph, types, options.keep), values, options);
  Features outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto* t = std::get_if<Tensor>(&results[i]);
    TL_ASSERT(t);
    bool kept = i >= f.graph->output_names.size();
    const std::string& name =
        kept ? options.keep[i - f.graph->output_names.size()] : f.graph->output_names[i];
    const Feature* declared = find_feature(f.interface.outputs, name);
    outputs.emplace_back(name, declared ? from_rows(f, *declared, *t, rows.batch) : FeatureValue(*t));
  }
  return outputs;
}

Features Model::predict(const Features& inputs, const PredictOptions& options) const {
  const Function& f = function(options.function);
  check_names(f.interface, inputs);
  if (!parts_.empty()) return predict_parts(f, inputs, options);
  if (f.conversion) return convert(f, inputs);
  graph(f);
  return f.by_rows ? predict_rows(f, inputs, options) : predict_graph(f, inputs, options);
}

}  // namespace tl
