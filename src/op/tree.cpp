// SPDX-License-Identifier: Apache-2.0
// Decision trees: many small programs of comparisons whose leaves are summed. Trees are data, not nodes of
// the graph.
#include "op/tree.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

std::vector<Type> infer_trees(const InferCall& call) {
  need(call.type(trees::x).rank() == 2, "x must be [rows, features]");
  for (std::size_t i = 1; i < call.types.size(); ++i) need_rank(call, i, 1, 1);
  return {
      Type(call.type(trees::base).dtype, {call.type(trees::x).shape[0], call.type(trees::base).shape[0]})};
}

class Forest {
 public:
  explicit Forest(const ReferenceCall& call) : call_(call), nodes_(call.in[trees::feature]->size()) {
    for (trees::Input i :
         {trees::threshold, trees::behavior, trees::when_true, trees::when_false, trees::missing_true})
      need(call.in[i]->size() == nodes_, "what is said of nodes differs in length");
    need(call.in[trees::first]->size() == nodes_ + 1,
         "first must have one element more than there are nodes");
    need(call.in[trees::index]->size() == call.in[trees::value]->size(), "index and value differ in length");
  }

  void run() const {
    std::int64_t rows = call_.in[trees::x]->shape[0];
    const std::vector<double>& base = call_.in[trees::base]->data;
    for (std::int64_t row = 0; row < rows; ++row) {
      double* out = call_.out[0].data.data() + row * static_cast<std::int64_t>(base.size());
      std::copy(base.begin(), base.end(), out);
      for (double root : call_.in[trees::root]->data) add_leaf(leaf_of(row, root), out);
    }
  }

 private:
  double at(trees::Input input, std::int64_t i) const {
    return call_.in[input]->data[static_cast<std::size_t>(i)];
  }
  std::int64_t checked(double number, std::int64_t end, std::string_view what) const {
    if (!(number >= 0 && number < static_cast<double>(end)))
      throw Error(Code::bad_input, text("there is no {} {}", what, number));
    return static_cast<std::int64_t>(number);
  }

  std::int64_t leaf_of(std::int64_t row, double root) const {
    std::int64_t features = call_.in[trees::x]->shape[1], node = checked(root, nodes_, "node");
    for (std::int64_t steps = 0; steps <= nodes_; ++steps) {
      int behavior = static_cast<int>(at(trees::behavior, node));
      if (behavior == trees::leaf) return node;
      double x = at(trees::x, row * features + checked(at(trees::feature, node), features, "feature"));
      bool yes = x != x ? at(trees::missing_true, node) != 0
                        : trees::compare(behavior, x, at(trees::threshold, node));
      node = checked(at(yes ? trees::when_true : trees::when_false, node), nodes_, "node");
    }
    throw Error(Code::bad_input, "a tree leads back to a node of its own");
  }

  void add_leaf(std::int64_t leaf, double* out) const {
    std::int64_t entries = call_.in[trees::value]->size(), outputs = call_.in[trees::base]->size();
    std::int64_t from = checked(at(trees::first, leaf), entries + 1, "entry"),
                 to = checked(at(trees::first, leaf + 1), entries + 1, "entry");
    for (std::int64_t e = from; e < to; ++e)
      out[checked(at(trees::index, e), outputs, "output")] += at(trees::value, e);
  }

  const ReferenceCall& call_;
  std::int64_t nodes_;
};

void reference_trees(const ReferenceCall& call) { Forest(call).run(); }

}  // namespace

constinit const OpDef ops::tree_ensemble{
    .name = "tree_ensemble",
    .doc =
        "Sums of the leaves that trees of comparisons lead to, per row; behavior 0 to 5: <=, <, >=, >, ==, "
        "!=; 6: a leaf",
    .inputs = {"x", "root", "feature", "threshold", "behavior", "when_true", "when_false", "missing_true",
               "first", "index", "value", "base"},
    .infer = infer_trees,
    .reference = reference_trees,
};

}  // namespace tl
