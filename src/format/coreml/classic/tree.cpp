// SPDX-License-Identifier: Apache-2.0
// Tree ensembles: nodes in any order, named by tree and number, become the tables of tree_ensemble.
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "format/coreml/proto.h"
#include "op/formulas.h"
#include "op/tree.h"

namespace tl::coreml {
namespace {

constexpr std::int64_t most_outputs = 1 << 20;

struct Node {
  std::uint64_t tree = 0, id = 0, when_true = 0, when_false = 0;
  std::int64_t behavior = 0, feature = 0;
  double threshold = 0;
  bool missing_true = false;
  std::int64_t first = 0;  // of its entries
};

struct Trees {
  std::vector<Node> nodes = {};
  std::vector<std::int64_t> index = {};  // entries of leaves
  std::vector<double> value = {}, base = {};
  std::int64_t outputs = 0;
};

void read_entry(std::string_view message, Trees& to) {
  std::uint64_t index = 0;
  double value = 0;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): index = field.get_uint64(); break;
      case fixed64(2): value = field.get_double(); break;
      default: field.skip();
    }
  });
  if (index >= static_cast<std::uint64_t>(to.outputs))
    throw Error(Code::bad_input, text("adds to dimension {} of {}", index, to.outputs));
  to.index.push_back(static_cast<std::int64_t>(index));
  to.value.push_back(value);
}

void read_node(std::string_view message, Trees& to) {
  Node node;
  node.first = static_cast<std::int64_t>(to.value.size());
  std::vector<std::string_view> entries;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): node.tree = field.get_uint64(); break;
      case varint(2): node.id = field.get_uint64(); break;
      case varint(3): node.behavior = field.get_int64(); break;
      case varint(10): node.feature = static_cast<std::int64_t>(field.get_uint64()); break;
      case fixed64(11): node.threshold = field.get_double(); break;
      case varint(12): node.when_true = field.get_uint64(); break;
      case varint(13): node.when_false = field.get_uint64(); break;
      case varint(14): node.missing_true = truth(field); break;
      case bytes(20): entries.push_back(view(field)); break;
      default: field.skip();
    }
  });
  with_note([&] { return text("tree {}: node {}", node.tree, node.id); },
            [&] {
              if (node.behavior < 0 || node.behavior > trees::leaf)
                throw Error(Code::bad_input, text("has the behavior {}, which is not known", node.behavior));
              for (std::string_view entry : entries) read_entry(entry, to);
            });
  to.nodes.push_back(node);
}

Trees read_trees(const Message& message) {
  Trees out;
  out.base = message.doubles(3);
  auto base = static_cast<std::int64_t>(out.base.size());
  out.outputs = message.integer(2);
  if (out.outputs < 1 || out.outputs > most_outputs || (base > 1 && base != out.outputs))
    throw Error(Code::bad_input,
                text("has {} base values for {} dimensions of its prediction", base, out.outputs));
  out.base.resize(static_cast<std::size_t>(out.outputs), base == 1 ? out.base[0] : 0);
  each_field(message.bytes(), [&](Field& field) {
    if (field.tag_and_type() == bytes(1)) read_node(view(field), out);
    else field.skip();
  });
  must(!out.nodes.empty(), "has no nodes");
  return out;
}

// ---- links: numbers of nodes within a tree become places in the tables

class Links {
 public:
  explicit Links(const Trees& trees) : trees_(trees), parents_(trees.nodes.size(), 0) {
    for (std::size_t i = 0; i < trees.nodes.size(); ++i)
      if (const Node& n = trees.nodes[i]; !places_[n.tree].emplace(n.id, i).second)
        throw Error(Code::bad_input, text("tree {}: there are two nodes {}", n.tree, n.id));
    for (const Node& n : trees.nodes) {
      bool leaf = n.behavior == trees::leaf;
      when_true.push_back(leaf ? 0 : child(n, n.when_true));
      when_false.push_back(leaf ? 0 : child(n, n.when_false));
    }
    find_roots();
  }

  std::vector<std::int64_t> when_true = {}, when_false = {}, roots = {};

 private:
  std::int64_t child(const Node& n, std::uint64_t id) {
    const auto& places = places_.at(n.tree);
    auto found = places.find(id);
    if (found == places.end())
      throw Error(Code::bad_input,
                  text("tree {}: node {} leads to node {}, which is not there", n.tree, n.id, id));
    if (++parents_[found->second] > 1)
      throw Error(Code::bad_input, text("tree {}: two branches lead to node {}", n.tree, id));
    return static_cast<std::int64_t>(found->second);
  }

