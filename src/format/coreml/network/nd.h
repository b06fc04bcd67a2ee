// SPDX-License-Identifier: Apache-2.0
// What the lowerings of the newer layers share. Their blobs are all floats: truths are 0 and 1, indices and
// shapes are numbers, and no blob has rank 0.
#pragma once
#include <optional>

#include "format/coreml/network/layer.h"

namespace tl::coreml {

using Integers = std::vector<std::int64_t>;

std::size_t rank_of(const Ex&);  // throws Error if it is not known

Ex some_rank(const Ex&);          // [1] instead of rank 0
Ex one_number(const Ex&);         // of one element: rank 0
Ex integer(Place, std::int64_t);  // int32, rank 0
Ex shape_of(const Ex&);           // int32, rank 1

// The vector of `rank` integers that is `value` (one integer) at `axis` and 0 elsewhere.
Ex at_axis(const Ex& value, std::int64_t axis, std::size_t rank);

// A number that the operation needs before it runs: the layer's input i, which must be constant.
double constant_number(const Layer&, std::size_t input, std::string_view what);
// All of them, or nothing where the input is not constant.
std::optional<Integers> constant_integers(const Layer&, std::size_t input);

}  // namespace tl::coreml
