// SPDX-License-Identifier: Apache-2.0
// The conditions of rules, answered from a graph.
#include "explain/fit.h"

#include <algorithm>

#include "op/ops.h"

namespace tl::explain {
namespace {

template <class Ask> bool any_type(const Graph& g, const Node& node, const Ask& ask) {
  auto one = [&](ValueId v) { return v != no_value && g.type(v).is_tensor() && ask(g.type(v)); };
  return std::any_of(node.inputs.begin(), node.inputs.end(), one) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), one);
}

const Type* first_input(const Graph& g, const Node& node) {
  return node.has(0) && g.type(node.inputs[0]).is_tensor() ? &g.type(node.inputs[0]) : nullptr;
}

const Type* first_output(const Graph& g, const Node& node) {
  return node.outputs.empty() || !g.type(node.outputs[0]).is_tensor() ? nullptr : &g.type(node.outputs[0]);
}

// The lengths of the kernel or window, last one last; empty: the node has none.
std::vector<std::int64_t> window_of(const Graph& g, const Node& node) {
  if (node.attrs.has("kernel_sizes")) return node.attrs.integers("kernel_sizes");
  if ((node.op == &ops::conv || node.op == &ops::conv_transpose) && node.has(1)) {
    const Type& weight = g.type(node.inputs[1]);
    if (weight.ranked && weight.rank() > 2) return {weight.shape.begin() + 2, weight.shape.end()};
  }
  return {};
}

bool only_2_and_3(std::int64_t n) {
  while (n > 0 && n % 2 == 0) n /= 2;
  while (n > 0 && n % 3 == 0) n /= 3;
  return n == 1;
}

bool any_number(const Node& node, std::string_view name, std::int64_t limit) {
  const AttrValue* value = node.attrs.find(name);
  if (!value) return false;
  if (const auto* one = std::get_if<std::int64_t>(value)) return *one > limit;
  const auto* many = std::get_if<std::vector<std::int64_t>>(value);
  return many && std::any_of(many->begin(), many->end(), [&](std::int64_t n) { return n > limit; });
}

bool type_is(const Graph& g, const Node& node, std::string_view word) {
  const Type *in = first_input(g, node), *out = first_output(g, node);
  const Type* told = out && out->dtype != DType::boolean ? out : in;
  return told && name_of(told->dtype) == word;
}

bool last_axis_is(const Graph& g, const Node& node, std::int64_t limit) {
  const Type* out = first_output(g, node);
  return out && out->is_concrete() && out->rank() > 2 && out->shape.back() == limit &&
         volume(out->shape) > 256;
}

bool channels_ragged(const Graph& g, const Node& node, std::int64_t unit) {
  const Type* out = first_output(g, node);
  return out && out->rank() >= 3 && is_known(out->shape[1]) && out->shape[1] > unit &&
         out->shape[1] % unit != 0;
}

bool reduced_over(const Graph& g, const Node& node, std::int64_t limit) {
  const Type* in = first_input(g, node);
  if (!in || !in->ranked || in->rank() == 0 || !node.attrs.has("axis")) return false;
  auto rank = static_cast<std::int64_t>(in->rank());
  std::int64_t axis = node.attrs.integer("axis");
  axis += axis < 0 ? rank : 0;
  return axis >= 0 && axis < rank && in->shape[static_cast<std::size_t>(axis)] > limit;
}

bool input_varies(const Node& node, const Facts& facts, std::string_view name) {
  for (std::size_t i = 0; i < node.op->inputs.size(); ++i)
    if (node.op->inputs[i].name == name) return node.has(i) && !facts.constant[index(node.inputs[i])];
  return false;
}

bool moves_width(const Graph& g, const Node& node) {
  if (node.op == &ops::transpose) {
    const auto& perm = node.attrs.integers("perm");
    auto last = static_cast<std::int64_t>(perm.size()) - 1;
    return !perm.empty() && perm.back() != last && perm.back() != -1;
  }
  const Type *in = first_input(g, node), *out = first_output(g, node);
  return in && out && in->rank() > 0 && out->rank() > 0 && in->shape.back() != out->shape.back();
}

bool slices_width(const Graph& g, const Node& node) {
  if (node.op != &ops::slice_by_index || !node.has(1) || !g.value(node.inputs[1]).is_constant()) return false;
  const Type* in = first_input(g, node);
  std::vector<std::int64_t> begin = to_integers(g.value(node.inputs[1]).constant);
  return in && in->rank() == begin.size() && !begin.empty() && begin.back() != 0;
}

