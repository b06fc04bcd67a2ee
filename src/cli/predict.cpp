// SPDX-License-Identifier: Apache-2.0
// `tl predict`: features in, features out.
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "format/data/npy.h"
#include "model/model.h"

namespace tl::cli {
namespace {

struct Options {
  std::string model = {}, function = {};
  std::vector<std::string> inputs = {}, outputs = {};
};

Features features_of(data::NamedArrays arrays) {
  Features features;
  for (auto& [name, tensor] : arrays) features.emplace_back(name, std::move(tensor));
  return features;
}

data::NamedArrays arrays_of(const Features& features) {
  data::NamedArrays arrays;
  for (const auto& [name, value] : features) {
    if (const auto* t = std::get_if<Tensor>(&value)) arrays.emplace_back(name, *t);
    else if (const auto* image = std::get_if<Image>(&value)) arrays.emplace_back(name, image->pixels);
    else if (const auto* s = std::get_if<std::string>(&value)) arrays.emplace_back(name, from_strings({*s}, {}));
    else if (const auto* i = std::get_if<std::int64_t>(&value)) arrays.emplace_back(name, from_integers({i, 1}, DType::i64, {}));
    else if (const auto* d = std::get_if<double>(&value)) arrays.emplace_back(name, from_doubles({d, 1}, DType::f64, {}));
  }
  return arrays;
}

int predict(const Options& options, Global& global) {
  std::unique_ptr<Runtime> runtime = global.runtime();
  std::shared_ptr<Model> model = Model::load(options.model, *runtime);
  State state = model->make_state(options.function);
  PredictOptions call;
  call.function = options.function;
  call.state = &state;
  for (std::size_t i = 0; i < options.inputs.size(); ++i) {
    Features out = model->predict(features_of(data::read_npz(options.inputs[i])), call);
    if (i < options.outputs.size()) data::write_npz(options.outputs[i], arrays_of(out));
  }
  return 0;
}

}  // namespace

void add_predict(CLI::App& app, Global& global) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("predict", "run a model");
  sub->add_option("model", options->model, "the model")->required();
  sub->add_option("--inputs", options->inputs, "an .npz of features");
  sub->add_option("--outputs", options->outputs, "where the results go, .npz");
  sub->add_option("--function", options->function, "which function");
  sub->callback([options, &global] { global.action = [options, &global] { return predict(*options, global); }; });
}

}  // namespace tl::cli
