// SPDX-License-Identifier: Apache-2.0
// Pipelines: models in order, wired by the names of their features (coreml.md 7.1).
#include "base/error.h"
#include "base/text.h"
#include "model/feature.h"
#include "model/model.h"

namespace tl {
namespace {

FeatureValue* find_in(Features& known, std::string_view name) {
  for (auto& [key, value] : known)
    if (key == name) return &value;
  return nullptr;
}

void put(Features& known, const std::string& name, FeatureValue value) {
  if (FeatureValue* there = find_in(known, name)) *there = std::move(value);
  else known.emplace_back(name, std::move(value));
}

// A number that was declared as an array of one, and the other way around.
FeatureValue conformed(const Feature& feature, FeatureValue value) {
  bool number = feature.kind == FeatureKind::int64 || feature.kind == FeatureKind::double_;
  const auto* t = std::get_if<Tensor>(&value);
  if (number && t && t->size() == 1 && t->dtype() != DType::string) return to_output(feature, *t);
  if (number && std::holds_alternative<double>(value) && feature.kind == FeatureKind::int64)
    return to_output(feature, scalar(std::get<double>(value), DType::f64));
  if (number && std::holds_alternative<std::int64_t>(value) && feature.kind == FeatureKind::double_)
    return static_cast<double>(std::get<std::int64_t>(value));
  if (feature.kind != FeatureKind::tensor) return value;
  if (const auto* real = std::get_if<double>(&value)) return from_doubles({real, 1}, feature.dtype, {1});
  if (const auto* whole = std::get_if<std::int64_t>(&value))
    return from_integers({whole, 1}, feature.dtype, {1});
  return value;
}

void add_profile(std::vector<plan::StepProfile>& whole, const std::vector<plan::StepProfile>& run) {
  if (whole.size() != run.size()) return void(whole = run);
  for (std::size_t i = 0; i < run.size(); ++i) whole[i].seconds += run[i].seconds;
}

}  // namespace

Features Model::predict_parts(const Function& f, const Features& inputs,
                              const PredictOptions& options) const {
  for (const Feature& feature : f.interface.inputs)
    if (!feature.optional && !find(inputs, feature.name))
      throw Error(Code::bad_input,
                  text("input '{}' is missing: it takes {}", feature.name, describe(feature)));
  Features known = inputs;
  std::vector<plan::StepProfile> profile;
  for (const auto& [name, model] : parts_) {
    const Interface& interface = model->function().interface;
    Features given;
    for (const Feature& feature : interface.inputs)
      if (const FeatureValue* value = find(known, feature.name))
        given.emplace_back(feature.name, conformed(feature, *value));
    std::vector<plan::StepProfile> steps;
    PredictOptions call;
    call.state = options.state, call.notice = options.notice;
    if (options.profile) call.profile = &steps;
    with_note([&name = name] { return text("part '{}'", printable(name)); },
              [&, &model = model] {
                for (auto& [output, value] : model->predict(given, call))
                  put(known, output, std::move(value));
              });
    profile.insert(profile.end(), steps.begin(), steps.end());
  }
  if (options.profile) add_profile(*options.profile, profile);
  Features outputs;
  auto give = [&](const std::string& name, const Feature* feature) {
    const FeatureValue* value = find(known, name);
    if (!value) throw Error(Code::bad_input, text("no part of the pipeline gives '{}'", printable(name)));
    outputs.emplace_back(name, feature ? conformed(*feature, *value) : *value);
  };
  for (const Feature& feature : f.interface.outputs) give(feature.name, &feature);
  for (const std::string& name : options.keep) give(name, nullptr);
  return outputs;
}

}  // namespace tl
