// SPDX-License-Identifier: Apache-2.0
// Models and files: what goes through the Host.
#include "base/text.h"
#include "lang/interpreter.h"
#include "lang/stmt.h"

namespace tl::lang {

namespace {

// ---- models

Value load_model(Args& args) {
  std::string device = args.has(1) ? args.string(1) : "auto";
  return {Kind::model, new ModelObject(args.interpreter.host().load_model(args.string(0), device))};
}

HostModel& model_of(Args& args) { return *args[0].as<ModelObject>().model; }

std::string takes(HostModel& model, const std::string& function) {
  return "the model takes " + join(model.inputs(function), ", ");
}

NamedValues inputs_by_name(const Value& v) {
  NamedValues inputs;
  for (const auto& [key, value] : v.as<MapObject>().entries) inputs.emplace_back(display(key), value);
  return inputs;
}

// A map is inputs by name, unless the model has one input and the map is its value.
NamedValues inputs_of(HostModel& model, const Value& v, const std::string& function) {
  std::vector<std::string> names = model.inputs(function);
  bool by_name = v.is(Kind::map) && (names.size() != 1 || v.as<MapObject>().find(Value(names[0])));
  if (by_name) return inputs_by_name(v);
  if (names.size() != 1)
    throw Error(Code::bad_input,
                text("{} inputs are given by name: {}", names.size(), takes(model, function)));
  return {{names[0], v}};
}

// One output is its value; several are a map.
Value result_of(NamedValues outputs) {
  if (outputs.size() == 1) return std::move(outputs[0].second);
  std::vector<std::pair<Value, Value>> entries;
  for (auto& [name, value] : outputs) entries.emplace_back(Value(name), std::move(value));
  return make_map(std::move(entries));
}

Value predict(Args& args) {
  HostModel& model = model_of(args);
  std::string function = args.has(2) && args[2].is(Kind::string) ? args.string(2) : "";
  HostState* state = args.has(3) && args[3].is(Kind::state) ? args[3].as<StateObject>().state.get() : nullptr;
  NamedValues inputs;
  for (auto& [name, value] : args.named) inputs.emplace_back(name, value);
  if (args.has(3) && !state) inputs.emplace_back("state", args[3]);
  if (args.rest.size() > 1 || (!args.rest.empty() && !inputs.empty()))
    throw Error(Code::bad_input,
                text("'predict' takes one value, or all by name: {}", takes(model, function)));
  if (!args.rest.empty() && args.rest[0].is(Kind::list)) {
    std::vector<Value> results;
    for (const Value& each : args.rest[0].list())
      results.push_back(result_of(model.predict(inputs_of(model, each, function), function, state)));
    return Value(std::move(results));
  }
  if (!args.rest.empty()) inputs = inputs_of(model, args.rest[0], function);
  return result_of(model.predict(inputs, function, state));
}

Value make_state(Args& args) {
  return {Kind::state, new StateObject(model_of(args).make_state(args.has(1) ? args.string(1) : ""))};
}

Value get_tensor(Args& args) { return Value(model_of(args).tensor(args.string(1))); }

Value explain(Args& args) { return model_of(args).explain(args.has(1) ? args.string(1) : ""); }

// ---- files

Value load_image(Args& args) { return Value(args.interpreter.host().load_image(args.string(0))); }
Value file(Args& args) { return args.interpreter.host().load_data(args.string(0)); }

Value save(Args& args) {
  bool fits = args[0].is(Kind::map) || args[0].is(Kind::tensor) || args[0].is(Kind::record) ||
              args[0].is(Kind::list) || args[0].is(Kind::model) || args[0].is_plain_number();
  if (!fits) args.wrong(0, "a model, a tensor, or a map or struct of tensors");
  Value value = args[0];
  if (value.is(Kind::record)) {
    const auto& record = value.as<RecordObject>();
    const auto& decl = *record.structure.as<StructureObject>().decl;
    std::vector<std::pair<Value, Value>> entries;
    for (std::size_t i = 0; i < decl.fields.size(); ++i)
      entries.emplace_back(Value(decl.fields[i].name), record.fields[i]);
    value = make_map(std::move(entries));
  }
  args.interpreter.host().save(value, args.string(1));
  return {};
}

Value not_yet(Args& args) { throw Error(Code::unsupported, text("not supported yet: '{}'", args.self.name)); }

constexpr Builtin functions[] = {
    {"load_model", "path, device?", "Opens a model: .mlpackage, .mlmodel, .mlmodelc, .gguf or .safetensors.",
     load_model},
    {"load_image", "path",
     "The pixels of a .png or .jpg as uint8 [height, width, 3], gray ones [height, width].", load_image},
    {"file", "path", "The data of a .npy, .npz or .json file, or of an image.", file},
    {"save", "value, path", "Writes a tensor, or a map of tensors, as .npz or .safetensors.", save},
    {"save_model", "value, path",
     "Writes a model as .mlpackage, or its weights, tensors or a map of them as .safetensors.", save},
    {"load_audio", "path", "Not supported yet.", not_yet},
    {"load_tokenizer", "source", "Not supported yet.", not_yet},
    {"grad", "*arguments", "Not supported yet.", not_yet},
    {"value_and_grad", "*arguments", "Not supported yet.", not_yet},
};

constexpr Builtin methods[] = {
    {"predict", "model, *inputs, function?, state?, **named",
     "Runs the model: by name, or one value if it has one input; a list is a batch.", predict},
    {"make_state", "model, function?",
     "What the model remembers, set to zeros; pass it as state: to predict.", make_state},
    {"get_tensor", "model, name", "A weight of the model as a tensor of numbers.", get_tensor},
    {"explain", "model, chip?",
     "Where each operation would run on an Apple chip (M1), what a run would cost, what to change.", explain},
    {"generate", "model, *arguments, **named", "Not supported yet.", not_yet},
};

}  // namespace

std::span<const Builtin> file_builtins() { return functions; }
std::span<const Builtin> model_methods() { return methods; }

}  // namespace tl::lang
