// SPDX-License-Identifier: Apache-2.0
// The inputs of tree_ensemble, in their order, and how a node decides: what its definition and its kernel
// share.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tl::trees {

enum Input : std::size_t {
  x,             // [rows, features]
  root,          // [trees]: the nodes that trees begin with
  feature,       // [nodes]: which feature a node looks at
  threshold,     // [nodes]: what it compares it with
  behavior,      // [nodes]: a Behavior
  when_true,     // [nodes]: the node that follows
  when_false,    // [nodes]
  missing_true,  // [nodes]: not 0 where NaN goes the way of true
  first,         // [nodes + 1]: the entries of leaf i are first[i] to first[i + 1]
  index,         // [entries]: which output an entry adds to
  value,         // [entries]: what it adds
  base,          // [outputs]: what sums begin with
};

enum Behavior : int { at_most, below, at_least, above, equal, not_equal, leaf };

inline bool compare(int behavior, double x, double t) {
  switch (behavior) {
    case at_most: return x <= t;
    case below: return x < t;
    case at_least: return x >= t;
    case above: return x > t;
    case equal: return x == t;
    default: return x != t;
  }
}

}  // namespace tl::trees
