// SPDX-License-Identifier: Apache-2.0
// Carries out the conversions of features that no tensor holds (ir/conversion.h).
#pragma once
#include "model/value.h"

namespace tl {

// The outputs of a function that is a conversion.
Features convert(const Function&, const Features& inputs);

// The keys of a dictionary as whole numbers, also where JSON had to write them as words.
std::vector<std::int64_t> whole_keys(const Dictionary&);

}  // namespace tl
