// SPDX-License-Identifier: Apache-2.0
// The words that layers share: numbers of inputs, shapes, element types.
#include "format/coreml/network/layer.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

std::size_t count_unknown(const Shape& shape) {
  std::size_t n = 0;
  for (Dim d : shape) n += !is_known(d);
  return n;
}

// x in the shape `want`, whose unknown lengths `parts`, joined, give at run time.
Ex reshaped_like(Ex x, const Shape& want, std::initializer_list<Ex> parts) {
  if (count_unknown(want) == 0 || (count_unknown(want) == 1 && count_unknown(x.shape()) > 0)) {
    std::vector<std::int64_t> lengths = want;
    bool zero = false;
    for (Dim& d : lengths) zero = zero || d == 0, d = is_known(d) ? d : -1;
    if (!zero) return reshaped(x, std::move(lengths));
  }
  Ex y = emit(ops::reshape, {x, emit(ops::concat, parts, {{"axis", std::int64_t{0}}})});
  y.place().graph->value(y.id()).type.shape = want;  // says more than inference can
  return y;
}

}  // namespace

void need_inputs(const Layer& layer, std::size_t least, std::size_t most) {
  std::size_t n = layer.in.size();
  if (n >= least && n <= most) return;
  std::string wanted = least == most ? text("{}", least) : text("{} to {}", least, most);
  throw Error(Code::bad_input, text("takes {} input{}, {} are given", wanted, most == 1 ? "" : "s", n));
}

void need_inputs(const Layer& layer, std::size_t n) { need_inputs(layer, n, n); }

void require(bool holds, std::string_view sentence) {
  if (!holds) throw Error(Code::bad_input, std::string(sentence));
}

Ex reshaped(Ex x, std::vector<std::int64_t> shape) {
  if (Shape(shape.begin(), shape.end()) == x.shape() && is_known(x.shape())) return x;
  return emit(ops::reshape, {x, integers(x.place(), std::move(shape))});
}

Ex transposed(Ex x, std::vector<std::int64_t> perm) {
  return emit(ops::transpose, {x}, {{"perm", std::move(perm)}});
}

Ex ranked(Ex x, std::size_t rank) {
  if (x.shape().size() >= rank) return x;
  std::vector<std::int64_t> axes;
  for (std::size_t i = x.shape().size(); i < rank; ++i)
    axes.push_back(static_cast<std::int64_t>(axes.size()));
  return emit(ops::expand_dims, {x}, {{"axes", axes}});
}

Ex shape_of(Ex x, std::int64_t begin, std::int64_t end) {
  Shape part(x.shape().begin() + begin, x.shape().begin() + end);
  if (is_known(part)) return integers(x.place(), std::move(part));
  Place p = x.place();
  return emit(ops::slice_by_index, {emit(ops::shape, {x}), integers(p, {begin}), integers(p, {end})});
}

Ex planes(Ex x) {
  auto rank = static_cast<std::int64_t>(x.shape().size());
  if (rank <= 4) return ranked(x, 4);
  Shape want{unknown};
  Shape lead(x.shape().begin(), x.shape().end() - 3);
  if (is_known(lead)) want[0] = volume(lead);
  want.insert(want.end(), x.shape().end() - 3, x.shape().end());
  return reshaped_like(x, want, {integers(x.place(), {-1}), shape_of(x, rank - 3, rank)});
}

Ex unplanes(Ex y, Ex x) {
  auto rank = static_cast<std::int64_t>(x.shape().size());
  if (rank == 4) return y;
  if (rank < 4) {
    std::vector<std::int64_t> axes;
    for (std::int64_t i = rank; i < 4; ++i) axes.push_back(4 - 1 - i);
    std::sort(axes.begin(), axes.end());
    return emit(ops::squeeze, {y}, {{"axes", axes}});
  }
  Shape want(x.shape().begin(), x.shape().end() - 3);
  want.insert(want.end(), y.shape().end() - 3, y.shape().end());
  return reshaped_like(y, want, {shape_of(x, 0, rank - 3), shape_of(y, 1, 4)});
}

void need_elements(Ex x, std::int64_t n) {
  Shape inner(x.shape().end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, x.shape().size())),
              x.shape().end());
  if (is_known(inner) && volume(inner) != n)
    throw Error(Code::bad_input, text("takes {} numbers of each example, it gets {}", n, text_of(inner)));
}

std::int64_t axis_of(Ex x, std::int64_t axis) { return wrap_axis(axis, x.shape().size()); }

namespace {

constexpr std::size_t lookback = 64;  // nodes: what a layer uses was mostly made just before

// The last of the nodes before that satisfies test(node); null if there is none near.
template <class Test> const Node* recent(Place place, const Test& test) {
  const std::vector<Node>& nodes = place.block->nodes;
  for (std::size_t i = nodes.size(); i-- > 0 && nodes.size() - i <= lookback;)
    if (test(nodes[i])) return &nodes[i];
  return nullptr;
}

const Node* maker(const Ex& x) {
  return recent(x.place(), [&](const Node& n) { return n.outputs.size() == 1 && n.outputs[0] == x.id(); });
}

// A number that was made of a truth or an integer is that again, and what was cast already is not cast again.
Ex as(const Ex& x, DType dtype) {
  if (x.type().dtype == dtype) return x;
  if (const Tensor* t = x.constant()) return constant(x.place(), converted(*t, dtype));
  Place p = x.place();
  if (const Node* made = maker(x); made && made->op == &ops::cast)
    if (Ex before{p, made->inputs[0]}; before.type().dtype == dtype && !is_float(dtype)) return before;
  const Node* same = recent(p, [&](const Node& n) {
    return n.op == &ops::cast && n.inputs[0] == x.id() && p.graph->type(n.outputs[0]).dtype == dtype;
  });
  return same ? Ex{p, same->outputs[0]} : cast(x, dtype);
}

}  // namespace

Ex times(Ex a, Ex b) {
  for (const auto& [x, gate] : {std::pair(a, b), std::pair(b, a)}) {
    const Node* made = gate.is_literal() ? nullptr : maker(gate);
    if (made && made->op == &ops::sigmoid && made->inputs[0] == x.id()) return silu(x);
  }
  return a * b;
}

Ex fp32(Ex x) { return as(x, DType::f32); }
Ex int32(Ex x) { return as(x, DType::i32); }
Ex truth_in(Ex x) {
  if (x.type().dtype == DType::boolean) return x;
  const Node* made = maker(x);
  Ex before = made && made->op == &ops::cast ? Ex{x.place(), made->inputs[0]} : Ex{};
  return before && before.type().dtype == DType::boolean ? before : Ex{};
}

Ex truth(Ex x) {
  Ex inside = truth_in(x);
  return inside ? inside : not_equal(x, 0);
}

}  // namespace tl::coreml
