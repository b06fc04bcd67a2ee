// SPDX-License-Identifier: Apache-2.0
// Inputs made up from a seed: floats uniform in [0, 1), integers 0 or 1, images of random pixels; the default
// shapes.
#pragma once
#include "model/value.h"

namespace tl::cli {

// One value per input; throws Error for a feature that cannot be made up.
Features random_inputs(const Interface&, std::uint64_t seed);

}  // namespace tl::cli
