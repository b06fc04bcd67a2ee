// SPDX-License-Identifier: Apache-2.0
// The function by name.
#include "model/explain.h"

#include "base/error.h"
#include "base/text.h"
#include "model/metadata.h"

namespace tl {

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
  if (!found->graph && !file.parts.empty())
    throw Error(Code::unsupported, text("{}: a pipeline: explain its parts one by one", file.path));
  return explain::make_report(file, *found, on);
}

}  // namespace tl
