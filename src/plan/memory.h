// SPDX-License-Identifier: Apache-2.0
// Places in one arena for values that live over known ranges of steps.
#pragma once
#include <cstddef>
#include <vector>

namespace tl::plan {

struct Lifetime {
  std::size_t bytes = 0;
  int first = 0, last = 0;  // steps, both included
  std::size_t offset = 0;   // set by place
};

// Gives each lifetime an offset (a multiple of 64) so that none that overlap in time overlap in place: the
// largest first, each at the lowest gap that fits. Gives the arena's size.
std::size_t place(std::vector<Lifetime>&);

}  // namespace tl::plan
