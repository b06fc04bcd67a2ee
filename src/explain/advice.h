// SPDX-License-Identifier: Apache-2.0
// What to change, in order of gain. Step 6 of a report.
#pragma once
#include "explain/estimate.h"

namespace tl::explain {

struct Subject {
  const ModelFile& file;
  const Function& function;
  const Graph& graph;
  const Facts& facts;
  const Scene& scene;
};

std::vector<Advice> advice_on(const Subject&);

struct ModelRule {
  std::string_view id = {}, title = {}, why = {}, source = {};
  Mark mark = Mark::inferred;
  std::string_view python = {}, command = {};
};
std::span<const ModelRule> model_rules();

}  // namespace tl::explain
