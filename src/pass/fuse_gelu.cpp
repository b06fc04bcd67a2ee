// SPDX-License-Identifier: Apache-2.0
// A product is taken apart into its factors, in whatever order they were written.
#include "pass/fuse_gelu.h"

#include <cmath>
#include <numbers>

#include "op/formulas.h"
#include "pass/expand.h"
#include "pass/pattern.h"
#include "pass/simplify.h"

namespace tl::pass {
namespace {

struct Factors {
  double number = 1;
  std::vector<ValueId> values = {};
};

struct Activation {
  ValueId x = no_value;
  std::string mode = {};  // empty: silu
};

class Matcher {
 public:
  explicit Matcher(const Graph& graph) : ask_(graph) {}

  std::unordered_map<ValueId, Activation> run() const {
    std::unordered_map<ValueId, Activation> found;
    for_each_node(ask_.graph().body, [&](const Node& node) {
      if (node.op != &ops::mul && node.op != &ops::real_div) return;
      Factors factors;
      collect(node.outputs[0], factors, 0);
      if (factors.values.size() != 2) return;
      for (std::size_t i : {0, 1})
        if (auto a = activation(factors.number, factors.values[i], factors.values[1 - i]);
            a && ask_.graph().type(a->x) == ask_.graph().type(node.outputs[0]))
          found[node.outputs[0]] = *a;
    });
    return found;
  }

 private:
  // The root's factors, also those of products that only it reads.
  void collect(ValueId v, Factors& out, int depth) const {
    auto inner = [&](ValueId one) {
      if (std::optional<double> c = ask_.number(one)) out.number *= *c;
      else collect(one, out, depth + 1);
    };
    const Node* n = depth == 0 || ask_.readers(v) == 1 ? ask_.producer(v) : nullptr;
    if (n && n->op == &ops::mul && depth < 4) return inner(n->inputs[0]), inner(n->inputs[1]);
    std::optional<double> by = n && n->op == &ops::real_div ? ask_.number(n->inputs[1]) : std::nullopt;
    if (by && *by != 0 && depth < 4) return out.number /= *by, inner(n->inputs[0]);
    out.values.push_back(v);
  }

  // number * x * gate, if it is one that is known.
  std::optional<Activation> activation(double number, ValueId x, ValueId gate) const {
    if (const Node* n = ask_.made_by(gate, ops::sigmoid)) {
      auto [from, k] = ask_.scaled(n->inputs[0]);
      if (from != x || !close_to(number, 1)) return std::nullopt;
      if (close_to(k, 1.702)) return Activation{x, "SIGMOID_APPROXIMATION"};
      return k == 1 ? std::optional(Activation{x, ""}) : std::nullopt;
    }
    auto sum = ask_.sum(gate);
    if (!sum) return std::nullopt;
    auto [curve, weight] = ask_.scaled(sum->first);  // 1 + erf, or 0.5 + 0.5 erf
    if (!close_to(weight, sum->second) || !close_to(number * weight, 0.5)) return std::nullopt;
    if (const Node* n = ask_.made_by(curve, ops::erf)) {
      auto [from, k] = ask_.scaled(n->inputs[0]);
      if (from == x && close_to(k, 1 / std::numbers::sqrt2)) return Activation{x, "EXACT"};
    }
    if (const Node* n = ask_.made_by(curve, ops::tanh))
      if (is_inner(n->inputs[0], x)) return Activation{x, "TANH_APPROXIMATION"};
    return std::nullopt;
  }

  // sqrt(2 / pi) * (x + 0.044715 x^3), also as x * (1 + 0.044715 x^2).
  bool is_inner(ValueId v, ValueId x) const {
    Factors factors;
    collect(v, factors, 0);
    if (!close_to(factors.number, std::sqrt(2 / std::numbers::pi))) return false;
    if (factors.values.size() == 1) {
      const Node* n = ask_.made_by(factors.values[0], ops::add);
      return n && ((n->inputs[0] == x && is_cubic(n->inputs[1], x)) ||
                   (n->inputs[1] == x && is_cubic(n->inputs[0], x)));
    }
    if (factors.values.size() != 2) return false;
    for (std::size_t i : {0, 1}) {
      auto sum = ask_.sum(factors.values[1 - i]);
      if (factors.values[i] != x || !sum || !close_to(sum->second, 1)) continue;
      auto [square, k] = ask_.scaled(sum->first);
      if (close_to(k, cubic) && ask_.is_square_of(square, x)) return true;
    }
    return false;
  }

  bool is_cubic(ValueId v, ValueId x) const {
    Factors factors;
    collect(v, factors, 0);
    if (!close_to(factors.number, cubic)) return false;
    if (factors.values.size() == 1) {
      const Node* n = ask_.made_by(factors.values[0], ops::pow);
      return n && n->inputs[0] == x && ask_.number(n->inputs[1]) == 3.0;
    }
    if (factors.values.size() == 3)
      return factors.values[0] == x && factors.values[1] == x && factors.values[2] == x;
    if (factors.values.size() != 2) return false;
    return (factors.values[0] == x && ask_.is_square_of(factors.values[1], x)) ||
           (factors.values[1] == x && ask_.is_square_of(factors.values[0], x));
  }

  static constexpr double cubic = 0.044715;
  Pattern ask_;
};

}  // namespace

bool fuse_gelus(Graph& graph) {
  std::unordered_map<ValueId, Activation> found = Matcher(graph).run();
  if (found.empty()) return false;
  std::unordered_map<ValueId, ValueId> now;
  replace_nodes(graph, [&](Place place, const Node& node, std::span<const Ex>) -> std::vector<Ex> {
    auto one = node.outputs.size() == 1 ? found.find(node.outputs[0]) : found.end();
    if (one == found.end()) return {};
    auto moved = now.find(one->second.x);
    Ex x(place, moved == now.end() ? one->second.x : moved->second);
    Ex y = one->second.mode.empty() ? silu(x) : gelu(x, {{"mode", one->second.mode}});
    now[node.outputs[0]] = y.id();
    return {y};
  });
  drop_unused(graph);
  return true;
}

}  // namespace tl::pass
