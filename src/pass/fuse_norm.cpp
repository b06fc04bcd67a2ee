// SPDX-License-Identifier: Apache-2.0
// Matches from the product with the inverse deviation backwards; a scale and a shift after it join in.
#include "pass/fuse_norm.h"

#include <algorithm>

#include "op/axes.h"
#include "op/formulas.h"
#include "pass/expand.h"
#include "pass/pattern.h"
#include "pass/simplify.h"

namespace tl::pass {
namespace {

struct Norm {
  ValueId x = no_value;
  std::vector<std::int64_t> axes = {};
  double epsilon = 0;
  bool centred = false;  // the mean is subtracted
  Tensor gamma = {}, beta = {};
};

class Matcher {
 public:
  explicit Matcher(const Graph& graph) : ask_(graph) {}

  std::unordered_map<ValueId, Norm> run() {
    for_each_node(ask_.graph().body, [&](const Node& node) {
      if (node.outputs.size() != 1) return;
      if (std::optional<Norm> norm = bare(node)) bare_[node.outputs[0]] = *norm;
      else if (std::optional<Norm> written = core(node)) take(node.outputs[0], *written);
      else if (node.op == &ops::mul || node.op == &ops::add) join(node);
    });
    return std::move(found_);
  }

 private:
  void take(ValueId v, Norm norm) { found_[v] = std::move(norm); }

  const Type& type(ValueId v) const { return ask_.graph().type(v); }

  // A norm that is one operation already, and may take a scale and a shift after it.
  std::optional<Norm> bare(const Node& node) const {
    bool plain =
        (node.op == &ops::layer_norm || node.op == &ops::instance_norm) && !node.has(1) && !node.has(2);
    if (!plain || !type(node.inputs[0]).ranked) return std::nullopt;
    std::size_t rank = type(node.inputs[0]).rank();
    Norm norm{node.inputs[0], {}, node.attrs.number("epsilon"), true, {}, {}};
    if (node.op == &ops::layer_norm) norm.axes = axes_of(node.attrs, rank);
    else
      for (std::size_t d = 2; d < rank; ++d) norm.axes.push_back(static_cast<std::int64_t>(d));
    return norm;
  }

  // ---- x or its difference from the mean, times or over its deviation

  std::optional<Norm> core(const Node& node) const {
    if (!type(node.outputs[0]).is_tensor() || !is_float(type(node.outputs[0]).dtype)) return std::nullopt;
    if (node.op == &ops::real_div) {
      const Node* root = ask_.made_by(node.inputs[1], ops::sqrt);
      return root ? of(node.inputs[0], node.inputs[1], root->inputs[0], 0) : std::nullopt;
    }
    if (node.op != &ops::mul) return std::nullopt;
    for (std::size_t i : {1, 0})
      if (std::optional<Norm> norm = inverse(node.inputs[1 - i], node.inputs[i])) return norm;
    return std::nullopt;
  }

  std::optional<Norm> inverse(ValueId x, ValueId factor) const {
    if (const Node* n = ask_.made_by(factor, ops::rsqrt))
      return of(x, factor, n->inputs[0], n->attrs.number("epsilon"));
    if (const Node* n = ask_.made_by(factor, ops::inverse))
      if (const Node* root = ask_.made_by(n->inputs[0], ops::sqrt)) return of(x, factor, root->inputs[0], 0);
    const Node* n = ask_.made_by(factor, ops::pow);
    return n && ask_.number(n->inputs[1]) == -0.5 ? of(x, factor, n->inputs[0], 0) : std::nullopt;
  }

  // The variance under the root, with what was added to it.
  std::optional<Norm> of(ValueId x, ValueId deviation, ValueId variance, double epsilon) const {
    if (ask_.readers(deviation) != 1) return std::nullopt;
    if (auto sum = ask_.sum(variance)) variance = sum->first, epsilon += sum->second;
    const Node* mean = mean_of(variance);
    if (!mean || !ask_.is_square_of(mean->inputs[0], x) || type(mean->inputs[0]) != type(x))
      return std::nullopt;
    Norm norm{x, axes_of(mean->attrs, type(x).rank()), epsilon, false, {}, {}};
    if (const Node* difference = ask_.made_by(x, ops::sub)) {
      const Node* centre = mean_of(difference->inputs[1]);
      ValueId from = difference->inputs[0];
      if (centre && centre->inputs[0] == from && type(from) == type(x) &&
          axes_of(centre->attrs, type(x).rank()) == norm.axes)
        norm.x = from, norm.centred = true;
    }
    return norm.epsilon > 0 ? std::optional(norm) : std::nullopt;
  }

