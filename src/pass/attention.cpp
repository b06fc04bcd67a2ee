// SPDX-License-Identifier: Apache-2.0
// Walks back from each product with a softmax.
#include "pass/attention.h"

#include <algorithm>
#include <cmath>

#include "ir/ex.h"
#include "op/infer.h"
#include "op/ops.h"
#include "pass/maker.h"

namespace tl::pass {
namespace {

class Joiner {
 public:
  explicit Joiner(Graph& graph) : graph_(graph), makers_(graph) {}

  bool run() {
    std::vector<std::pair<std::size_t, Node>> added;  // before which node
    for (std::size_t k = 0; k < graph_.body.nodes.size(); ++k)
      if (auto found = find(graph_.body.nodes[k])) replace(k, *found, added);
    if (!changed_) return false;
    for (std::size_t i = added.size(); i-- > 0;)
      graph_.body.nodes.insert(graph_.body.nodes.begin() + static_cast<std::ptrdiff_t>(added[i].first),
                               std::move(added[i].second));
    return true;
  }

 private:
  struct Operand {  // of a product: transposed as its attribute says
    ValueId value = no_value;
    bool turned = false;
  };
  struct Parts {
    ValueId q = no_value, mask = no_value;
    Operand k = {}, v = {};
    Node* scaled = nullptr;    // what reads the scaled query
    ValueId plain = no_value;  // the query before it was scaled
  };

  const Shape& shape(ValueId v) const { return graph_.type(v).shape; }

  // A product with one number: what is multiplied, and by what.
  std::optional<double> factor(const Node& node, ValueId& x) const {
    bool divides = node.op == &ops::real_div;
    if (node.op != &ops::mul && !divides) return std::nullopt;
    for (std::size_t i = divides ? 1 : 0; i < 2; ++i) {
      const Tensor& c = graph_.value(node.inputs[i]).constant;
      if (!c || c.dtype() == DType::string || volume(c.shape()) != 1) continue;
      if (graph_.type(node.inputs[1 - i]) != graph_.type(node.outputs[0])) continue;
      x = node.inputs[1 - i];
      double number = to_doubles(c).front();
      return divides ? 1 / number : number;
    }
    return std::nullopt;
  }

  // Whether a factor is 1 / sqrt(length), or that as the type has it.
  static bool is_scale(double factor, Dim length, DType dtype) {
    double exact = 1 / std::sqrt(static_cast<double>(length));
    return factor == exact || factor == to_doubles(scalar(exact, dtype)).front();
  }

  std::optional<Parts> find(const Node& last) {
    if (last.op != &ops::matmul || last.attrs.boolean("transpose_x")) return std::nullopt;
    Node* softmax = makers_.of(last.inputs[0], ops::softmax);
    if (!softmax) return std::nullopt;
    std::size_t rank = shape(softmax->inputs[0]).size();
    if (rank < 2 || wrap_axis(softmax->attrs.integer("axis"), rank) != static_cast<std::int64_t>(rank) - 1)
      return std::nullopt;
    Parts parts;
    parts.v = {last.inputs[1], last.attrs.boolean("transpose_y")};
    ValueId scores = softmax->inputs[0];
    if (Node* add = makers_.of(scores, ops::add)) {
      std::size_t side = is_product(add->inputs[0]) ? 0 : 1;
      scores = add->inputs[side], parts.mask = add->inputs[1 - side];
      if (shape(scores) != shape(add->outputs[0])) return std::nullopt;
    }
    std::optional<double> scale;
    if (Node* node = makers_.of(scores)) scale = factor(*node, scores);
    Node* product = makers_.of(scores, ops::matmul);
    if (!product || product->attrs.boolean("transpose_x")) return std::nullopt;
    parts.q = product->inputs[0];
    parts.k = {product->inputs[1], !product->attrs.boolean("transpose_y")};
    if (!scale) scale = find_scaled(parts);
    if (!fits(parts, scale)) return std::nullopt;
    return parts;
  }

  bool is_product(ValueId v) {
    Node* node = makers_.of(v);
    if (node && node->op != &ops::matmul && factor(*node, v)) node = makers_.of(v);
    return node && node->op == &ops::matmul;
  }

  // The factor of a query that was scaled before it was moved about.
  std::optional<double> find_scaled(Parts& parts) {
    Node* reader = nullptr;
    for (ValueId v = parts.q; Node* node = makers_.of(v); v = node->inputs[0]) {
      if (auto scale = factor(*node, parts.plain)) {
        parts.scaled = reader;
        return scale;
      }
      if (node->op != &ops::transpose && !has(node->op->traits, Traits::view)) break;
      reader = node;
    }
    return std::nullopt;
  }

  Shape turned(Operand x) const {
    Shape s = shape(x.value);
    if (x.turned && s.size() >= 2) std::swap(s[s.size() - 1], s[s.size() - 2]);
    return s;
  }

  bool fits(const Parts& p, std::optional<double> scale) const {
    Shape q = shape(p.q), k = turned(p.k), v = turned(p.v);
    std::size_t r = q.size();
    DType dtype = graph_.type(p.q).dtype;
    if (r < 2 || k.size() != r || v.size() != r || !is_known(q) || !is_known(k) || !is_known(v)) return false;
    if (!scale || !is_scale(*scale, q[r - 1], dtype)) return false;
    if (!std::equal(q.begin(), q.end() - 2, k.begin(), k.end() - 2)) return false;
    if (!std::equal(q.begin(), q.end() - 2, v.begin(), v.end() - 2)) return false;
    if (graph_.type(p.k.value).dtype != dtype || graph_.type(p.v.value).dtype != dtype || !is_float(dtype))
      return false;
    return p.mask == no_value || (shape(p.mask).size() <= r && is_float(graph_.type(p.mask).dtype));
  }

  ValueId placed(Operand x, std::size_t before, std::vector<std::pair<std::size_t, Node>>& added) {
    if (!x.turned) return x.value;
    std::vector<std::int64_t> perm;
    Shape s = turned(x);
    for (std::size_t d = 0; d < s.size(); ++d) perm.push_back(static_cast<std::int64_t>(d));
    std::swap(perm[s.size() - 1], perm[s.size() - 2]);
    ValueId out = graph_.add_value(Type(graph_.type(x.value).dtype, s));
    Node node{.op = &ops::transpose, .inputs = {x.value}, .outputs = {out}, .attrs = {}, .blocks = {}};
    node.attrs =
        complete({ops::transpose.attrs.begin(), ops::transpose.attrs.end()}, attrs_of({{"perm", perm}}));
    added.emplace_back(before, std::move(node));
    return out;
  }

  void replace(std::size_t k, const Parts& p, std::vector<std::pair<std::size_t, Node>>& added) {
    ValueId q = p.q;
    if (p.scaled) p.scaled->inputs[0] = p.plain;
    else if (p.plain != no_value) q = p.plain;
    ValueId key = placed(p.k, k, added), value = placed(p.v, k, added);
    Node& node = graph_.body.nodes[k];
    node.op = &ops::scaled_dot_product_attention;
    node.inputs = {q, key, value, p.mask};
    node.attrs = complete({node.op->attrs.begin(), node.op->attrs.end()}, {});
    changed_ = true;
  }

  Graph& graph_;
  Makers makers_;
  bool changed_ = false;
};

}  // namespace

bool join_attention(Graph& graph) { return Joiner(graph).run(); }

}  // namespace tl::pass
