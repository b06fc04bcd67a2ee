// SPDX-License-Identifier: Apache-2.0
// Epilogue fusion: chains of elementwise nodes, each the only reader of the one before, behind a node whose
// kernel can apply them before it rounds.
#include "plan/fuse.h"

#include <algorithm>

namespace tl::plan {
namespace {

class Fuser {
 public:
  Fuser(const Graph& graph, const Views& views, const std::function<bool(const Fused&)>& fits)
      : graph_(graph),
        views_(views),
        fits_(fits),
        readers_(graph.value_count()),
        made_(graph.value_count(), -1) {
    const std::vector<Node>& nodes = graph.body.nodes;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      count(nodes[k], static_cast<int>(k));
      for (ValueId v : nodes[k].outputs) made_[index(v)] = static_cast<int>(k);
    }
    for (ValueId v : graph.body.outputs) ++readers_[index(v)].count;
  }

  std::vector<Fused> run() {
    const std::vector<Node>& nodes = graph_.body.nodes;
    std::vector<bool> taken(nodes.size(), false);
    std::vector<Fused> steps;
    std::vector<int> step_of(nodes.size(), -1);
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (taken[k]) continue;
      Fused step = start(nodes[k]);
      if (nodes[k].blocks.empty() && nodes[k].outputs.size() == 1 &&
          !has(nodes[k].op->traits, Traits::elementwise)) {
        grow(step, taken);
        move_out(step, taken);
      }
      steps.push_back(std::move(step));
    }
    return sorted(std::move(steps));
  }

 private:
  struct Readers {
    int count = 0, last = -1;
  };

  void count(const Node& node, int k) {
    for (ValueId v : node.inputs)
      if (v != no_value) ++readers_[index(v)].count, readers_[index(v)].last = k;
    for (const Block& block : node.blocks) {
      for (const Node& inner : block.nodes) count(inner, k);
      for (ValueId v : block.outputs) readers_[index(v)].count += 2;
    }
  }

  static Fused start(const Node& node) { return {&node, {}, node.inputs, {}}; }

  // The only reader reorders all of the result.
  void move_out(Fused& step, std::vector<bool>& taken) {
    ValueId result = step.outputs().front();
    if (readers_[index(result)].count != 1 || readers_[index(result)].last < 0) return;
    auto k = static_cast<std::size_t>(readers_[index(result)].last);
    const Node& next = graph_.body.nodes[k];
    if (taken[k] || next.outputs.size() != 1 || next.inputs.front() != result) return;
    std::optional<View> view = views_.moved(next);
    if (!view || view->is_dense()) return;
    Fused longer = step;
    longer.moved = &next;
    longer.views.resize(longer.inputs.size() + 1);
    longer.views.back() = std::move(view);
    longer.stands_for = longer.inputs;
    if (!fits_(longer)) return;
    step = std::move(longer);
    taken[k] = true;
  }

  void grow(Fused& step, std::vector<bool>& taken) {
    while (true) {
      ValueId result = step.outputs().front();
      if (readers_[index(result)].count != 1) return;
      int k = readers_[index(result)].last;
      if (k < 0 || taken[static_cast<std::size_t>(k)]) return;
      const Node& next = graph_.body.nodes[static_cast<std::size_t>(k)];
      Fused longer = step;
      if (!append(longer, next, result) || !fits_(longer)) return;
      step = std::move(longer);
      taken[static_cast<std::size_t>(k)] = true;
    }
  }

  // The row keeps shape and type of the result it follows, so that the kernel can apply it in place.
  bool append(Fused& step, const Node& next, ValueId result) {
    if (!has(next.op->traits, Traits::elementwise) || next.inputs.size() > 2 || next.outputs.size() != 1)
      return false;
    if (graph_.type(next.outputs.front()) != graph_.type(result) || !graph_.type(result).is_concrete())
      return false;
    PostOp post{next.op, &next.attrs, -1, false};
    if (next.inputs.size() == 2) {
      post.swapped = next.inputs[1] == result;
      ValueId operand = next.inputs[post.swapped ? 0 : 1];
      if (operand == result || operand == no_value) return false;
      post.operand = static_cast<int>(step.inputs.size());
      step.inputs.push_back(operand);
    }
    step.ops.push_back(post);
    step.post.push_back(&next);
    return true;
  }

  // A step runs where its last node stood: only there are all its operands computed.
  std::vector<Fused> sorted(std::vector<Fused> steps) {
    auto position = [&](const Fused& step) { return &step.last(); };
    std::stable_sort(steps.begin(), steps.end(),
                     [&](const Fused& a, const Fused& b) { return position(a) < position(b); });
    return steps;
  }

  const Graph& graph_;
  const Views& views_;
  const std::function<bool(const Fused&)>& fits_;
  std::vector<Readers> readers_;
  std::vector<int> made_;
};

}  // namespace

std::vector<Fused> fuse(const Graph& graph, const Views& views,
                        const std::function<bool(const Fused&)>& fits) {
  return Fuser(graph, views, fits).run();
}

}  // namespace tl::plan
