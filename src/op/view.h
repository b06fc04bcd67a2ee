// SPDX-License-Identifier: Apache-2.0
// A value that is not stored by itself but read in the memory of another: what transposes, slices, splits,
// repetitions and reshapes between a value and its reader come to, so that no copy is made.
#pragma once
#include <optional>

#include "op/move.h"

namespace tl {

// Element i in row-major order is at offset + the sum of digit * step, i written in the mixed radix of the
// counts, outermost first. Shapes do not matter: a reshape changes nothing.
struct Digit {
  std::int64_t count = 1, step = 0;
};
struct View {
  std::int64_t offset = 0;
  std::vector<Digit> digits = {};
  bool is_dense() const;  // from the first element on, in order
};

View dense_view(std::int64_t size);

// What `moves` write to output `output` of so many elements, where their input is the view: a view, if one
// move writes all of it. Nothing else can be read in place.
std::optional<View> view_of(std::span<const Move> moves, int output, std::int64_t size, const View& input);

// Where what one of the `moves` reads in order belongs in its output: for who writes in place of the move.
std::optional<View> inverse_view(std::span<const Move> moves, std::int64_t size);

// The view's steps along `shape`, split after dimension `first`: the offsets of all combinations of the
// dimensions before, and one step for each of the others. Nothing if some dimension has more than one step.
struct Lattice {
  std::vector<std::int64_t> starts = {};
  std::vector<std::int64_t> steps = {};
};
std::optional<Lattice> lattice(const View&, std::span<const Dim> shape, std::size_t first);

// The elements from a view's lowest to past its highest; nothing is read outside.
std::int64_t reach(const View&);

}  // namespace tl