  const Node* mean_of(ValueId v) const {
    const Node* n = ask_.made_by(v, ops::reduce_mean);
    return n && n->attrs.boolean("keep_dims") && type(n->inputs[0]).ranked ? n : nullptr;
  }

  // ---- a scale and a shift by constants along the axes

  const Norm* known(ValueId v) const {
    for (const auto* all : {&found_, &bare_})
      if (auto found = all->find(v); found != all->end()) return &found->second;
    return nullptr;
  }

  void join(const Node& node) {
    for (std::size_t i : {0, 1}) {
      const Norm* before = known(node.inputs[i]);
      ValueId other = node.inputs[1 - i];
      if (!before || !ask_.graph().value(other).is_constant()) continue;
      if (ask_.readers(node.inputs[i]) != 1 || type(node.outputs[0]) != type(node.inputs[i])) continue;
      Norm norm = *before;
      std::optional<Tensor> parameter = along(norm, ask_.graph().value(other).constant);
      bool scale = node.op == &ops::mul;
      if (!parameter || norm.beta || (scale && norm.gamma) || (!scale && !norm.centred)) continue;
      if (!shape_fits(norm, *parameter)) continue;
      (scale ? norm.gamma : norm.beta) = *parameter;
      return take(node.outputs[0], std::move(norm));
    }
  }

  // The axes that parameters vary over: those of the norm, or the channels of an instance_norm.
  static std::vector<std::int64_t> parameter_axes(const Norm& norm, const Shape& given, std::size_t rank) {
    bool per_channel = norm.centred && is_spatial(norm.axes, rank) && given.size() + 1 >= rank &&
                       given[given.size() + 1 - rank] > 1;
    return per_channel ? std::vector<std::int64_t>{1} : norm.axes;
  }

  bool shape_fits(const Norm& norm, const Tensor& parameter) const {
    const Tensor& other = norm.gamma ? norm.gamma : parameter;
    return other.shape() == parameter.shape();
  }

  std::optional<Tensor> along(const Norm& norm, const Tensor& given) const {
    const Type& x = type(norm.x);
    if (!x.ranked || given.rank() > x.rank()) return std::nullopt;
    std::vector<std::int64_t> axes = parameter_axes(norm, given.shape(), x.rank());
    Shape wanted;
    for (std::int64_t a : axes) wanted.push_back(x.shape[static_cast<std::size_t>(a)]);
    for (Dim d : wanted)
      if (!is_known(d)) return std::nullopt;
    if (given.size() == 1)
      return from_doubles(std::vector<double>(static_cast<std::size_t>(volume(wanted)), to_doubles(given)[0]),
                          given.dtype(), wanted);
    for (std::size_t d = 0; d < x.rank(); ++d) {
      std::size_t back = x.rank() - d;
      Dim length = back <= given.rank() ? given.shape()[given.rank() - back] : 1;
      bool varies = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(d)) != axes.end();
      if (length != (varies ? x.shape[d] : 1)) return std::nullopt;
    }
    return given.reshaped(wanted);
  }

 public:
  static bool is_spatial(const std::vector<std::int64_t>& axes, std::size_t rank) {
    if (rank < 3 || rank > 4 || axes.size() != rank - 2) return false;
    return axes.front() == 2 && axes.back() == static_cast<std::int64_t>(rank) - 1;
  }

