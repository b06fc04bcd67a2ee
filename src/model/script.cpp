// SPDX-License-Identifier: Apache-2.0
// Scripts and the rest: one operation is a graph of one node, planned once per shape and run.
#include "model/script.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/data/image.h"
#include "format/data/npy.h"
#include "format/safetensors/safetensors.h"
#include "model/convert_file.h"
#include "model/feature_json.h"
#include "model/script_model.h"

namespace tl {

ScriptHost::ScriptHost(const Runtime& runtime, Write print, Write warn)
    : runtime_(runtime), print_(std::move(print)), warn_(std::move(warn)) {}

namespace {

// Shapes, axes, positions: inference needs their values.
bool is_constant(const OpDef& op, std::size_t input, const Tensor& t) {
  constexpr std::int64_t few = 64;
  bool data = input == 0 || has(op.traits, Traits::elementwise);
  return !data && t.size() <= few && (is_integer(t.dtype()) || t.dtype() == DType::boolean);
}

std::string key_of(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  std::string key(op.name);
  for (const auto& [name, value] : attrs) key += text(" {}={}", name, text_of(value));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    key += inputs[i] ? text_of(inputs[i].type()) : "-";
    if (inputs[i] && is_constant(op, i, inputs[i]))
      key.append(reinterpret_cast<const char*>(inputs[i].data()), inputs[i].bytes());
  }
  return key;
}

}  // namespace

const plan::Plan& ScriptHost::plan_for(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  std::string key = key_of(op, inputs, attrs);
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if (it->key != key) continue;
    plans_.splice(plans_.begin(), plans_, it);
    return *it->plan;
  }
  Graph graph;
  std::vector<ValueId> ids;
  std::vector<Type> types;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) ids.push_back(no_value);
    else if (is_constant(op, i, inputs[i])) ids.push_back(graph.add_constant(inputs[i]));
    else {
      types.push_back(inputs[i].type());
      ids.push_back(graph.add_input(types.back(), text("x{}", i)));
    }
  }
  const Node& node = graph.add_node(graph.body, op, ids, attrs);
  std::vector<ValueId> outputs = node.outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) graph.add_output(outputs[i], text("y{}", i));
  plans_.push_front({std::move(key), plan::Plan::make(graph, types, runtime_.machine())});
  constexpr std::size_t most = 64;
  if (plans_.size() > most) plans_.pop_back();
  return *plans_.front().plan;
}

std::vector<Tensor> ScriptHost::evaluate(const OpDef& op, std::span<const Tensor> inputs,
                                         const Attrs& attrs) {
  const plan::Plan& plan = plan_for(op, inputs, attrs);
  std::vector<RunValue> values, results;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i] && !is_constant(op, i, inputs[i])) values.emplace_back(inputs[i]);
  plan::RunOptions options;
  options.seed = runtime_.settings().seed + runs_++;
  std::function<bool()> stop = [this] { return interrupted(); };
  options.stop = &stop;
  plan.run(values, results, options);
  std::vector<Tensor> tensors;
  for (RunValue& result : results) {
    if (!std::holds_alternative<Tensor>(result))
      throw Error(Code::unsupported, text("'{}' gives a value that scripts cannot hold yet", op.name));
    tensors.push_back(std::get<Tensor>(std::move(result)));
  }
  return tensors;
}

// ---- files

std::shared_ptr<lang::HostModel> ScriptHost::load_model(const std::string& path, const std::string& device) {
  if (device != "auto" && device != "cpu")
    throw Error(Code::bad_input, text("there is no device '{}' here, only: cpu", printable(device)));
  return std::make_shared<ScriptModel>(Model::load(path, runtime_), warn_);
}

Tensor ScriptHost::load_image(const std::string& path) { return data::read_image(path); }

namespace {

lang::Value map_of(const data::NamedArrays& arrays) {
  std::vector<std::pair<lang::Value, lang::Value>> entries;
  for (const auto& [name, tensor] : arrays) entries.emplace_back(lang::Value(name), lang::Value(tensor));
  return lang::make_map(std::move(entries));
}

}  // namespace

lang::Value ScriptHost::load_data(const std::string& path) {
  auto ends = [&](std::string_view end) { return std::string_view(path).ends_with(end); };
  if (ends(".npy")) return lang::Value(data::read_npy(path));
  if (ends(".npz")) return map_of(data::read_npz(path));
  if (ends(".png") || ends(".jpg") || ends(".jpeg")) return lang::Value(data::read_image(path));
  if (ends(".json"))
    return with_note([&] { return path; }, [&] { return value_of(value_of_json(data::read_json(path))); });
  throw Error(Code::unsupported, text("{}: not supported yet: only .npy, .npz, .json, .png and .jpg", path));
}

void ScriptHost::save(const lang::Value& value, const std::string& path) {
  auto ends = [&](std::string_view end) { return std::string_view(path).ends_with(end); };
  if (value.is(lang::Kind::model)) {
    const auto& model = dynamic_cast<const ScriptModel&>(*value.as<lang::ModelObject>().model);
    return save_model_file(model.model().file(), path, {}, runtime_);
  }
  if (ends(".npy")) {
    if (!value.is(lang::Kind::tensor))
      throw Error(Code::bad_input, text("{}: a .npy file holds one tensor", path));
    return data::write_npy(path, value.tensor());
  }
  if (!ends(".npz") && !ends(".safetensors"))
    throw Error(Code::unsupported, text("{}: only .npz, .npy and .safetensors are written", path));
  data::NamedArrays arrays;
  if (value.is(lang::Kind::tensor)) arrays.emplace_back("value", value.tensor());
  if (value.is(lang::Kind::map)) {
    for (const auto& [key, each] : value.as<lang::MapObject>().entries) {
      if (!key.is(lang::Kind::string) || !each.is(lang::Kind::tensor))
        throw Error(Code::bad_input, text("{}: only a map from names to tensors can be saved", path));
      arrays.emplace_back(key.string(), each.tensor());
    }
  }
  if (arrays.empty())
    throw Error(Code::bad_input, text("{}: only a tensor or a map of tensors can be saved", path));
  if (ends(".npz")) data::write_npz(path, arrays);
  else safetensors::write_safetensors(path, arrays);
}

std::string ScriptHost::read_text(const std::string& path) {
  if (is_folder(path)) throw Error(Code::bad_input, text("{}: is a folder, not a script", path));
  StoragePtr file = map_file(path);
  return {reinterpret_cast<const char*>(file->data()), file->size()};
}

}  // namespace tl
