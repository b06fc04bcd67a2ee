// SPDX-License-Identifier: Apache-2.0
// Chains of products in (batch, channels, 1, sequence): what they compute, and how little is moved.
#include "pass/channels_first.h"

#include "pass/pass_test.h"

namespace tl {
namespace {

using test::Builder;
using test::count;

Ex linear(Builder& b, const Ex& x, Dim out) {
  return emit(ops::linear, {x, b.weight({out, x.shape().back()}), b.weight({out})});
}

Ex norm(Builder& b, const Ex& x) {
  Dim n = x.shape().back();
  return emit(ops::layer_norm, {x, b.weight({n}), b.weight({n})}, {{"axes", std::vector<std::int64_t>{-1}}});
}

Graph arranged(const Graph& graph) {
  Graph after = graph;
  CHECK(pass::channels_first(after));
  test::check_same_results(graph, after);
  CHECK(count(after, ops::linear) == 0);
  return after;
}

// q k^T / 2, softmax, times v; [B, S, C] in and out.
Ex attend(Builder& b, const Ex& x, std::int64_t heads) {
  std::int64_t n = x.shape()[0], s = x.shape()[1], c = x.shape()[2];
  auto split = [&](const Ex& y) {
    return b.transposed(b.reshaped(y, {n, s, heads, c / heads}), {0, 2, 1, 3});
  };
  Ex q = split(linear(b, x, c)), k = split(linear(b, x, c)), v = split(linear(b, x, c));
  Ex scores = emit(ops::matmul, {q, k}, {{"transpose_y", true}}) * 0.5 + b.weight({1, 1, s, s});
  Ex sums = emit(ops::matmul, {emit(ops::softmax, {scores}), v});
  return b.reshaped(b.transposed(sums, {0, 2, 1, 3}), {n, s, c});
}

}  // namespace

TEST_CASE("a block of norm, products, gelu and a sum moves elements twice") {
  for (Dim batch : {1, 2}) {
    Builder b;
    Ex x = b.input({batch, 5, 8});
    Ex y = x + linear(b, gelu(linear(b, norm(b, x), 16)), 8);
    b.output(norm(b, y));
    Graph after = arranged(b.graph);
    CHECK(count(after, ops::conv) == 2);
    CHECK(count(after, ops::layer_norm) == 2);
    CHECK(count(after, ops::transpose) == 2);
  }
}

TEST_CASE("attention goes head by head, its reshapes vanish") {
  for (Dim batch : {1, 3}) {
    Builder b;
    Ex x = b.input({batch, 5, 8});
    b.output(x + linear(b, attend(b, norm(b, x), 4), 8));
    Graph after = arranged(b.graph);
    CHECK(count(after, ops::einsum) == 8);
    CHECK(count(after, ops::matmul) == 0);
    CHECK(count(after, ops::transpose) == 2 + 4);  // the edges, and each head's keys
  }
}

TEST_CASE("attention whose sequence comes first, as torch.nn.MultiheadAttention has it") {
  Builder b;
  Ex x = b.input({1, 5, 8}), y = linear(b, b.transposed(x, {1, 0, 2}), 24);
  std::vector<Ex> parts = emit_all(ops::split, std::array{y},
                                   attrs_of({{"num_splits", std::int64_t{3}}, {"axis", std::int64_t{-1}}}));
  for (Ex& p : parts) p = b.transposed(b.reshaped(p, {5, 2, 4}), {1, 0, 2});
  Ex scores = emit(ops::matmul, {parts[0], b.transposed(parts[1], {0, 2, 1})});
  Ex sums = emit(ops::matmul, {emit(ops::softmax, {scores}), parts[2]});
  b.output(linear(b, b.reshaped(b.transposed(sums, {1, 0, 2}), {5, 8}), 8));
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::einsum) == 4);
  CHECK(count(after, ops::matmul) == 0);
}

TEST_CASE("queries that share keys, turned by their places") {
  Builder b;
  Ex x = b.input({1, 6, 8});
  auto turned = [&](const Ex& y) {
    auto half = [&](std::int64_t from, std::int64_t to) {
      const Shape& s = y.shape();
      return emit(ops::slice_by_index,
                  {y, integers(b.place(), {0, 0, 0, from}), integers(b.place(), {s[0], s[1], s[2], to})});
    };
    Ex other = emit(ops::concat, {-half(2, 4), half(0, 2)}, {{"axis", std::int64_t{-1}}});
    return y * b.weight({6, 4}) + other * b.weight({6, 4});
  };
  Ex q = turned(b.transposed(b.reshaped(linear(b, x, 16), {1, 6, 4, 4}), {0, 2, 1, 3}));
  Ex k = turned(b.transposed(b.reshaped(linear(b, x, 8), {1, 6, 2, 4}), {0, 2, 1, 3}));
  Ex once = b.transposed(k, {1, 0, 2, 3});  // [2, 1, 6, 4], each for two queries
  Ex twice = emit(ops::tile, {once, integers(b.place(), {2, 1, 1, 1})});
  Ex each = b.reshaped(b.transposed(b.reshaped(twice, {2, 2, 1, 6, 4}), {1, 0, 2, 3, 4}), {4, 1, 6, 4});
  Ex keys = b.transposed(each, {1, 0, 3, 2});
  b.output(emit(ops::softmax, {emit(ops::matmul, {q, keys})}));
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::einsum) == 4);
  CHECK(count(after, ops::tile) == 0);
}

