// SPDX-License-Identifier: Apache-2.0
// `tl convert`: a model in another format or precision.
#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "model/convert_file.h"
#include "model/explain.h"

namespace tl::cli {
namespace {

std::string line_of(std::string_view name, const explain::Report& r) {
  std::size_t all = r.rows.size() - r.on(explain::Device::none);
  return text("{}  {} of {} operations on the Neural Engine, about {:.2f} ms a run on {}\n", name,
              r.on(explain::Device::engine), all, r.as_is.ms, r.chip->name);
}

void print_change(const std::string& in, const std::string& out) {
  explain::Report before = explain_model(read_model(in)), after = explain_model(read_model(out));
  std::string page = line_of("before", before) + line_of("after ", after);
  for (const explain::Advice& advice : after.advice)
    page += text("left    {}: {}\n", advice.title, advice.why);
  std::fputs(page.c_str(), stdout);
}

}  // namespace

Command convert_command() {
  struct Options {
    std::string in = {}, out = {};
    std::string device = {};
    FileConversion how = {};
  };
  auto o = std::make_shared<Options>();
  Command command;
  command.about =
      "Writes a model in another format or precision. OUT says the format by its ending: .mlpackage\n"
      "(from any Core ML model with a program) or .safetensors (the weights of any model).";
  command.example =
      "  tl convert compiled.mlmodelc model.mlpackage\n"
      "  tl convert model.mlpackage half.mlpackage --precision fp16\n";
  command.options = {
      argument("IN", &o->in),
      argument("OUT", &o->out),
      {"--fix-shape", "NAME=DIMS", "an input of one shape from now on, as image=1,3,224,224", &o->how.shapes},
      within(1, 1e9, {"--batch", "N", "the first dimension of every input", &o->how.batch}),
      {"--dense", "", "expand compressed weights", &o->how.dense},
      one_of(
          {"ane"},
          {"--for", "DEVICE",
           "ane, the Neural Engine: fp16, linear layers as 1x1 convolutions, attention head by head, norms "
           "and gelu as one operation, masks not below -4e4; says what it brings and what is left to do",
           &o->device}),
      {"--split-embedding", "",
       "with --for ane: also functions that look up large tables and that do the rest (iOS 18)",
       &o->how.split_embedding}};
  command.run = [o](Global& global) {
    o->how.engine = o->device == "ane";
    o->how.precision = global.settings.precision;
    if (o->how.engine && o->how.precision == "fp32")
      throw Error(Code::bad_use, "--for ane computes in fp16: --precision fp32 goes against it");
    if (o->how.engine) o->how.precision = "fp16";
    if (o->how.split_embedding && !o->how.engine)
      throw Error(Code::bad_use, "--split-embedding goes with --for ane");
    o->how.notice = [&global](const std::string& line) { global.notice(line); };
    convert_file(o->in, o->out, o->how, *global.runtime());
    if (o->how.engine) print_change(o->in, o->out);
    return 0;
  };
  return command;
}

}  // namespace tl::cli
