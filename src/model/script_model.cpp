// SPDX-License-Identifier: Apache-2.0
// Models in scripts: metadata as a map, predictions by name, weights as tensors.
#include "model/script_model.h"

#include "base/error.h"
#include "base/text.h"
#include "model/feature.h"
#include "model/metadata.h"

namespace tl {

using lang::Kind;
using lang::NamedValues;
using Entries = std::vector<std::pair<lang::Value, lang::Value>>;

// ---- values and features

namespace {

lang::Value value_of_dictionary(const Dictionary& d) {
  Entries entries;
  std::vector<double> values = to_doubles(d.values);
  bool strings = d.keys.dtype() == DType::string;
  std::vector<std::int64_t> numbers = strings ? std::vector<std::int64_t>{} : to_integers(d.keys);
  for (std::size_t i = 0; i < values.size(); ++i)
    entries.emplace_back(strings ? lang::Value(d.keys.as<std::string>()[i]) : lang::Value(numbers[i]),
                         lang::Value(values[i]));
  return lang::make_map(std::move(entries));
}

FeatureValue dictionary_of(const lang::MapObject& map) {
  std::vector<std::string> keys;
  std::vector<std::int64_t> numbers;
  std::vector<double> values;
  for (const auto& [key, value] : map.entries) {
    if (!value.is_plain_number()) throw Error(Code::bad_input, "a dictionary of a model holds numbers");
    if (key.is(Kind::string)) keys.push_back(key.string());
    else if (key.is(Kind::integer)) numbers.push_back(key.integer());
    values.push_back(value.number());
  }
  auto n = static_cast<Dim>(values.size());
  if (!keys.empty() && !numbers.empty())
    throw Error(Code::bad_input, "the keys of a dictionary are all strings or all ints");
  Tensor key_tensor = numbers.empty() ? from_strings(keys, {static_cast<Dim>(keys.size())})
                                      : from_integers(numbers, DType::i64, {n});
  return Dictionary{key_tensor, from_doubles(values, DType::f64, {n})};
}

}  // namespace

lang::Value value_of(const FeatureValue& v) {
  if (const auto* tensor = std::get_if<Tensor>(&v)) return lang::Value(*tensor);
  if (const auto* image = std::get_if<Image>(&v)) return lang::Value(image->pixels);
  if (const auto* integer = std::get_if<std::int64_t>(&v)) return lang::Value(*integer);
  if (const auto* number = std::get_if<double>(&v)) return lang::Value(*number);
  if (const auto* string = std::get_if<std::string>(&v)) return lang::Value(*string);
  return value_of_dictionary(std::get<Dictionary>(v));
}

namespace {

// A list as a tensor: numbers and nested lists of one length, or strings.
Tensor tensor_of_list(const lang::Value& v) {
  const auto& items = v.list();
  bool strings = !items.empty();
  for (const lang::Value& item : items) strings &= item.is(Kind::string);
  if (!strings) return lang::as_tensor(v, DType::f32);
  std::vector<std::string> all;
  for (const lang::Value& item : items) all.push_back(item.string());
  auto n = static_cast<Dim>(all.size());
  return from_strings(std::move(all), {n});
}

}  // namespace

FeatureValue feature_of(const lang::Value& v) {
  switch (v.kind()) {
    case Kind::tensor: return v.tensor();
    case Kind::integer: return v.integer();
    case Kind::boolean: return std::int64_t{v.boolean()};
    case Kind::number: return v.number();
    case Kind::string: return v.string();
    case Kind::list: return tensor_of_list(v);
    case Kind::map: return dictionary_of(v.as<lang::MapObject>());
    default:
      throw Error(Code::bad_input, text("a {} cannot be an input of a model", lang::name_of(v.kind())));
  }
}

// ---- the model

namespace {

lang::Value strings(const std::vector<std::string>& all) {
  return std::vector<lang::Value>(all.begin(), all.end());
}

lang::Value describe_all(const std::vector<Feature>& features) {
  Entries entries;
  for (const Feature& f : features) entries.emplace_back(lang::Value(f.name), lang::Value(describe(f)));
  return lang::make_map(std::move(entries));
}

struct ScriptState : lang::HostState {
  State state;
};

}  // namespace

lang::Value ScriptModel::metadata() {
  Metadata m = metadata_of(model_->file());
  Entries user;
  for (const auto& [key, value] : m.user) user.emplace_back(lang::Value(key), lang::Value(value));
  Entries all;
  for (auto& [name, word] : words_of(m)) all.emplace_back(lang::Value(name), lang::Value(std::move(word)));
  auto add = [&all](std::string_view name, lang::Value value) {
    all.emplace_back(lang::Value(std::string(name)), std::move(value));
  };
  add("spec_version", m.spec_version);
  add("inputs", describe_all(m.interface.inputs));
  add("outputs", describe_all(m.interface.outputs));
  add("states", describe_all(m.interface.states));
  add("functions", strings(m.functions));
  add("parameters", m.parameters);
  add("bytes", static_cast<std::int64_t>(m.bytes));
  add("user", lang::make_map(std::move(user)));
  return lang::make_map(std::move(all));
}

std::vector<std::string> ScriptModel::functions() {
  std::vector<std::string> names;
  for (const Function& f : model_->file().functions) names.push_back(f.name);
  return names;
}

std::vector<std::string> ScriptModel::inputs(const std::string& function) {
  std::vector<std::string> names;
  for (const Feature& f : model_->function(function).interface.inputs) names.push_back(f.name);
  return names;
}

NamedValues ScriptModel::predict(const NamedValues& inputs, const std::string& function,
                                 lang::HostState* state) {
  Features features;
  for (const auto& [name, value] : inputs)
    features.emplace_back(name, with_note([&name = name] { return text("input '{}'", name); },
                                          [&value = value] { return feature_of(value); }));
  PredictOptions options;
  options.function = function;
  options.notice = [&](const std::string& line) { warn_(line + "\n"); };
  if (state) options.state = &static_cast<ScriptState*>(state)->state;
  NamedValues outputs;
  for (const auto& [name, value] : model_->predict(features, options))
    outputs.emplace_back(name, value_of(value));
  return outputs;
}

std::shared_ptr<lang::HostState> ScriptModel::make_state(const std::string& function) {
  auto state = std::make_shared<ScriptState>();
  state->state = model_->make_state(function);
  return state;
}

// ---- weights: those the file lists, or the constants of its programs by name

namespace {

template <class Visit> void each_weight(const ModelFile& file, const Visit& visit) {
  for (const NamedTensor& t : file.tensors) visit(t.name, &t, nullptr);
  for (const Function& f : file.functions) {
    if (!f.graph || !file.tensors.empty()) continue;
    for (std::uint32_t i = 0; i < f.graph->value_count(); ++i) {
      const Value& v = f.graph->value(ValueId{i});
      if (v.is_constant() && !v.name.empty() && v.constant.rank() > 0) visit(v.name, nullptr, &v.constant);
    }
  }
}

}  // namespace

std::vector<std::string> ScriptModel::tensors() {
  std::vector<std::string> names;
  each_weight(model_->file(),
              [&](const std::string& name, const NamedTensor*, const Tensor*) { names.push_back(name); });
  return names;
}

Tensor ScriptModel::tensor(const std::string& name) {
  Tensor found;
  std::vector<std::string> names;
  each_weight(model_->file(), [&](const std::string& own, const NamedTensor* stored, const Tensor* constant) {
    names.push_back(own);
    if (own != name || found) return;
    found = stored ? model_->file().read_tensor(*stored) : *constant;
  });
  if (found) return found;
  std::vector<std::string_view> views(names.begin(), names.end());
  throw Error(Code::bad_input,
              text("the model has no tensor '{}'{}", printable(name), did_you_mean(name, views)));
}

}  // namespace tl
