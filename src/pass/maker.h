// SPDX-License-Identifier: Apache-2.0
// Which node of a graph's body makes a value, for rewrites that walk back from what reads it.
#pragma once
#include "ir/graph.h"

namespace tl::pass {

class Makers {
 public:
  explicit Makers(Graph&);  // as long as no node is added or removed

  // Null where there is none, or where something else reads the value too.
  Node* of(ValueId);
  Node* of(ValueId, const OpDef&);

 private:
  void read(ValueId);

  Graph& graph_;
  std::vector<int> reads_, made_;
};

}  // namespace tl::pass