// Questions about tensors whatever the operation.
std::optional<bool> about_types(const AneWhen& when, const Graph& g, const Node& node) {
  switch (when.test) {
    case AneTest::always: return true;
    case AneTest::rank_over:
      return any_type(g, node,
                      [&](const Type& t) { return static_cast<std::int64_t>(t.rank()) > when.limit; });
    case AneTest::axis_over:
      return any_type(g, node, [&](const Type& t) {
        return t.rank() > 1 &&
               std::any_of(t.shape.end() - 2, t.shape.end(), [&](Dim d) { return d > when.limit; });
      });
    case AneTest::channels_over:
      return any_type(g, node, [&](const Type& t) {
        return t.rank() > 2 &&
               std::any_of(t.shape.begin(), t.shape.end() - 2, [&](Dim d) { return d > when.limit; });
      });
    case AneTest::rows_over: {
      const Type* in = first_input(g, node);
      return in && in->rank() > 1 && in->is_concrete() && in->shape.back() > 0 &&
             volume(in->shape) / in->shape.back() > when.limit;
    }
    case AneTest::last_axis_is: return last_axis_is(g, node, when.limit);
    case AneTest::batch_over: {
      const Type* in = first_input(g, node);
      return in && in->rank() >= 3 && in->shape[0] > when.limit;
    }
    case AneTest::channels_ragged: return channels_ragged(g, node, when.limit);
    case AneTest::type_is: return type_is(g, node, when.word);
    case AneTest::varies: return any_type(g, node, [](const Type& t) { return !t.is_concrete(); });
    case AneTest::empty:
      return any_type(g, node, [](const Type& t) {
        return std::find(t.shape.begin(), t.shape.end(), 0) != t.shape.end();
      });
    default: return std::nullopt;
  }
}

}  // namespace

bool holds(const AneWhen& when, const Graph& g, const Node& node, const Facts& facts) {
  if (std::optional<bool> answer = about_types(when, g, node)) return *answer;
  std::vector<std::int64_t> window = window_of(g, node);
  switch (when.test) {
    case AneTest::width_over: return !window.empty() && window.back() > when.limit;
    case AneTest::height_over: return window.size() > 1 && window[window.size() - 2] > when.limit;
    case AneTest::spatial_over: return static_cast<std::int64_t>(window.size()) > when.limit;
    case AneTest::stride_over: return any_number(node, "strides", when.limit);
    case AneTest::dilation_odd: {
      if (!node.attrs.has("dilations")) return false;
      const auto& all = node.attrs.integers("dilations");
      return std::any_of(all.begin(), all.end(), [](std::int64_t d) { return !only_2_and_3(d); });
    }
    case AneTest::number_over: return any_number(node, when.word, when.limit);
    case AneTest::word_is: {
      const AttrValue* value = node.attrs.find(when.word);
      const auto* word = value ? std::get_if<std::string>(value) : nullptr;
      return word && *word == when.value;
    }
    case AneTest::reduced_over: return reduced_over(g, node, when.limit);
    case AneTest::depth_over: {
      const Type* in = first_input(g, node);
      return in && in->rank() > 0 && in->shape.back() > when.limit;
    }
    case AneTest::input_varies: return input_varies(node, facts, when.word);
    case AneTest::moves_width: return moves_width(g, node);
    case AneTest::slices_width: return slices_width(g, node);
    default: return false;
  }
}

std::vector<const AneRule*> rules_for(const Graph& g, const Node& node, const Facts& facts,
                                      const Chip& chip) {
  std::vector<const AneRule*> found;
  auto add = [&](const AneRule& rule) {
    bool says = rule.effect != AneEffect::runs && covers(rule.chips, chip);
    if (says && holds(rule.when, g, node, facts)) found.push_back(&rule);
  };
  for (const AneRule* rule : ane_rules(*node.op)) add(*rule);
  for (const AneRule& rule : ane_rules_of_all()) add(rule);
  std::stable_partition(found.begin(), found.end(),
                        [](const AneRule* r) { return r->effect == AneEffect::leaves; });
  return found;
}

bool is_edge(const Graph& g, const Node& node, const Facts& facts) {
  if (node.op == &ops::classify) return true;
  if (node.op != &ops::cast) return false;
  auto among = [](const std::vector<ValueId>& all, ValueId v) {
    return std::find(all.begin(), all.end(), v) != all.end();
  };
  if (among(g.body.inputs, node.inputs[0]) || among(g.body.outputs, node.outputs[0])) return true;
  int labels = 0;
  for_each_node(g.body, [&](const Node& other) {
    labels += other.op == &ops::classify && among(other.inputs, node.outputs[0]);
  });
  return labels > 0 && facts.readers[index(node.outputs[0])] == labels;
}

}  // namespace tl::explain
