// SPDX-License-Identifier: Apache-2.0
// How the axes of a tensor lie in memory when it is held as (batch, channels, y, x): each axis is a product
// of factors, each factor a part of one place. Transposes and reshapes then change this map and move nothing.
#pragma once
#include <array>
#include <optional>

#include "ir/type.h"

namespace tl::pass {

// The places. `list`: a tensor per element, for the heads of an attention; `repeat`: not held, the same
// again.
enum Place4 : std::size_t { batch, channel, y_axis, x_axis, list, repeat, place_count };

struct AxisMap {
  using Factors = std::vector<int>;
  std::vector<Dim> length = {};                  // of each factor
  std::vector<Factors> axes = {};                // each axis of the tensor, slowest factor first
  std::array<Factors, place_count> places = {};  // each place, slowest factor first
  bool operator==(const AxisMap&) const = default;

  Dim product(const Factors&) const;
  Shape shape() const;  // of the tensor
  Shape held() const;   // of what is held: four lengths
  std::size_t parts() const { return static_cast<std::size_t>(product(places[list])); }
  std::size_t place_of(int factor) const;
  bool is_all_of(std::size_t axis, Place4 place) const;  // the axis is the place, all of it

  int add(Dim length);               // a factor that is nowhere yet
  int split(int factor, Dim inner);  // into length / inner and inner; gives the inner one
  void remove(int factor);           // from its axis and place
  void compact();                    // no factor of 1, neighbours made one, numbered in the order of the axes
};

// The factors of axes that are 1 in `lengths` taken away: what a tensor that is broadcast must look like.
// Nothing where a place would lose some of its factors and keep others.
std::optional<AxisMap> restricted(const AxisMap&, const Shape& lengths);
AxisMap permuted(const AxisMap&, const std::vector<std::int64_t>& perm);
std::optional<AxisMap> reshaped(AxisMap, const Shape&);
// Splits factors until both lists have the same lengths; false where that cannot be.
bool align(AxisMap& a, AxisMap::Factors& in_a, AxisMap& b, AxisMap::Factors& in_b);

// The usual way to hold sequences and pictures whose channels come last: [S, C], [B, S, C], [B, H, W, C],
// [B, ..., C].
std::optional<AxisMap> channels_last(const Shape&);

}  // namespace tl::pass
