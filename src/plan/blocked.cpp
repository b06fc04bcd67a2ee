// SPDX-License-Identifier: Apache-2.0
// Chooses regions of convolutions, poolings and elementwise nodes, drops those with few convolutions, and
// rewrites the rest.
#include "plan/blocked.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "op/blocked.h"
#include "op/ops.h"

namespace tl::plan {
namespace {

constexpr std::size_t fewest_convolutions = 2;
constexpr double fewest_products = 64;  // multiplications of a region for each element that is converted
constexpr std::int64_t stem_channels = 4;

bool is_image(const Type& t) {
  return t.is_tensor() && t.is_concrete() && t.dtype == DType::f16 && t.rank() == 4 && volume(t.shape) > 0;
}

// What there is to decide about a node.
enum class Form : std::uint8_t { none, conv, stem, pool, mean, elementwise };

class Regions {
 public:
  explicit Regions(const Graph& graph) : graph_(graph), blocked_(graph.value_count()), weight_(blocked_) {
    const std::vector<Node>& nodes = graph.body.nodes;
    parent_.resize(nodes.size());
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    made_.assign(graph.value_count(), nodes.size());
    forms_.resize(nodes.size(), Form::none);
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (has(nodes[k].op->traits, Traits::dequantize)) weight_[index(nodes[k].outputs[0])] = true;
      forms_[k] = form_of(nodes[k]);
      for (ValueId v : nodes[k].outputs) made_[index(v)] = k;
      if (forms_[k] == Form::none) continue;
      blocked_[index(nodes[k].outputs[0])] = true;
      for (ValueId v : nodes[k].inputs)
        if (v != no_value && blocked_[index(v)]) join(made_[index(v)], k);
    }
    drop_small();
  }

  Form form(std::size_t k) const { return forms_[k]; }

 private:
  const Type& type(ValueId v) const { return graph_.type(v); }
  bool constant(ValueId v) const { return graph_.value(v).is_constant() || weight_[index(v)]; }

  Form form_of(const Node& node) const {
    if (node.outputs.size() != 1 || node.inputs.empty() || node.inputs[0] == no_value || !node.blocks.empty())
      return Form::none;
    if (node.op == &ops::conv) return conv_form(node);
    if (!is_image(type(node.outputs[0]))) return Form::none;
    if (has(node.op->traits, Traits::elementwise))
      return fits_elementwise(node) ? Form::elementwise : Form::none;
    if (!blocked_[index(node.inputs[0])]) return Form::none;
    if (node.op == &ops::max_pool || node.op == &ops::avg_pool) return Form::pool;
    if (node.op == &ops::reduce_mean && node.attrs.boolean("keep_dims") && over_plane(node))
      return Form::mean;
    return Form::none;
  }

  static bool over_plane(const Node& node) {
    std::vector<std::int64_t> axes =
        node.attrs.has("axes") ? node.attrs.integers("axes") : std::vector<std::int64_t>{};
    for (std::int64_t& a : axes) a += a < 0 ? 4 : 0;
    std::sort(axes.begin(), axes.end());
    return axes == std::vector<std::int64_t>{2, 3};
  }

  Form conv_form(const Node& node) const {
    const Type &x = type(node.inputs[0]), &w = type(node.inputs[1]), &y = type(node.outputs[0]);
    if (!is_image(x) || !is_image(w) || !is_image(y)) return Form::none;
    // Compressed weights stay so in the kernels of plain images, which decode them as they go.
    if (!graph_.value(node.inputs[1]).is_constant()) return Form::none;
    if (node.has(2) && !constant(node.inputs[2])) return Form::none;
    std::int64_t groups = node.attrs.integer("groups"), outs = w.shape[0] / groups;
    bool depthwise = w.shape[1] == 1 && outs == 1;
    bool whole = w.shape[1] % channel_block == 0 && outs % channel_block == 0;
    if (groups > 1 && !depthwise && !whole) return Form::none;
    std::vector<std::int64_t> strides = node.attrs.integers_or("strides", 2, 1),
                              dilations = node.attrs.integers_or("dilations", 2, 1);
    bool stem = groups == 1 && x.shape[1] <= stem_channels && strides[1] == 2 && dilations[0] == 1 &&
                dilations[1] == 1 && x.shape[3] <= 1 << 20;
    return stem && !blocked_[index(node.inputs[0])] ? Form::stem : Form::conv;
  }

