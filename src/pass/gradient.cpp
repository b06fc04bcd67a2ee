// SPDX-License-Identifier: Apache-2.0
// Walks the body backwards from `of`, asking each definition for its gradient.
#include "pass/gradient.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::pass {
namespace {

bool carries_gradient(const Type& t) { return t.is_tensor() && is_float(t.dtype); }

class Backward {
 public:
  Backward(Graph& graph, ValueId of)
      : graph_(graph), grads_(graph.value_count()), needed_(graph.value_count(), false) {
    const Type& type = graph.type(of);
    if (!type.is_concrete() || volume(type.shape) != 1 || !carries_gradient(type))
      throw Error(Code::bad_input, text("a gradient is taken of one number, not of {}", text_of(type)));
    std::vector<double> one(1, 1.0);
    grads_[index(of)] = constant(place(), from_doubles(one, type.dtype, type.shape));
  }

  void need(std::span<const ValueId> wrt) {
    for (ValueId v : wrt) needed_[index(v)] = true;
    for (const Node& node : graph_.body.nodes) {
      bool any = std::any_of(node.inputs.begin(), node.inputs.end(),
                             [&](ValueId v) { return v != no_value && needed_[index(v)]; });
      for (ValueId v : node.outputs) needed_[index(v)] = any;
    }
  }

  void run() {
    for (std::size_t k = graph_.body.nodes.size(); k-- > 0;) {
      Node node = graph_.body.nodes[k];  // a copy: nodes are appended meanwhile
      bool reached = std::any_of(node.outputs.begin(), node.outputs.end(),
                                 [&](ValueId v) { return grads_[index(v)] && needed_[index(v)]; });
      if (reached) with_note([&] { return text("{} '{}'", node.op->name, node.name); }, [&] { back(node); });
    }
  }

  ValueId of(ValueId v) {
    if (index(v) < grads_.size() && grads_[index(v)]) return grads_[index(v)].id();
    const Type& type = graph_.type(v);
    std::vector<double> zeros(static_cast<std::size_t>(volume(type.shape)), 0.0);
    return graph_.add_constant(from_doubles(zeros, type.dtype, type.shape));
  }

 private:
  Place place() { return {&graph_, &graph_.body}; }
  Ex ex(ValueId v) { return v == no_value ? Ex() : Ex(place(), v); }

  void back(const Node& node) {
    if (!node.op->gradient) throw Error(Code::unsupported, "has no gradient");
    std::vector<Ex> in, out, grad;
    for (ValueId v : node.inputs) in.push_back(ex(v));
    for (ValueId v : node.outputs) out.push_back(ex(v)), grad.push_back(grads_[index(v)]);
    std::vector<Ex> result = node.op->gradient({in, out, grad, node.attrs});
    for (std::size_t i = 0; i < result.size() && i < node.inputs.size(); ++i)
      if (node.inputs[i] != no_value && result[i]) add(node.inputs[i], result[i]);
  }

  void add(ValueId v, Ex gradient) {
    Type type = graph_.type(v);  // a copy: new values move the old ones
    if (!needed_[index(v)] || !carries_gradient(type)) return;
    if (gradient.is_literal())
      gradient = constant(
          place(),
          from_doubles(std::vector<double>(static_cast<std::size_t>(volume(type.shape)), gradient.number()),
                       type.dtype, type.shape));
    gradient = cast(summed_to(gradient, type.shape), type.dtype);
    Ex& sum = grads_[index(v)];
    sum = sum ? sum + gradient : gradient;
  }

  Graph& graph_;
  std::vector<Ex> grads_;
  std::vector<bool> needed_;
};

// A node without a gradient of its own becomes what it decomposes into.
void decompose_what_must(Graph& graph) {
  std::vector<Node> nodes = std::move(graph.body.nodes);
  graph.body.nodes.clear();
  std::map<ValueId, ValueId> now;
  auto mapped = [&](ValueId v) {
    auto found = now.find(v);
    return found == now.end() ? v : found->second;
  };
  for (Node& node : nodes) {
    for (ValueId& v : node.inputs) v = mapped(v);
    if (node.op->gradient || !node.op->decompose) {
      graph.body.nodes.push_back(std::move(node));
      continue;
    }
    std::vector<Ex> in;
    for (ValueId v : node.inputs) in.push_back(v == no_value ? Ex() : Ex({&graph, &graph.body}, v));
    std::vector<Ex> out = node.op->decompose(in, node.attrs);
    for (std::size_t i = 0; i < out.size(); ++i) now[node.outputs[i]] = out[i].id();
  }
  for (ValueId& v : graph.body.outputs) v = mapped(v);
}

}  // namespace

Ex summed_to(const Ex& gradient, const Shape& shape) {
  const Shape& given = gradient.shape();
  if (given == shape) return gradient;
  std::vector<std::int64_t> axes;
  std::size_t extra = given.size() - shape.size();
  for (std::size_t d = 0; d < given.size(); ++d)
    if (d < extra || (shape[d - extra] == 1 && given[d] != 1)) axes.push_back(static_cast<std::int64_t>(d));
  Ex sum = axes.empty() ? gradient : emit(ops::reduce_sum, {gradient}, {{"axes", axes}, {"keep_dims", true}});
  return sum.shape() == shape ? sum : emit(ops::reshape, {sum, integers(sum.place(), shape)});
}

std::vector<ValueId> gradient(Graph& graph, ValueId of, std::span<const ValueId> wrt) {
  std::size_t output = graph.body.outputs.size();  // decomposing may give `of` another name
  graph.add_output(of, "of");
  decompose_what_must(graph);
  of = graph.body.outputs[output];
  graph.body.outputs.pop_back();
  graph.output_names.pop_back();
  Backward backward(graph, of);
  backward.need(wrt);
  backward.run();
  std::vector<ValueId> result;
  for (ValueId v : wrt) result.push_back(backward.of(v));
  return result;
}

}  // namespace tl::pass
