// SPDX-License-Identifier: Apache-2.0
// The rules of shapes that are easy to get wrong: zeros of reshape, masks and negative strides of slices,
// interleaved concat, reflected pads; and what inference says while dimensions are unknown.
#include <doctest/doctest.h>

#include <limits>

#include "base/error.h"
#include "ir/mil.h"
#include "op/ops.h"
#include "op/reference.h"

namespace tl {
namespace {

Tensor counted(Shape shape) {
  std::vector<double> data(static_cast<std::size_t>(volume(shape)));
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<double>(i);
  return from_doubles(data, DType::f32, std::move(shape));
}

Tensor vector_of(std::vector<std::int64_t> values) {
  Shape shape{static_cast<Dim>(values.size())};
  return from_integers(values, DType::i32, std::move(shape));
}

Attrs with(const OpDef& op, Named given) {
  return complete({op.attrs.begin(), op.attrs.size()}, attrs_of(given));
}

std::vector<double> result(const OpDef& op, std::vector<Tensor> inputs, Named attrs = {}) {
  return to_doubles(run_reference(op, with(op, attrs), inputs).front());
}

// The type of the first output for an x of this type and constants after it.
Type inferred(const OpDef& op, const Type& x, std::vector<Tensor> constants, Named attrs = {}) {
  Graph graph;
  std::vector<ValueId> in{graph.add_input(x, "x")};
  for (Tensor& t : constants) in.push_back(graph.add_constant(std::move(t)));
  return graph.type(graph.add_node(graph.body, op, in, with(op, attrs)).outputs.front());
}

using Ints = std::vector<std::int64_t>;
using Reals = std::vector<double>;

}  // namespace

TEST_CASE("reshape counts its zeros from the right") {
  Type x(DType::f32, {2, 3, 4});
  CHECK(inferred(ops::reshape, x, {vector_of({-1, 0})}).shape == Shape{6, 4});
  CHECK(inferred(ops::reshape, x, {vector_of({1, 0, 0, 0})}).shape == Shape{1, 2, 3, 4});
  CHECK(inferred(ops::reshape, x, {vector_of({0, 0, 2, -1, 4})}).shape == Shape{1, 1, 2, 3, 4});
  CHECK_THROWS_AS(inferred(ops::reshape, x, {vector_of({5, -1})}), Error);
  CHECK_THROWS_AS(inferred(ops::reshape, x, {vector_of({-1, -1})}), Error);
  CHECK_THROWS_AS(inferred(ops::reshape, x, {vector_of({1000000000000, 1000000000000})}), Error);
}

TEST_CASE("reshape keeps what it can know of unknown dimensions") {
  Dim s = symbol(0);
  CHECK(inferred(ops::reshape, {DType::f32, {s, 3, 4}}, {vector_of({-1, 12})}).shape == Shape{s, 12});
  CHECK(inferred(ops::reshape, {DType::f32, {s, 3, 4}}, {vector_of({-1, 6})}).shape == Shape{unknown, 6});
  CHECK(inferred(ops::reshape, {DType::f32, {unknown, 3, s}}, {vector_of({-1, 3, 0})}).shape ==
        Shape{unknown, 3, s});
}

TEST_CASE("until iOS 16 a zero of reshape means the dimension of the same place") {
  Graph graph;
  MilNode node{.place = {&graph, &graph.body}, .type = "reshape", .opset = 5};
  node.inputs["x"] = {graph.add_input({DType::f32, {2, 3, 4}}, "x")};
  node.inputs["shape"] = {graph.add_constant(vector_of({0, 4, 3}))};
  ops::reshape.mil.upgrade(node);
  CHECK(to_integers(*node.constant("shape")) == Ints{0, 4, 3});  // which is what it means later too
  node.inputs["shape"] = {graph.add_constant(vector_of({0, -1}))};
  CHECK_THROWS_AS(ops::reshape.mil.upgrade(node), Error);
}

TEST_CASE("slices count from the end, run backwards and clamp") {
  auto slice = [](Ints begin, Ints end, Named attrs = {}) {
    return result(ops::slice_by_index, {counted({6}), vector_of(begin), vector_of(end)}, attrs);
  };
  CHECK(slice({-3}, {-1}) == Reals{3, 4});
  CHECK(slice({2}, {100}) == Reals{2, 3, 4, 5});
  CHECK(slice({4}, {0}) == Reals{});
  CHECK(slice({4}, {0}, {{"stride", Ints{-2}}}) == Reals{4, 2});
  CHECK(slice({0}, {0}, {{"stride", Ints{-1}}, {"begin_mask", Ints{1}}, {"end_mask", Ints{1}}}) ==
        Reals{5, 4, 3, 2, 1, 0});
  CHECK(slice({1}, {0}, {{"stride", Ints{2}}, {"end_mask", Ints{1}}}) == Reals{1, 3, 5});
  CHECK(slice({-1}, {0}, {{"squeeze_mask", Ints{1}}}) == Reals{5});
  CHECK(slice({-100}, {-5}) == Reals{0});
  CHECK(slice({1}, {9}, {{"stride", Ints{std::int64_t{1} << 62}}}) == Reals{1});
  CHECK(slice({4}, {-100}, {{"stride", Ints{std::numeric_limits<std::int64_t>::min()}}}) == Reals{4});
  CHECK_THROWS_AS(slice({6}, {0}, {{"squeeze_mask", Ints{1}}}), Error);
  CHECK_THROWS_AS(slice({0}, {1}, {{"stride", Ints{0}}}), Error);
}

TEST_CASE("a squeezed index ignores its stride and masks, and drops the dimension") {
  Tensor x = counted({2, 3});
  Attrs attrs = with(ops::slice_by_index, {{"stride", Ints{1, -1}},
                                           {"begin_mask", Ints{1, 1}},
                                           {"squeeze_mask", Ints{0, 1}},
                                           {"end_mask", Ints{1, 0}}});
  Tensor y =
      run_reference(ops::slice_by_index, attrs, std::vector{x, vector_of({0, 1}), vector_of({0, 0})}).front();
  CHECK(y.shape() == Shape{2});
  CHECK(to_doubles(y) == Reals{1, 4});
}

TEST_CASE("slices of unknown dimensions") {
  Dim s = symbol(3);
  auto shape = [&](Ints begin, Ints end, Named attrs = {}) {
    return inferred(ops::slice_by_index, {DType::f32, {s, 4}}, {vector_of(begin), vector_of(end)}, attrs)
        .shape;
  };
  CHECK(shape({0, 1}, {0, 3}, {{"end_mask", Ints{1, 0}}}) == Shape{s, 2});
  CHECK(shape({1, 1}, {0, 3}, {{"end_mask", Ints{1, 0}}}) == Shape{unknown, 2});
  CHECK(shape({0, 0}, {5, 4}) == Shape{unknown, 4});
}

TEST_CASE("slice_update writes backwards and leaves the rest") {
  Reals y = result(ops::slice_update,
                   {counted({2, 4}), from_doubles(Reals{-1, -2}, DType::f32, {1, 2}), vector_of({1, 3}),
                    vector_of({2, 0})},
                   {{"stride", Ints{1, -2}}});
  CHECK(y == Reals{0, 1, 2, 3, 4, -2, 6, -1});
  CHECK_THROWS_AS(result(ops::slice_update, {counted({4}), counted({3}), vector_of({0}), vector_of({2})}),
                  Error);
}

TEST_CASE("concat interleaves, and makes a vector of scalars") {
  Tensor a = counted({1, 2, 2}), b = from_doubles(Reals{10, 11, 12, 13}, DType::f32, {1, 2, 2});
  CHECK(result(ops::concat, {a, b}, {{"axis", std::int64_t{1}}, {"interleave", true}}) ==
        Reals{0, 1, 10, 11, 2, 3, 12, 13});
  CHECK(result(ops::concat, {a, b}, {{"axis", std::int64_t{-1}}, {"interleave", true}}) ==
        Reals{0, 10, 1, 11, 2, 12, 3, 13});
  CHECK(result(ops::concat, {scalar(3, DType::f32), scalar(4, DType::f32)}, {{"axis", std::int64_t{0}}}) ==
        Reals{3, 4});
}

TEST_CASE("pads mirror without the edge, or repeat it") {
  Tensor x = counted({4});
  CHECK(result(ops::pad, {x, vector_of({2, 3})}, {{"mode", std::string("reflect")}}) ==
        Reals{2, 1, 0, 1, 2, 3, 2, 1, 0});
  CHECK(result(ops::pad, {x, vector_of({1, 2})}, {{"mode", std::string("replicate")}}) ==
        Reals{0, 0, 1, 2, 3, 3, 3});
  CHECK(result(ops::pad, {x, vector_of({1, 0})}, {{"constant_val", -7.5}}) == Reals{-7.5, 0, 1, 2, 3});
  CHECK_THROWS_AS(result(ops::pad, {x, vector_of({4, 0})}, {{"mode", std::string("reflect")}}), Error);
  CHECK(inferred(ops::pad, {DType::f32, {2, 3, 4}}, {vector_of({1, 1, 0, 2})}).shape == Shape{2, 5, 6});
}

TEST_CASE("squeeze leaves a named dimension that is not 1") {
  CHECK(inferred(ops::squeeze, {DType::f32, {1, 3, 1}}, {}, {{"axes", Ints{1, 2}}}).shape == Shape{1, 3});
  CHECK(inferred(ops::squeeze, {DType::f32, {1, 1}}, {}).shape == Shape{});
}

TEST_CASE("shapes that come at run time") {
  Graph graph;
  ValueId x = graph.add_input({DType::f32, {2, 6}}, "x"), shape = graph.add_input({DType::i32, {3}}, "shape");
  CHECK(graph.type(graph.add_node(graph.body, ops::reshape, {x, shape}).outputs[0]).shape ==
        Shape{unknown, unknown, unknown});
  CHECK(graph.type(graph.add_node(graph.body, ops::fill, {shape}).outputs[0]).shape ==
        Shape{unknown, unknown, unknown});
  ValueId pair = graph.add_input({DType::i32, {2}}, "pair");
  Attrs attrs =
      attrs_of({{"squeeze_mask", Ints{1, 0}}, {"begin_mask", Ints{0, 1}}, {"end_mask", Ints{0, 1}}});
  CHECK(
      graph.type(graph.add_node(graph.body, ops::slice_by_index, {x, pair, pair}, attrs).outputs[0]).shape ==
      Shape{6});
}

}  // namespace tl
