// SPDX-License-Identifier: Apache-2.0
// Working along axes: which elements of a tensor belong together, as offsets (references) and as nested runs
// (kernels).
#pragma once
#include <span>

#include "ir/ex.h"

namespace tl {

// The attribute `axes`, within [0, rank) and in ascending order; absent: all of them.
std::vector<std::int64_t> axes_of(const Attrs&, std::size_t rank);

// Element kept[i] + along[j] is the j-th of those that belong together at place i; both in row-major order.
struct Offsets {
  std::vector<std::int64_t> kept = {}, along = {};
};
Offsets offsets(std::span<const Dim> shape, std::span<const std::int64_t> axes);

// The same where the axes are adjacent, as lengths of [outer, length, inner]; outer and inner are what is
// around them.
struct Runs {
  std::int64_t outer = 1, length = 1, inner = 1;
};
std::optional<Runs> runs(std::span<const Dim> shape, std::span<const std::int64_t> axes);

// For gradients and decompositions: what was reduced over `axes` with its axes back as length 1; a vector [C]
// as [C, 1, …] so that it lies along axis 1 of a tensor of this rank; and the shape of x full of ones.
Ex restored(const Ex& y, std::span<const std::int64_t> axes);
Ex channelwise(const Ex& vector, std::size_t rank);
Ex ones_like(const Ex& x);
Ex reduce(const OpDef&, const Ex& x, std::span<const std::int64_t> axes, bool keep = true);

}  // namespace tl
