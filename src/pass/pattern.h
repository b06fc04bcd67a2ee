// SPDX-License-Identifier: Apache-2.0
// Asking a graph what a value was made of: for passes that recognise what exporters wrote out.
#pragma once
#include <unordered_map>

#include "ir/graph.h"

namespace tl::pass {

// Of a graph that does not change while it is asked.
class Pattern {
 public:
  explicit Pattern(const Graph&);

  const Graph& graph() const { return graph_; }
  // The node that gives v as its first output, if it is of this operation.
  const Node* made_by(ValueId v, const OpDef& op) const;
  const Node* producer(ValueId v) const;
  int readers(ValueId v) const { return readers_[index(v)]; }
  // What a constant says where all its elements are the same.
  std::optional<double> number(ValueId v) const;
  // Whether v is x squared: square, a power of 2, a product with itself.
  bool is_square_of(ValueId v, ValueId x) const;
  // A value plus a constant number, in either order: the value and the number.
  std::optional<std::pair<ValueId, double>> sum(ValueId v) const;
  // A value times or divided by a constant number; one that is neither is itself times 1.
  std::pair<ValueId, double> scaled(ValueId v) const;

 private:
  const Graph& graph_;
  std::vector<const Node*> producer_;
  std::vector<int> readers_;
};

bool close_to(double a, double b);  // as near as constants in fp16 are

}  // namespace tl::pass
