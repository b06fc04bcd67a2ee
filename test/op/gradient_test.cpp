// SPDX-License-Identifier: Apache-2.0
// Gradients against central differences of the references.
#include "op/ops.h"

#include <map>

#include "op/reference.h"
#include "sample.h"

namespace tl::test {
namespace {

using Values = std::vector<double>;

// A weighted sum of all outputs, so that one number has all their gradients.
double loss(const Case& c, std::span<const Tensor> weights) {
  double total = 0;
  std::vector<Tensor> out = run_reference(*c.op, c.attrs, c.inputs);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!weights[i]) continue;
    Values y = to_doubles(out[i]), w = to_doubles(weights[i]);
    for (std::size_t j = 0; j < y.size(); ++j) total += w[j] * y[j];
  }
  return total;
}

struct Result {
  std::vector<Tensor> weights = {}, gradients = {};
};

Result differentiate(const Case& c) {
  Graph graph;
  Place place{&graph, &graph.body};
  Random random(11);
  std::map<ValueId, Tensor> values;
  std::vector<ValueId> ids;
  std::vector<Ex> in, out, arriving;
  for (const Tensor& t : c.inputs) {
    bool fixed = t && !is_float(t.dtype());  // shapes and indices: what depends on them is known then
    ids.push_back(!t ? no_value : fixed ? graph.add_constant(t) : graph.add_input(t.type(), "x"));
    in.push_back(t ? Ex(place, ids.back()) : Ex());
    if (t && !fixed) values[ids.back()] = t;
  }
  // outputs of nodes can move when nodes are added: keep what is needed
  const Node& node = graph.add_node(graph.body, *c.op, ids, c.attrs);
  std::vector<ValueId> outputs = node.outputs;
  Attrs attrs = node.attrs;
  Result result;
  for (ValueId v : outputs) {
    if (!graph.type(v).is_concrete()) return {};
    out.emplace_back(place, v);
    bool smooth = is_float(graph.type(v).dtype);
    result.weights.push_back(
        smooth ? random_tensor(graph.type(v).dtype, graph.type(v).shape, random, 0.5, 1.5) : Tensor());
    arriving.push_back(smooth ? Ex(place, graph.add_input(graph.type(v), "g")) : Ex());
    if (smooth) values[arriving.back().id()] = result.weights.back();
  }
  std::vector<Ex> gradients = c.op->gradient({in, out, arriving, attrs});
  run_reference(graph, graph.body, values);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    bool given = static_cast<bool>(gradients[i]) && i < c.inputs.size() && c.inputs[i];
    if (given && graph.value(gradients[i].id()).is_constant())
      values[gradients[i].id()] = graph.value(gradients[i].id()).constant;
    result.gradients.push_back(given ? values.at(gradients[i].id()) : Tensor());
  }
  return result;
}

// What callers do for an input that was broadcast.
Tensor summed_to(const Tensor& g, const Shape& shape) {
  if (g.shape() == shape) return g;
  REQUIRE(broadcast(g.shape(), shape) == g.shape());
  std::vector<double> from = to_doubles(g), to(static_cast<std::size_t>(volume(shape)), 0.0);
  Shape stride = row_major(shape);
  std::size_t skip = g.rank() - shape.size();
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::int64_t rest = static_cast<std::int64_t>(i), at = 0;
    for (std::size_t d = g.rank(); d-- > 0; rest /= g.shape()[d])
      if (d >= skip && shape[d - skip] != 1) at += rest % g.shape()[d] * stride[d - skip];
    to[static_cast<std::size_t>(at)] += from[i];
  }
  return from_doubles(to, g.dtype(), shape);
}

void check(const Case& c) {
  Result r = differentiate(c);
  for (std::size_t k = 0; k < r.gradients.size(); ++k) {
    if (!r.gradients[k]) continue;
    Values x = to_doubles(c.inputs[k]), g = to_doubles(summed_to(r.gradients[k], c.inputs[k].shape()));
    for (std::size_t i = 0; i < x.size(); i += 1 + x.size() / 9) {
      const double step = 1e-2;
      Case moved = c;
      auto at = [&](double delta) {
        Values changed = x;
        changed[i] += delta;
        moved.inputs[k] = from_doubles(changed, c.inputs[k].dtype(), c.inputs[k].shape());
        return loss(moved, r.weights);
      };
      double here = at(0), up = (at(step) - here) / step, down = (here - at(-step)) / step,
             slope = (up + down) / 2;
      if (!std::isfinite(slope) || std::fabs(up - down) > 0.1 * (1 + std::fabs(slope)))
        continue;  // outside the domain, or a kink
      bool good = std::fabs(slope - g[i]) <= 2e-2 * (1 + std::fabs(slope)) + 1e-6 * std::fabs(here) / step;
      CHECK_MESSAGE(good, text_of_case(c) << " gradient " << k << " at " << x[i] << " is " << g[i]
                                          << ", differences say " << slope);
      if (!good) return;
    }
  }
}

}  // namespace

TEST_CASE("gradients hold against differences") {
  for (const OpDef* op : all_ops()) {
    if (!op->gradient) continue;
    std::vector<Case> cases = cases_of(*op);
    for (Case& c : cases) {
      for (Tensor& t : c.inputs)
        if (t && t.dtype() == DType::f16) t = converted(t, DType::f32);  // differences need the digits
      bool smooth = std::all_of(c.inputs.begin(), c.inputs.end(),
                                [](const Tensor& t) { return !t || t.dtype() != DType::i32; });
      if (!smooth && is_integer(c.inputs[0].dtype())) continue;
      try {
        check(c);
      } catch (const Error& error) {
        if (error.code() != Code::unsupported)
          FAIL_CHECK(text_of_case(c) << " gradient: " << std::string(error.what()));
      }
    }
  }
}

}  // namespace tl::test
