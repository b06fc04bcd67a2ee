// SPDX-License-Identifier: Apache-2.0
// The function by name.
#include "model/explain.h"

#include "base/error.h"
#include "base/text.h"
#include "model/metadata.h"

namespace tl {
namespace {

// A part without operations (words, categories, dictionaries) has an empty report: it runs on the CPU,
// between the others.
explain::Report report_of_parts(const ModelFile& file, const explain::Chip& chip) {
  std::vector<explain::Report> parts;
  for (const auto& [name, part] : file.parts) {
    const Function* f = default_function_of(part);
    explain::Report report;
    if (!part.parts.empty()) report = report_of_parts(part, chip);
    else if (f && f->graph) report = explain::make_report(part, *f, chip);
    report.chip = &chip, report.name = name, report.type = part.type;
    parts.push_back(std::move(report));
  }
  return explain::combined(file, chip, std::move(parts));
}

}  // namespace

explain::Report explain_model(const ModelFile& file, const std::string& chip, const std::string& function) {
  const explain::Chip& on = explain::chip_named(chip.empty() ? "M1" : chip);
  const Function* found = function.empty() ? default_function_of(file) : nullptr;
  std::vector<std::string_view> names;
  for (const Function& f : file.functions) {
    if (!function.empty() && f.name == function) found = &f;
    names.push_back(f.name);
  }
  if (!found && !function.empty())
    throw Error(Code::bad_input,
                text("there is no function '{}'{}", printable(function), did_you_mean(function, names)));
  if (!found)
    throw Error(Code::unsupported,
                text("{}: a {} file holds weights and no program: there is nothing to place", file.path,
                     file.format));
  if (!found->graph && !file.parts.empty()) return report_of_parts(file, on);
  return explain::make_report(file, *found, on);
}

}  // namespace tl
