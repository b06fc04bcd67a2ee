// SPDX-License-Identifier: Apache-2.0
// The steps of `tl predict`: a step is everything on the line up to and including its --outputs.
#pragma once
#include "cli/command.h"

namespace tl::cli {

struct Step {
  std::string function = {};
  std::vector<std::string> files = {};   // --inputs
  std::vector<std::string> values = {};  // --input NAME=VALUE
  std::string outputs = {}, expect = {};
  bool has_inputs() const { return !files.empty() || !values.empty(); }
};

// At least one. Throws Error for a line that no reading makes sense of.
std::vector<Step> steps_of(std::span<const Given>);

}  // namespace tl::cli
