// SPDX-License-Identifier: Apache-2.0
// Which values are others in another order, and so need not be made for a reader that can look them up.
#pragma once
#include <map>

#include "ir/graph.h"
#include "op/kernel.h"
#include "op/view.h"

namespace tl::plan {

class Views {
 public:
  Views(const Graph&, const Machine&);

  struct Source {
    ValueId root = no_value;  // whose memory it is
    View view = {};
  };
  // Nothing: the value is in memory of its own.
  const Source* of(ValueId) const;

  // The node's output in order is its first input in order: nothing need be done.
  bool is_dense(const Node&) const;

  // Where the elements of the node's only input go in its only output, if it does nothing else.
  std::optional<View> moved(const Node&) const;

 private:
  std::vector<Move> moves(const Node&) const;
  std::optional<Source> look(const Node&, int output) const;

  const Graph& graph_;
  const Machine& machine_;
  std::vector<std::pair<const Node*, int>> made_;  // per value: by which node, as which output
  mutable std::map<ValueId, std::optional<Source>> known_;
};

}  // namespace tl::plan
