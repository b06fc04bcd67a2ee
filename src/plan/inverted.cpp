// SPDX-License-Identifier: Apache-2.0
// Finds chains of three convolutions, each the only reader of the one before, with at most one operation
// between them, and puts one node in their place.
#include "plan/inverted.h"

#include <algorithm>
#include <map>

#include "op/conv_inverted.h"
#include "op/ops.h"
#include "pass/rewrite.h"

namespace tl::plan {
namespace {

struct Stage {  // a convolution and what follows it
  const Node* conv = nullptr;
  std::vector<std::size_t> nodes = {};
  std::string word = "none";
  double low = 0, high = 0;
};

struct Joined {  // what a node is to become
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs = {};
  Attrs attrs = {};
  std::vector<std::size_t> nodes = {};  // that it stands for, the last one first
  std::vector<ValueId> outputs = {};    // what it gives
};

class Joiner {
 public:
  Joiner(Graph& graph, const Machine& machine)
      : graph_(graph), machine_(machine), made_(graph.value_count(), none), readers_(graph.value_count(), 0) {
    const std::vector<Node>& nodes = graph.body.nodes;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      for (ValueId v : nodes[k].outputs) made_[index(v)] = k;
      count(nodes[k]);
    }
    for (ValueId v : graph.body.outputs) ++readers_[index(v)];
  }

  void run() {
    std::map<std::size_t, Joined> joined;  // by the node that stands last
    std::vector<bool> taken(graph_.body.nodes.size(), false), gone = taken;
    for (std::size_t k = 0; k < taken.size(); ++k) {
      std::optional<Joined> j = look_at(graph_.body.nodes[k]);
      if (!j || !fits(*j)) continue;
      if (std::any_of(j->nodes.begin(), j->nodes.end(), [&](std::size_t i) { return taken[i]; })) continue;
      for (std::size_t i : j->nodes) taken[i] = true;
      for (ValueId v : j->outputs) gone[made_[index(v)]] = true;
      for (std::size_t i : j->nodes) gone[i] = true;
      std::size_t last = j->nodes.front();
      joined.emplace(last, std::move(*j));
    }
    if (!joined.empty()) rewrite(joined, gone);
  }

 private:
  static constexpr std::size_t none = ~std::size_t{0};

  void count(const Node& node) {
    for (ValueId v : node.inputs)
      if (v != no_value) ++readers_[index(v)];
    for (const Block& block : node.blocks) {
      for (const Node& inner : block.nodes) count(inner);
      for (ValueId v : block.outputs) ++readers_[index(v)];
    }
  }
  const Node* maker(ValueId v) const {
    return v == no_value || made_[index(v)] == none ? nullptr : &graph_.body.nodes[made_[index(v)]];
  }
  bool is_constant(ValueId v) const { return v == no_value || graph_.value(v).is_constant(); }

  // Says what an elementwise node does, if kernels have it inside.
  static bool read_between(const Node& node, Stage& stage) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    stage.word = "clip";
    if (node.op == &ops::silu) stage.word = "silu";
    else if (node.op == &ops::relu) stage.high = infinity;
    else if (node.op == &ops::relu6) stage.high = 6;
    else if (node.op == &ops::clip)
      stage.low = node.attrs.number("alpha"), stage.high = node.attrs.number("beta");
    else return false;
    return true;
  }

  // The convolution behind v.
  std::optional<Stage> stage_of(ValueId v) const {
    const Node* node = maker(v);
    Stage stage;
    if (node && read_between(*node, stage)) {
      stage.nodes.push_back(made_[index(v)]);
      v = node->inputs[0];
      node = readers_[index(v)] == 1 ? maker(v) : nullptr;
    } else {
      stage.word = "none";
    }
    if (!node || node->op != &ops::conv_blocked || node->has(3)) return std::nullopt;
    if (!is_constant(node->inputs[1]) || !is_constant(node->inputs[2])) return std::nullopt;
    if (graph_.type(node->inputs[0]).rank() != 5) return std::nullopt;
    stage.nodes.push_back(made_[index(v)]);
    stage.conv = node;
    return stage;
  }

  bool is_pointwise(const Node& conv) const {
    const Shape &x = graph_.type(conv.inputs[0]).shape, &w = graph_.type(conv.inputs[1]).shape,
                &y = graph_.type(conv.outputs[0]).shape;
    return conv.attrs.integer("groups") == 1 && w[2] * w[3] == 1 && x[2] == y[2] && x[3] == y[3] &&
           conv.attrs.integers_or("strides", 2, 1) == std::vector<std::int64_t>{1, 1};
  }
  bool is_depthwise(const Node& conv) const {
    const Shape& w = graph_.type(conv.inputs[1]).shape;
    return w[0] > 1 && w[1] == 1 && conv.attrs.integer("groups") == w[0];
  }

