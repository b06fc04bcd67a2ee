// SPDX-License-Identifier: Apache-2.0
// A report about a function of a model file, chosen by name: what the command and the language share.
#pragma once
#include "explain/report.h"
#include "model/model.h"

namespace tl {

// chip: "" is M1; function: "" is the default one. Throws Error that lists the names, or says why there is no
// graph.
explain::Report explain_model(const ModelFile&, const std::string& chip = {},
                              const std::string& function = {});

}  // namespace tl
