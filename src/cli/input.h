// SPDX-License-Identifier: Apache-2.0
// The inputs of a step of `tl predict`, from files and literals to features.
#pragma once
#include "cli/step.h"
#include "model/batch.h"

namespace tl::cli {

// Rows in which every feature is a value as it was given; the model checks and converts them.
Rows read_inputs(const Step&, const Interface&);

// Fills what is not given in any row.
void fill_with(Rows&, const Features& others);

// Results that were written earlier: .npz or .json.
Rows read_results(const std::string& path);

}  // namespace tl::cli
