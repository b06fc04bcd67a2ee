// SPDX-License-Identifier: Apache-2.0
// The gradient of a graph is a graph: reverse-mode differentiation as a rewrite.
#pragma once
#include "ir/ex.h"

namespace tl::pass {

// Appends to the graph's body what computes d(of)/d(each of wrt), where `of` has one element. Every shape
// must be known. A value that `of` does not depend on gets zeros. Throws Error naming an operation that has
// no gradient.
std::vector<ValueId> gradient(Graph&, ValueId of, std::span<const ValueId> wrt);

// The gradient of an input that was broadcast: summed over what was repeated, in the input's shape.
Ex summed_to(const Ex& gradient, const Shape& shape);

}  // namespace tl::pass
