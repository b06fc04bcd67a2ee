// SPDX-License-Identifier: Apache-2.0
// The command line read into the targets of options, and the help that the same options give.
#pragma once
#include "cli/command.h"

namespace tl::cli {

// The first argument that is neither an option nor an option's value; words.size() if there is none.
std::size_t first_bare(std::span<const std::string> words, std::span<const Option> options);

// Fills the targets; throws Error(bad_use) that names the option. What is not an option fills the positional
// ones.
void read_line(std::vector<std::string> words, std::span<const Option> options);

// Lines of "  --name VALUE   help", wrapped; positional arguments are left out.
std::string options_text(std::span<const Option> options);

// "tl predict MODEL [OPTIONS]"
std::string usage_text(std::string_view name, const Command&);

}  // namespace tl::cli