TEST_CASE("scaled_dot_product_attention with masks") {
  for (bool boolean : {false, true}) {
    Builder b;
    Ex q = b.input({1, 2, 5, 4}), k = b.input({1, 2, 6, 4}), v = b.input({1, 2, 6, 4}),
       mask = b.weight({5, 6});
    if (boolean) mask = constant(b.place(), from_doubles(std::vector<double>(30, 1), DType::boolean, {5, 6}));
    b.output(emit(ops::scaled_dot_product_attention, {q, k, v, mask}));
    Graph after = arranged(b.graph);
    CHECK(count(after, ops::scaled_dot_product_attention) == 0);
    CHECK(count(after, ops::einsum) == 4);
  }
}

TEST_CASE("pictures whose channels were moved last stay as they are") {
  Builder b;
  Ex x = b.input({1, 8, 4, 5}), y = b.transposed(x, {0, 2, 3, 1});
  y = linear(b, gelu(linear(b, norm(b, y), 16)), 8);
  b.output(x + b.transposed(y, {0, 3, 1, 2}));
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::transpose) == 0);
  CHECK(count(after, ops::reshape) == 0);
}

TEST_CASE("a token before the sequence, and its row after") {
  Builder b;
  Ex x = b.input({1, 8, 3, 3});
  Ex y = b.transposed(b.reshaped(x, {1, 8, 9}), {0, 2, 1});
  y = emit(ops::concat, {b.weight({1, 1, 8}), y}, {{"axis", std::int64_t{1}}}) + b.weight({1, 10, 8});
  y = y + linear(b, norm(b, y), 8);
  Ex first = emit(ops::slice_by_index, {y, integers(b.place(), {0, 0, 0}), integers(b.place(), {1, 1, 8})},
                  {{"squeeze_mask", std::vector<std::int64_t>{0, 1, 0}}});
  b.output(first);
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::transpose) == 0);
}

TEST_CASE("products over other axes go back first; sums, means and constant matrices") {
  Builder b;
  Ex x = b.input({2, 5, 8}), y = linear(b, x, 8);
  y = y + b.transposed(linear(b, b.transposed(y, {0, 2, 1}), 5), {0, 2, 1});  // mixes the places
  y = emit(ops::matmul, {y, b.weight({8, 6})});
  b.output(emit(ops::reduce_mean, {y}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", false}}));
  b.output(emit(ops::softmax, {y}, {{"axis", std::int64_t{1}}}));
  b.output(emit(ops::cumsum, {y}, {{"axis", std::int64_t{1}}}));  // not known to it: as it was
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::conv) == 3);
}

TEST_CASE("five axes, more than linear itself may have on the engine") {
  Builder b;
  Ex x = b.input({2, 2, 1, 3, 4});
  b.output(relu(linear(b, x, 3)));
  CHECK(count(arranged(b.graph), ops::conv) == 1);
}

TEST_CASE("a single vector, computed weights and unknown lengths stay") {
  Builder b;
  Ex x = b.input({1, 8}), y = b.input({1, 5, 8}), w = b.input({4, 8});
  b.output(linear(b, x, 4));
  b.output(emit(ops::linear, {y, w}));
  Graph after = b.graph;
  CHECK_FALSE(pass::channels_first(after));
  Builder c;
  Ex z = c.input({1, symbol(0), 8});
  c.output(linear(c, z, 4));
  CHECK_FALSE(pass::channels_first(c.graph));
}

TEST_CASE("a compressed matrix stays compressed") {
  Builder b;
  Ex x = b.input({1, 5, 8});
  Tensor data = from_integers(std::vector<std::int64_t>(32, 3), DType::i8, {4, 8});
  Ex w = emit(ops::constexpr_affine_dequantize,
              {constant(b.place(), data), constant(b.place(), scalar(0.5, DType::f32))});
  b.output(emit(ops::linear, {x, w}));
  Graph after = arranged(b.graph);
  CHECK(count(after, ops::constexpr_affine_dequantize) == 1);
  CHECK(count(after, ops::conv) == 1);
}

}  // namespace tl