  // Each tree has one node without a parent. With one parent each, what is not below it is in a loop.
  void find_roots() {
    std::unordered_map<std::uint64_t, bool> rooted;
    for (std::size_t i = 0; i < trees_.nodes.size(); ++i) {
      if (parents_[i]) continue;
      if (rooted[trees_.nodes[i].tree])
        throw Error(Code::bad_input, text("tree {}: has two nodes that none leads to", trees_.nodes[i].tree));
      rooted[trees_.nodes[i].tree] = true;
      roots.push_back(static_cast<std::int64_t>(i));
    }
    std::vector<std::int64_t> below = roots;
    for (std::size_t i = 0; i < below.size(); ++i) {
      auto at = static_cast<std::size_t>(below[i]);
      if (trees_.nodes[at].behavior == trees::leaf) continue;
      below.push_back(when_true[at]);
      below.push_back(when_false[at]);
    }
    if (below.size() != trees_.nodes.size())
      throw Error(Code::bad_input, "the children of a node lead back to it");
  }

  const Trees& trees_;
  std::vector<int> parents_;
  std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, std::size_t>> places_ = {};
};

// Converters that compute in fp32 store thresholds that fp32 holds: then features are compared in fp32.
bool is_single(const Trees& trees) {
  auto single = [](double x) { return static_cast<double>(static_cast<float>(x)) == x; };
  for (const Node& node : trees.nodes)
    if (node.behavior != trees::leaf && !single(node.threshold)) return false;
  for (double v : trees.value)
    if (!single(v)) return false;
  return true;
}

Ex sums(Sketch& sketch, const Trees& trees) {
  Ex x = sketch.rows();
  Links links(trees);
  std::vector<std::int64_t> feature, behavior, missing, first;
  std::vector<double> threshold;
  for (const Node& node : trees.nodes) {
    if (node.behavior != trees::leaf && is_known(x.shape()[1]) &&
        (node.feature < 0 || node.feature >= x.shape()[1]))
      throw Error(Code::bad_input, text("tree {}: node {} looks at feature {}, there are {}", node.tree,
                                        node.id, node.feature, x.shape()[1]));
    must(node.feature >= 0 && node.feature <= INT32_MAX, "a node looks at a feature that cannot be");
    feature.push_back(node.feature);
    threshold.push_back(node.threshold);
    behavior.push_back(node.behavior);
    missing.push_back(node.missing_true);
    first.push_back(node.first);
  }
  first.push_back(static_cast<std::int64_t>(trees.value.size()));
  auto numbers = [&](std::vector<double> v) {
    auto n = static_cast<Dim>(v.size());
    return sketch.doubles(std::move(v), {n});
  };
  if (is_single(trees)) x = cast(x, DType::f32);
  return emit(ops::tree_ensemble, {x, sketch.whole(links.roots), sketch.whole(feature), numbers(threshold),
                                   sketch.whole(behavior), sketch.whole(links.when_true),
                                   sketch.whole(links.when_false), sketch.whole(missing), sketch.whole(first),
                                   sketch.whole(trees.index), numbers(trees.value), numbers(trees.base)});
}

// Before a softmax: a first class whose score is 0.
Ex with_reference(Sketch& sketch, Ex s) {
  Ex zero = emit(ops::reduce_sum, {s}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}}) * 0;
  (void)sketch;
  Ex both[] = {zero, s};
  return emit(ops::concat, both, attrs_of({{"axis", std::int64_t{1}}}));
}

Ex transformed(Sketch& sketch, Ex s, std::int64_t transform) {
  switch (transform) {
    case 0: return s;
    case 1: return emit(ops::softmax, {s}, {{"axis", std::int64_t{1}}});
    case 2: return logistic(s);
    case 3: return emit(ops::softmax, {with_reference(sketch, s)}, {{"axis", std::int64_t{1}}});
    default:
      throw Error(Code::unsupported, text("the transform {} of a tree ensemble is not known", transform));
  }
}

void give_two_classes(Sketch& sketch, Ex p, Tensor labels) {
  Ex both[] = {1 - p, p};
  Ex scores = emit(ops::concat, both, attrs_of({{"axis", std::int64_t{1}}}));
  Ex second = cast(greater_equal(p, 0.5), DType::i32);
  sketch.give_classes(scores, std::move(labels),
                      emit(ops::reduce_max, {second}, {{"axes", std::vector<std::int64_t>{1}}}));
}

}  // namespace

void lower_trees(const Message& message, Function& function, bool classifier) {
  Sketch sketch(function);
  Trees trees = with_note([] { return "the trees"; }, [&] { return read_trees(message.message(1)); });
  Ex result = with_note([] { return "the trees"; },
                        [&] { return transformed(sketch, sums(sketch, trees), message.integer(2)); });
  if (!classifier) sketch.give_only(result);
  else if (Tensor labels = read_labels(message); labels && labels.size() == 2 && result.shape()[1] == 1)
    give_two_classes(sketch, result, std::move(labels));
  else sketch.give_classes(result, std::move(labels));
  sketch.finish();
}

}  // namespace tl::coreml
