// SPDX-License-Identifier: Apache-2.0
// `tl predict`: features in, features out; steps that share a state; comparison with what was expected.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/input.h"
#include "cli/interface.h"
#include "cli/random_input.h"
#include "cli/result.h"
#include "model/model.h"
#include "simd/unit.h"

namespace tl::cli {
namespace {

struct Options {
  std::string model = {};
  std::vector<Given> line = {};
  std::vector<std::string> keep = {};
  bool random = false;
  int top = 5;
  Tolerance tolerance = {};
};

bool needs_inputs(const Interface& interface) {
  return std::any_of(interface.inputs.begin(), interface.inputs.end(),
                     [](const Feature& f) { return !f.optional; });
}

// What a model takes, for those who gave it nothing.
int explain(const Options& options, const Model& model, const Step& step) {
  const Interface& interface = model.function(step.function).interface;
  std::fputs(interface_text(interface).c_str(), stdout);
  std::printf("\nTo run it:\n  %s\nor with inputs made up:\n  tl predict %s --random\n",
              ready_command(options.model, interface, step.function).c_str(),
              printable(quoted_for_shell(options.model), 2000).c_str());
  return 0;
}

// bf16 is coarser than what a model declares: whoever asked for it reads that it was used, or was not.
void name_precision(const Global& global, const Machine& machine) {
  if (!machine.bf16) return;
  global.notice(matrix_unit(machine.isa, true)
                    ? "precision bf16: operands of products are rounded to bf16, sums are fp32"
                    : "precision bf16: no such products on this machine, operands are not rounded");
}

void run_step(const Options& options, const Step& step, const Model& model, State& state,
              const Global& global) {
  const Interface& interface = model.function(step.function).interface;
  model.check_runs(step.function);  // before the inputs are read: why it cannot run
  Rows inputs = read_inputs(step, interface);
  if (options.random) fill_with(inputs, random_inputs(interface, global.settings.seed));
  PredictOptions call;
  call.function = step.function;
  call.state = &state;
  call.keep = options.keep;
  call.notice = [&](const std::string& line) { global.notice(line); };
  Rows results{{}, inputs.batch};
  if (inputs.batch) results.rows = model.predict_each(inputs.rows, call);
  else results.rows = {model.predict(inputs.rows.front(), call)};
  if (!step.outputs.empty()) write_results(step.outputs, results, global);
  if (!step.expect.empty()) {
    std::string verdict =
        with_note([&] { return step.expect; },
                  [&] { return compare(results, read_results(step.expect), options.tolerance); });
    std::printf("%s\n", verdict.c_str());
  } else if (step.outputs.empty()) print_results(results, options.top);
}

int predict(const Options& options, Global& global) {
  std::vector<Step> steps = steps_of(options.line);
  std::unique_ptr<Runtime> runtime = global.runtime();
  std::shared_ptr<Model> model = Model::load(options.model, *runtime);
  const Step& first = steps.front();
  if (!first.has_inputs() && !options.random && needs_inputs(model->function(first.function).interface))
    return explain(options, *model, first);
  State state;
  name_precision(global, runtime->machine());
  for (const Step& step : steps) run_step(options, step, *model, state, global);
  return 0;
}

constexpr const char* about =
    "Runs a model. A step is everything up to and including its --outputs; several steps share one state, in "
    "order. Arrays with one\n"
    "more dimension than the model takes, and JSON lists, are a batch. Without any input, prints what the "
    "model takes.";

constexpr const char* example =
    "  tl predict digits.mlpackage --input image=scan.png --top 3\n"
    "  tl predict net.mlpackage --inputs in.npz --outputs out.npz --expect want.npz --rtol 1e-2\n"
    "  tl predict llm.mlpackage --inputs token0.npz --outputs out0.npz --inputs token1.npz --outputs "
    "out1.npz\n";

}  // namespace

Command predict_command() {
  auto o = std::make_shared<Options>();
  Command command;
  command.about = about;
  command.example = example;
  command.options = {
      argument("MODEL", &o->model),
      {"--inputs", "FILE",
       "features by name: .npz, .json ({feature: value}, or a list of them), or one array as .npy", &o->line},
      {"--input", "NAME=VALUE",
       "one feature: a .png, .jpg, .npy or .json file, a number, text, or a list as JSON; overrides --inputs",
       &o->line},
      {"--outputs", "FILE",
       "where the results go: .npz, or .json for dictionaries too; without it they are summarised", &o->line},
      {"--function", "NAME", "the function of a model that has several", &o->line},
      {"--expect", "FILE", "compare with this .npz or .json; fails naming the worst element", &o->line},
      within(0, 1e9,
             {"--rtol", "X", "relative tolerance of --expect (default 0.001)", &o->tolerance.relative}),
      within(0, 1e9,
             {"--atol", "X", "absolute tolerance of --expect (default 0.001)", &o->tolerance.absolute}),
      {"--random", "", "make up what is not given, from --seed", &o->random},
      {"--keep", "NAME", "give this intermediate value as well; may be repeated", &o->keep},
      within(1, 1e6, {"--top", "K", "entries shown of a classifier's dictionary (default 5)", &o->top}),
  };
  command.run = [o](Global& global) { return predict(*o, global); };
  return command;
}

}  // namespace tl::cli
