// SPDX-License-Identifier: Apache-2.0
// `tl convert`: a model in another format or precision.
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "model/convert_file.h"

namespace tl::cli {

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
      {"--for", "DEVICE", "rewrite for a device (ane: not in this version)", &o->device}};
  command.run = [o](Global& global) {
    if (!o->device.empty())
      throw Error(Code::unsupported, text("--for {} is not supported by this version", printable(o->device)));
    o->how.precision = global.settings.precision;
    o->how.notice = [&global](const std::string& line) { global.notice(line); };
    convert_file(o->in, o->out, o->how, *global.runtime());
    return 0;
  };
  return command;
}

}  // namespace tl::cli
