// SPDX-License-Identifier: Apache-2.0
// Tables of words apart from the arithmetic: what `tl convert --for ane --split-embedding` adds to a model.
#pragma once
#include "ir/model_file.h"

namespace tl {

// Functions beside `f`: NAME_embed gives the rows that large constant tables hold for its inputs, and
// NAME_body takes these rows and does the rest. Empty where no such table is looked up by an input.
std::vector<Function> split_embedding(const Function& f);

constexpr double large_table = 1e6;  // elements: what the report calls a table of words

}  // namespace tl
