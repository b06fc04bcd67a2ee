// SPDX-License-Identifier: Apache-2.0
// `tl explain`: where a model would run on an Apple chip, what it would cost there, what to change.
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "explain/report.h"
#include "model/explain.h"

namespace tl::cli {

Command explain_command() {
  struct Options {
    std::string model = {}, chip = "M1", function = {}, html = {};
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  Command command;
  command.about =
      "Says where each operation of a model would run on an Apple chip (Neural Engine, GPU or CPU) and why, "
      "what a run would cost, and what to change, most gain first. Nothing runs: it is computed from public "
      "facts, and every rule names its source. doc/neural_engine.md teaches the subject.";
  command.example =
      "  tl explain model.mlpackage\n  tl explain model.mlpackage --chip \"A17 Pro\" --html report.html\n";
  command.options = {
      argument("MODEL", &o->model),
      {"--chip", "NAME", "A14 to A19 Pro, M1 to M6, their Pro, Max and Ultra (default M1)", &o->chip},
      {"--function", "NAME", "the function of a model that has several", &o->function},
      {"--json", "", "the same as data, with every operation", &o->json},
      {"--html", "FILE", "writes a page with the graph, the roofline and the advice", &o->html},
  };
  command.run = [o](Global& global) {
    explain::Report report = explain_model(read_model(o->model), o->chip, o->function);
    if (!o->html.empty()) {
      std::string page = explain::html_of(report);
      write_file(o->html, std::as_bytes(std::span(page)));
      global.notice(text("wrote {}", o->html));
    }
    if (o->json) std::fputs(explain::json_of(report).c_str(), stdout);
    else if (o->html.empty()) std::fputs(explain::text_of(report).c_str(), stdout);
    return 0;
  };
  return command;
}

}  // namespace tl::cli
