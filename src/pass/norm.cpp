// SPDX-License-Identifier: Apache-2.0
// Walks back from each product with a scale of its own making.
#include "pass/norm.h"

#include "ir/ex.h"
#include "op/infer.h"
#include "op/ops.h"
#include "pass/maker.h"

namespace tl::pass {
namespace {

class NormJoiner {
 public:
  explicit NormJoiner(Graph& graph) : graph_(graph), makers_(graph) {}

  bool run() {
    bool changed = false;
    for (Node& node : graph_.body.nodes) {
      if (node.op != &ops::mul) continue;
      if (auto epsilon = plain(node)) become(node, node.inputs[side_], no_value, *epsilon), changed = true;
      else if (scaled(node)) changed = true;
    }
    return changed;
  }

 private:
  // x * rsqrt(mean(square(x)) + epsilon) over the last axis: the epsilon; side_ is x's.
  std::optional<double> plain(const Node& node) {
    for (side_ = 0; side_ < 2; ++side_)
      if (auto epsilon = scale_of(node.inputs[side_], node.inputs[1 - side_]);
          epsilon && graph_.type(node.outputs[0]) == graph_.type(node.inputs[side_]))
        return epsilon;
    return std::nullopt;
  }

  std::optional<double> scale_of(ValueId x, ValueId scale) {
    Node* root = makers_.of(scale, ops::rsqrt);
    if (!root) return std::nullopt;
    double epsilon = root->attrs.number("epsilon");
    ValueId mean = root->inputs[0];
    if (Node* add = makers_.of(mean, ops::add)) {
      std::size_t known = graph_.value(add->inputs[1]).is_constant() ? 1 : 0;
      const Tensor& c = graph_.value(add->inputs[known]).constant;
      if (!c || volume(c.shape()) != 1) return std::nullopt;
      epsilon += to_doubles(c).front();
      mean = add->inputs[1 - known];
    }
    Node* reduce = makers_.of(mean, ops::reduce_mean);
    if (!reduce || !reduce->attrs.boolean("keep_dims") || !reduce->attrs.has("axes")) return std::nullopt;
    const auto& axes = reduce->attrs.integers("axes");
    std::size_t rank = graph_.type(x).rank();
    if (axes.size() != 1 || rank == 0 || wrap_axis(axes[0], rank) != static_cast<std::int64_t>(rank) - 1)
      return std::nullopt;
    Node* square = makers_.of(reduce->inputs[0], ops::square);
    if (!square || square->inputs[0] != x) return std::nullopt;
    return epsilon;
  }

  // The product of what has become a norm and a constant of as many numbers.
  bool scaled(Node& node) {
    for (std::size_t i = 0; i < 2; ++i) {
      Node* norm = makers_.of(node.inputs[i], ops::rms_norm);
      ValueId gamma = node.inputs[1 - i];
      if (!norm || norm->has(1) || !graph_.value(gamma).is_constant()) continue;
      const Type &type = graph_.type(node.outputs[0]), &by = graph_.type(gamma);
      if (by.rank() != 1 || by.shape[0] != type.shape.back() || by.dtype != type.dtype) continue;
      if (graph_.type(norm->outputs[0]) != type) continue;
      return become(node, norm->inputs[0], gamma, norm->attrs.number("epsilon")), true;
    }
    return false;
  }

  void become(Node& node, ValueId x, ValueId gamma, double epsilon) {
    node.op = &ops::rms_norm;
    node.inputs = {x, gamma};
    node.attrs = complete({ops::rms_norm.attrs.begin(), ops::rms_norm.attrs.end()},
                          attrs_of({{"axes", std::vector<std::int64_t>{-1}}, {"epsilon", epsilon}}));
  }

  Graph& graph_;
  Makers makers_;
  std::size_t side_ = 0;
};

}  // namespace

bool join_norms(Graph& graph) { return NormJoiner(graph).run(); }

}  // namespace tl::pass