  // Every input an image of the same shape, one number for each channel, or one number.
  bool fits_elementwise(const Node& node) const {
    const Shape& shape = type(node.outputs[0]).shape;
    bool any = false;
    for (ValueId v : node.inputs) {
      if (v == no_value || type(v).dtype != DType::f16) return false;
      if (graph_.value(v).is_constant() && volume(type(v).shape) == 1 && type(v).rank() <= 4) continue;
      if (!is_image(type(v)) || constant(v)) return false;
      const Shape& in = type(v).shape;
      bool same = in == shape, channels = in[0] == shape[0] && in[1] == shape[1] && in[2] == 1 && in[3] == 1;
      if (!same && !channels) return false;
      any = any || (same && blocked_[index(v)]);
    }
    return any;
  }

  std::size_t root(std::size_t k) const {
    while (parent_[k] != k) k = parent_[k];
    return k;
  }
  void join(std::size_t a, std::size_t b) {
    if (a < parent_.size()) parent_[root(a)] = root(b);
  }

  // A region must have work enough for what is converted at its edges.
  void drop_small() {
    struct Sum {
      std::size_t convolutions = 0;
      double products = 0, converted = 0;
    };
    std::map<std::size_t, Sum> sums;
    const std::vector<Node>& nodes = graph_.body.nodes;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      const Node& node = nodes[k];
      for (ValueId v : node.inputs) {
        if (v == no_value || constant(v)) continue;
        bool into = forms_[k] != Form::none && forms_[k] != Form::stem && !blocked_[index(v)];
        bool out_of = forms_[k] == Form::none && blocked_[index(v)];
        if (into) sums[root(k)].converted += static_cast<double>(volume(type(v).shape));
        if (out_of) sums[root(made_[index(v)])].converted += static_cast<double>(volume(type(v).shape));
      }
      if (forms_[k] != Form::conv && forms_[k] != Form::stem) continue;
      Sum& sum = sums[root(k)];
      ++sum.convolutions;
      const Shape &w = type(node.inputs[1]).shape, &y = type(node.outputs[0]).shape;
      sum.products += static_cast<double>(volume(y)) * static_cast<double>(w[1] * w[2] * w[3]);
    }
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (forms_[k] == Form::none) continue;
      const Sum& sum = sums[root(k)];
      if (sum.convolutions < fewest_convolutions || sum.products < fewest_products * sum.converted)
        forms_[k] = Form::none;
    }
  }

  const Graph& graph_;
  std::vector<bool> blocked_, weight_;
  std::vector<std::size_t> parent_, made_;
  std::vector<Form> forms_;
};

