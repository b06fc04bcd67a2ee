// SPDX-License-Identifier: Apache-2.0
// What branches and loops share.
#pragma once
#include <array>

#include "format/coreml/network/control.h"

namespace tl::coreml {

constexpr std::uint32_t branch_layer = 605, loop_layer = 615, break_layer = 620, continue_layer = 625;

// Names of flags, which no file can have: its text is UTF-8.
constexpr std::string_view left = "\xff left", skipped = "\xff skipped", again = "\xff again";
inline bool is_flag(std::string_view name) { return !name.empty() && name[0] == left[0]; }

// Whether somebody reads the name but those counted in `inside`.
bool read_outside(Network&, const std::string& name, const Reads& inside);

// A value of this type that nobody will read: what a name means where nothing defined it. Lengths that are
// not known are 0.
Ex stand_in(Place, const Type&);

Ex holds(const Ex& condition);  // a bool: further from 0 than 1e-6

struct Choice {
  std::string name = {};  // of the layer
  Ex condition = {};
  std::array<Body, 2> bodies = {};  // what runs if it holds, and if not; may be nothing
  Reads inside = {};                // what they read
};
// Lowers both bodies to a `cond` and defines what they have defined.
void choose(Network&, Place, const Choice&);

}  // namespace tl::coreml
