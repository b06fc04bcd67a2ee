// SPDX-License-Identifier: Apache-2.0
// `tl convert`: a model in another format or precision.
#include <algorithm>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "model/convert_file.h"
#include "model/explain.h"

namespace tl::cli {
namespace {

std::string line_of(std::string_view name, const explain::Report& r) {
  std::size_t all = r.rows.size() - r.on(explain::Device::none), parts = r.segments.size();
  return text("{}  {} of {} operations on the Neural Engine, in {} segment{}, about {:.2f} ms a run on {}\n",
              name, r.on(explain::Device::engine), all, parts, parts == 1 ? "" : "s", r.as_is.ms,
              r.chip->name);
}

std::map<std::string, std::int64_t> counts_of(const explain::Report& r) {
  std::map<std::string, std::int64_t> counts;
  for (const explain::Row& row : r.rows)
    if (row.device != explain::Device::none) ++counts[row.op];
  return counts;
}

// Which operations there are more of, or less: "linear 24 -> 0, conv 1 -> 25".
std::string changes_between(const explain::Report& before, const explain::Report& after) {
  std::map<std::string, std::int64_t> was = counts_of(before), is = counts_of(after);
  std::string line;
  for (const auto& [op, n] : is) was.try_emplace(op, 0);
  for (const auto& [op, n] : was) {
    auto now = is.find(op);
    std::int64_t m = now == is.end() ? 0 : now->second;
    if (n != m) line += text("{}{} {} -> {}", line.empty() ? "" : ", ", op, n, m);
  }
  return line.empty() ? "" : text("changed {}\n", line);
}

// Each function of a model; those that were added are compared with nothing.
void print_change(const std::string& in, const std::string& out) {
  ModelFile from = read_model(in), to = read_model(out);
  std::string page;
  for (const Function& f : to.functions) {
    bool added = std::none_of(from.functions.begin(), from.functions.end(),
                              [&](const Function& old) { return old.name == f.name; });
    explain::Report after = explain_model(to, "", f.name);
    if (to.functions.size() > 1) page += text("function '{}'\n", f.name);
    if (added) {
      page += line_of("added ", after);
      continue;
    }
    explain::Report before = explain_model(from, "", f.name);
    page += line_of("before", before) + line_of("after ", after) + changes_between(before, after);
    for (const explain::Advice& advice : after.advice)
      page += text("left    {}: {}\n", advice.title, advice.why);
  }
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
      "(from any Core ML model) or .safetensors (the weights of any model).";
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
