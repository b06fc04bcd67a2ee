// SPDX-License-Identifier: Apache-2.0
// y = x * scale + shift for each channel, computed from the four numbers.
#include "pass/fold_batch_norm.h"

#include <array>
#include <cmath>

#include "op/formulas.h"
#include "pass/expand.h"
#include "pass/pattern.h"
#include "pass/simplify.h"

namespace tl::pass {
namespace {

constexpr double largest_sum = 32768;

struct Line {  // of each channel
  std::vector<double> scale = {}, shift = {};
  bool large = false;
};

std::optional<std::vector<double>> numbers(const Graph& g, const Node& node, std::size_t i) {
  if (!node.has(i) || !g.value(node.inputs[i]).is_constant()) return std::nullopt;
  return to_doubles(g.value(node.inputs[i]).constant);
}

std::optional<Line> line_of(const Graph& g, const Node& node) {
  auto mean = numbers(g, node, 1), variance = numbers(g, node, 2), gamma = numbers(g, node, 3),
       beta = numbers(g, node, 4);
  if (!mean || !variance || (node.has(3) && !gamma) || (node.has(4) && !beta)) return std::nullopt;
  Line line;
  double epsilon = node.attrs.number("epsilon");
  for (std::size_t c = 0; c < mean->size(); ++c) {
    double scale = (gamma ? (*gamma)[c] : 1) / std::sqrt((*variance)[c] + epsilon);
    line.scale.push_back(scale);
    line.shift.push_back((beta ? (*beta)[c] : 0) - (*mean)[c] * scale);
    line.large = line.large || std::fabs((*mean)[c]) > largest_sum || (*variance)[c] > largest_sum;
    if (!std::isfinite(scale) || !std::isfinite(line.shift.back())) return std::nullopt;
  }
  return line;
}

class Folder {
 public:
  explicit Folder(const Graph& graph) : ask_(graph) {
    for_each_node(graph.body, [&](const Node& node) {
      if (node.op != &ops::batch_norm || graph.type(node.outputs[0]).dtype != DType::f32) return;
      std::optional<Line> line = line_of(graph, node);
      if (!line) return;
      const Node* conv = ask_.made_by(node.inputs[0], ops::conv);
      if (conv && ask_.readers(node.inputs[0]) == 1 && takes(graph, *conv))
        into_[conv->outputs[0]] = *line, folded_[node.outputs[0]] = conv->outputs[0];
      else if (line->large) plain_[node.outputs[0]] = *line;
    });
  }

  bool any() const { return !into_.empty() || !plain_.empty(); }

  std::vector<Ex> operator()(Place place, const Node& node, std::span<const Ex> in) {
    if (node.outputs.size() != 1) return {};
    if (auto line = into_.find(node.outputs[0]); line != into_.end() && node.op == &ops::conv)
      return {convolution(place, node, in, line->second)};
    if (folded_.contains(node.outputs[0])) return {in[0]};
    auto line = plain_.find(node.outputs[0]);
    return line == plain_.end() ? std::vector<Ex>{} : std::vector<Ex>{norm(place, node, in[0], line->second)};
  }

 private:
  static bool takes(const Graph& g, const Node& conv) {
    const Type& weight = g.type(conv.inputs[1]);
    return g.value(conv.inputs[1]).is_constant() && weight.dtype == DType::f32 &&
           (!conv.has(2) || g.value(conv.inputs[2]).is_constant());
  }

  static Ex vector(Place place, const std::vector<double>& values) {
    return constant(place, from_doubles(values, DType::f32, {static_cast<Dim>(values.size())}));
  }

  Ex convolution(Place place, const Node& node, std::span<const Ex> in, const Line& line) const {
    std::vector<double> weight = to_doubles(*in[1].constant()), bias = line.shift;
    std::size_t channels = line.scale.size(), each = weight.size() / channels;
    for (std::size_t i = 0; i < weight.size(); ++i) weight[i] *= line.scale[i / each];
    if (in.size() > 2 && in[2]) {
      std::vector<double> old = to_doubles(*in[2].constant());
      for (std::size_t c = 0; c < channels; ++c) bias[c] += old[c] * line.scale[c];
    }
    Ex w = constant(place, from_doubles(weight, DType::f32, in[1].shape()));
    return emit(*node.op, std::array{in[0], w, vector(place, bias)}, node.attrs);
  }

  static Ex norm(Place place, const Node& node, const Ex& x, const Line& line) {
    std::size_t n = line.scale.size();
    std::vector<double> one(n, 1 - node.attrs.number("epsilon"));
    return emit(*node.op,
                std::array{x, vector(place, std::vector<double>(n, 0)), vector(place, one),
                           vector(place, line.scale), vector(place, line.shift)},
                node.attrs);
  }

  Pattern ask_;
  std::unordered_map<ValueId, Line> into_ = {}, plain_ = {};  // by the output of the conv, or of the norm
  std::unordered_map<ValueId, ValueId> folded_ = {};
};

}  // namespace

bool fold_batch_norms(Graph& graph) {
  Folder folder(graph);
  if (!folder.any()) return false;
  replace_nodes(graph, [&](Place place, const Node& node, std::span<const Ex> in) -> std::vector<Ex> {
    return folder(place, node, in);
  });
  drop_unused(graph);
  return true;
}

}  // namespace tl::pass
