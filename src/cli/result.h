// SPDX-License-Identifier: Apache-2.0
// What a prediction gave: into a file, onto the terminal, or against what was expected.
#pragma once
#include "cli/command.h"
#include "model/batch.h"

namespace tl::cli {

// .npz or .json by the ending. An .npz holds no dictionaries: those are left out with a notice.
void write_results(const std::string& path, const Rows&, const Global&);

// A readable summary on standard output; of dictionaries the `top` largest entries.
void print_results(const Rows&, int top);

struct Tolerance {
  double relative = 1e-3, absolute = 1e-3;
};

// Every value of `expected` against the result of the same name. Throws Error that names the worst element;
// else gives a line with the largest difference.
std::string compare(const Rows& results, const Rows& expected, const Tolerance&);

}  // namespace tl::cli