class Rewrite {
 public:
  Rewrite(Graph& graph, const Regions& regions)
      : graph_(graph), regions_(regions), blocked_(graph.value_count(), no_value), plain_(blocked_) {
    for (std::size_t i = 0; i < plain_.size(); ++i) plain_[i] = ValueId(i);
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.body.nodes);
    graph_.body.nodes.clear();
    find_scales(nodes);
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (regions_.form(k) == Form::none) keep(std::move(nodes[k]));
      else if (!folded_.contains(nodes[k].outputs[0])) rewrite(nodes[k], regions_.form(k));
    }
    for (ValueId& v : graph_.body.outputs) v = plain(v);
  }

 private:
  // Products with one number for each channel that only a convolution reads: it takes them as it packs.
  void find_scales(const std::vector<Node>& nodes) {
    std::map<ValueId, int> readers;
    for (const Node& node : nodes) {
      for (ValueId v : node.inputs) ++readers[v];
      for (const Block& block : node.blocks)
        for_each_node(block, [&](const Node& inner) {
          for (ValueId v : inner.inputs) readers[v] += 2;
        });
    }
    for (ValueId v : graph_.body.outputs) readers[v] += 2;
    std::map<ValueId, const Node*> products;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      const Node& node = nodes[k];
      if (regions_.form(k) == Form::elementwise && node.op == &ops::mul) products[node.outputs[0]] = &node;
      if (regions_.form(k) != Form::conv || node.attrs.integer("groups") != 1) continue;
      auto found = products.find(node.inputs[0]);
      if (found == products.end() || readers[node.inputs[0]] != 1) continue;
      ValueId a = found->second->inputs[0], b = found->second->inputs[1];
      if (is_scale(a, b)) std::swap(a, b);
      if (is_scale(b, a)) folded_[node.inputs[0]] = {a, b};
    }
  }
  bool is_scale(ValueId scale, ValueId x) const {
    const Type &s = graph_.type(scale), &t = graph_.type(x);
    return s.rank() == 4 && t.rank() == 4 && s.shape[2] == 1 && s.shape[3] == 1 &&
           t.shape[2] * t.shape[3] > 1;
  }

  ValueId add(const OpDef& op, std::vector<ValueId> inputs, const Attrs& attrs, const std::string& name) {
    NodeParts parts;
    parts.name = name;
    ValueId v = graph_.add_node(graph_.body, op, std::move(inputs), attrs, std::move(parts)).outputs[0];
    blocked_.resize(graph_.value_count(), no_value);
    plain_.resize(graph_.value_count(), no_value);
    return v;
  }

  ValueId plain(ValueId v) {
    if (v == no_value || plain_[index(v)] != no_value) return v == no_value ? v : plain_[index(v)];
    Attrs attrs;
    attrs.set("channels", graph_.type(v).shape[1]);
    ValueId made = add(ops::from_blocks, {blocked_[index(v)]}, attrs, {});
    std::swap(graph_.value(made).name, graph_.value(v).name);
    return plain_[index(v)] = made;
  }

  ValueId blocked(ValueId v) {
    if (blocked_[index(v)] != no_value) return blocked_[index(v)];
    ValueId made = add(ops::to_blocks, {plain(v)}, {}, {});
    return blocked_[index(v)] = made;
  }

  void keep(Node node) {
    for (ValueId& v : node.inputs) v = plain(v);
    for (Block& block : node.blocks) keep(block);
    graph_.body.nodes.push_back(std::move(node));
  }
  void keep(Block& block) {
    for (Node& node : block.nodes) {
      for (ValueId& v : node.inputs) v = plain(v);
      for (Block& inner : node.blocks) keep(inner);
    }
    for (ValueId& v : block.outputs) v = plain(v);
  }

  void rewrite(const Node& node, Form form) {
    std::vector<ValueId> inputs = node.inputs;
    Attrs attrs = node.attrs;
    const OpDef* op = node.op;
    if (form == Form::elementwise) {
      for (ValueId& v : inputs)
        if (!graph_.value(v).is_constant()) v = blocked(v);
    } else {
      auto found = folded_.find(inputs[0]);
      ValueId x = found == folded_.end() ? inputs[0] : found->second.first;
      inputs[0] = form == Form::stem ? plain(x) : blocked(x);
      if (form == Form::conv || form == Form::stem) {
        inputs.resize(4, no_value);
        for (std::size_t i : {1, 2}) inputs[i] = plain(inputs[i]);
        if (found != folded_.end()) inputs[3] = blocked(found->second.second);
      }
      if (form == Form::mean) attrs.set("axes", std::vector<std::int64_t>{2, 3});
      else op = blocked_form(*op);
    }
    ValueId from = node.outputs[0], made = add(*op, std::move(inputs), attrs, node.name);
    if (graph_.value(made).name.empty()) graph_.value(made).name = graph_.value(from).name;
    blocked_[index(from)] = made, plain_[index(from)] = no_value;
  }

  Graph& graph_;
  const Regions& regions_;
  std::vector<ValueId> blocked_, plain_;  // how each value of the graph is to be had; no_value: not yet
  std::map<ValueId, std::pair<ValueId, ValueId>> folded_ = {};  // products: what is scaled, and by what
};

}  // namespace

void block_images(Graph& graph, const Machine& machine) {
  if (machine.isa == Isa::base) return;  // has no kernels for them
  Regions regions(graph);
  bool any = false;
  for (std::size_t k = 0; k < graph.body.nodes.size(); ++k) any = any || regions.form(k) != Form::none;
  if (any) Rewrite(graph, regions).run();
}

}  // namespace tl::plan