 private:
  Pattern ask_;
  std::unordered_map<ValueId, Norm> found_ = {}, bare_ = {};
};

Ex emit_norm(Place place, ValueId x, const Norm& norm) {
  auto parameter = [&](const Tensor& t) { return t ? constant(place, t) : Ex(); };
  Ex in(place, x), gamma = parameter(norm.gamma), beta = parameter(norm.beta);
  if (!norm.centred)
    return emit(ops::rms_norm, {in, gamma}, {{"axes", norm.axes}, {"epsilon", norm.epsilon}});
  std::size_t rank = in.type().rank();
  const Tensor& either = norm.gamma ? norm.gamma : norm.beta;
  bool spatial = Matcher::is_spatial(norm.axes, rank);
  bool of_channels = either && either.rank() == 1 && either.size() == in.shape()[1];
  bool of_axes = either && either.rank() == norm.axes.size() && either.size() == in.shape().back();
  if (spatial && (either ? of_channels && !(rank == 3 && of_axes && in.shape()[1] == 1) : rank == 4))
    return emit(ops::instance_norm, {in, gamma, beta}, {{"epsilon", norm.epsilon}});
  return emit(ops::layer_norm, {in, gamma, beta}, {{"axes", norm.axes}, {"epsilon", norm.epsilon}});
}

// Twice its length, so that the second half standardises the first.
Ex doubled(const Ex& gamma) {
  if (!gamma) return gamma;
  return emit(ops::concat, {gamma, gamma}, {{"axis", std::int64_t{0}}});
}

Tensor doubled(const Tensor& gamma) {
  std::vector<double> values = to_doubles(gamma);
  std::vector<double> both(values);
  both.insert(both.end(), values.begin(), values.end());
  return from_doubles(both, gamma.dtype(), {2 * gamma.size()});
}

}  // namespace

bool fuse_norms(Graph& graph) {
  std::unordered_map<ValueId, Norm> found = Matcher(graph).run();
  if (found.empty()) return false;
  std::unordered_map<ValueId, ValueId> now;
  replace_nodes(graph, [&](Place place, const Node& node, std::span<const Ex>) -> std::vector<Ex> {
    auto norm = node.outputs.size() == 1 ? found.find(node.outputs[0]) : found.end();
    if (norm == found.end()) return {};
    auto moved = now.find(norm->second.x);
    Ex y = emit_norm(place, moved == now.end() ? norm->second.x : moved->second, norm->second);
    now[node.outputs[0]] = y.id();
    return {y};
  });
  drop_unused(graph);
  return true;
}

bool rms_norms_as_layer_norms(Graph& graph) {
  bool any = false;
  replace_nodes(graph, [&](Place place, const Node& node, std::span<const Ex> in) -> std::vector<Ex> {
    if (node.op != &ops::rms_norm) return {};
    const auto& axes = node.attrs.integers("axes");
    const Ex &x = in[0], gamma = in.size() > 1 ? in[1] : Ex();
    if (axes.size() != 1 || !x.type().is_concrete()) return {};
    any = true;
    auto axis = static_cast<std::size_t>(axes[0] < 0 ? axes[0] + std::int64_t(x.shape().size()) : axes[0]);
    Ex beside = emit(ops::concat, {x, -x}, {{"axis", std::int64_t(axis)}});
    Ex scale = gamma && gamma.constant() ? constant(place, doubled(*gamma.constant())) : doubled(gamma);
    Ex unit = emit(
        ops::layer_norm, {beside, scale},
        {{"axes", std::vector<std::int64_t>{std::int64_t(axis)}}, {"epsilon", node.attrs.number("epsilon")}});
    std::vector<std::int64_t> begin(x.shape().size(), 0), end(x.shape().begin(), x.shape().end());
    return {emit(ops::slice_by_index, {unit, integers(place, begin), integers(place, end)})};
  });
  return any;
}

void hold_epsilons(Graph& graph) {
  constexpr double smallest = 0x1p-24;
  for_each_node(graph.body, [&](Node& node) {
    const AttrValue* value = node.attrs.find("epsilon");
    const auto* epsilon = value ? std::get_if<double>(value) : nullptr;
    bool lost = epsilon && *epsilon > 0 && *epsilon < smallest && !node.outputs.empty() &&
                graph.type(node.outputs[0]).dtype == DType::f16;
    if (lost) node.attrs.set("epsilon", smallest);
  });
}

}  // namespace tl::pass
