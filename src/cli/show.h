// SPDX-License-Identifier: Apache-2.0
// The two forms of `tl show`.
#pragma once
#include "cli/command.h"
#include "model/metadata.h"

namespace tl::cli {

std::string json_of(const ModelFile&);     // with the names of m.metadata
std::string short_text(const MetaValue&);  // long lists and texts cut

// A function as one would write it, without the values of its weights; what is after so many lines is
// counted.
std::string program_text(const Function&, std::size_t most_lines);

}  // namespace tl::cli
