// SPDX-License-Identifier: Apache-2.0
// Names of features in a pipeline that is written: its parts meet by them.
#pragma once
#include "ir/model_file.h"

namespace tl {

using Renamed = std::vector<std::pair<std::string, std::string>>;  // old and new

// What some parts had to call otherwise, the pipeline and its other parts call so, too. Throws Error where
// they cannot: the new name is taken, or a part names features in a message of its own.
void rename_in_pipeline(ModelFile& pipeline, const Renamed&);

}  // namespace tl
