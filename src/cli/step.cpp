// SPDX-License-Identifier: Apache-2.0
// The options of `tl predict`, in order, to steps.
#include "cli/step.h"

#include "base/error.h"
#include "base/text.h"

namespace tl::cli {
namespace {

void check_ending(std::string_view option, const std::string& path) {
  if (path.ends_with(".npz") || path.ends_with(".json")) return;
  throw Error(Code::bad_use, text("{} '{}': the name must end in .npz or .json", option, printable(path)));
}

}  // namespace

std::vector<Step> steps_of(std::span<const Given> line) {
  std::vector<Step> steps;
  Step now;
  bool begun = false;  // something since the last --outputs
  for (const auto& [option, value] : line) {
    bool late = option == "--expect" && !begun && !steps.empty() &&
                steps.back().expect.empty();  // written after its --outputs
    if (option == "--expect") check_ending(option, value), (late ? steps.back() : now).expect = value;
    if (option == "--inputs") now.files.push_back(value);
    if (option == "--input") now.values.push_back(value);
    if (option == "--function") now.function = value;
    begun = begun || (!late && option != "--function");
    if (option != "--outputs") continue;
    check_ending(option, value);
    now.outputs = value;
    steps.push_back(now);
    now = {now.function};
    begun = false;
  }
  if (begun || steps.empty()) steps.push_back(now);
  return steps;
}

}  // namespace tl::cli