  // What ends in the depthwise convolution behind v.
  std::optional<Joined> hidden_of(ValueId v) const {
    std::optional<Stage> window = stage_of(v);
    if (!window || !is_depthwise(*window->conv)) return std::nullopt;
    Joined j;
    const Node& conv = *window->conv;
    j.nodes = window->nodes;
    j.inputs = {conv.inputs[0], no_value, no_value, conv.inputs[1], conv.inputs[2]};
    for (std::string_view name : {"strides", "pad_type", "pad", "dilations"})
      if (const AttrValue* value = conv.attrs.find(name)) j.attrs.set(name, *value);
    note(j.attrs, "second", *window);
    std::optional<Stage> expand =
        readers_[index(conv.inputs[0])] == 1 ? stage_of(conv.inputs[0]) : std::nullopt;
    if (!expand || !is_pointwise(*expand->conv)) return j;
    j.nodes.insert(j.nodes.end(), expand->nodes.begin(), expand->nodes.end());
    for (std::size_t i = 0; i < 3; ++i) j.inputs[i] = expand->conv->inputs[i];
    note(j.attrs, "first", *expand);
    return j;
  }
  static void note(Attrs& attrs, const std::string& which, const Stage& stage) {
    attrs.set(which, stage.word);
    attrs.set(which + "_low", stage.low);
    attrs.set(which + "_high", stage.high);
  }

  std::optional<Joined> look_at(const Node& node) const {
    if (node.op == &ops::conv_blocked) return whole(node);
    if (node.op == &ops::reduce_mean && graph_.type(node.inputs[0]).rank() == 5) return with_mean(node);
    return std::nullopt;
  }

  std::optional<Joined> whole(const Node& conv) const {
    if (conv.has(3) || graph_.type(conv.inputs[0]).rank() != 5 || !is_pointwise(conv) ||
        !is_constant(conv.inputs[1]) || !is_constant(conv.inputs[2]) || readers_[index(conv.inputs[0])] != 1)
      return std::nullopt;
    std::optional<Joined> j = hidden_of(conv.inputs[0]);
    if (!j) return std::nullopt;
    j->op = &ops::inverted_residual;
    j->nodes.insert(j->nodes.begin(), made_[index(conv.outputs[0])]);
    j->inputs.insert(j->inputs.end(), {conv.inputs[1], conv.inputs[2]});
    j->outputs = conv.outputs;
    return j;
  }

  std::optional<Joined> with_mean(const Node& mean) const {
    if (!mean.attrs.boolean("keep_dims") || !is_over_planes(mean.attrs)) return std::nullopt;
    std::optional<Joined> j = hidden_of(mean.inputs[0]);
    if (!j) return std::nullopt;
    j->op = &ops::expand_depthwise;
    j->outputs = {mean.inputs[0], mean.outputs[0]};
    return j;
  }

  // Whether kernels take it.
  bool fits(const Joined& j) const {
    constexpr std::int64_t most_panel_blocks = 3;
    std::vector<Type> in;
    std::unique_ptr<bool[]> given(new bool[j.inputs.size()]());
    for (std::size_t i = 0; i < j.inputs.size(); ++i) {
      given[i] = j.inputs[i] != no_value;
      in.push_back(given[i] ? graph_.type(j.inputs[i]) : Type());
      if (given[i] && in.back().dtype != DType::f16) return false;
    }
    Attrs attrs = complete({j.op->attrs.begin(), j.op->attrs.end()}, j.attrs);
    int slots = machine_.pool ? machine_.pool->threads() : 1;
    return plan_inverted({*j.op, attrs, in, {given.get(), in.size()}, {}, {}, machine_}, slots,
                         most_panel_blocks)
        .has_value();
  }

  void rewrite(const std::map<std::size_t, Joined>& joined, const std::vector<bool>& gone) {
    std::vector<Node> nodes = std::move(graph_.body.nodes);
    graph_.body.nodes.clear();
    pass::ValueMap map;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      auto found = joined.find(k);
      if (found != joined.end()) put(found->second, nodes[k].name, map);
      else if (!gone[k]) keep(std::move(nodes[k]), map);
    }
    for (ValueId& v : graph_.body.outputs) v = map(v);
  }
  void put(const Joined& j, const std::string& name, pass::ValueMap& map) {
    std::vector<ValueId> inputs = j.inputs;
    for (ValueId& v : inputs) v = map(v);
    NodeParts parts;
    parts.name = name;
    std::vector<ValueId> made =
        graph_.add_node(graph_.body, *j.op, std::move(inputs), j.attrs, std::move(parts)).outputs;
    for (std::size_t i = 0; i < made.size(); ++i) {
      graph_.value(made[i]).name = graph_.value(j.outputs[i]).name;
      map.set(j.outputs[i], made[i]);
    }
  }
  void keep(Node node, const pass::ValueMap& map) {
    auto mapped = [&](auto& self, Block& block) -> void {
      for (Node& inner : block.nodes) {
        for (ValueId& v : inner.inputs) v = map(v);
        for (Block& deeper : inner.blocks) self(self, deeper);
      }
      for (ValueId& v : block.outputs) v = map(v);
    };
    for (ValueId& v : node.inputs) v = map(v);
    for (Block& block : node.blocks) mapped(mapped, block);
    graph_.body.nodes.push_back(std::move(node));
  }

  Graph& graph_;
  const Machine& machine_;
  std::vector<std::size_t> made_;
  std::vector<int> readers_;
};

}  // namespace

void join_inverted(Graph& graph, const Machine& machine) {
  if (machine.isa == Isa::base) return;  // has no kernels for them
  Joiner(graph, machine).run();
}

}  // namespace tl::plan
