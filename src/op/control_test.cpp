// SPDX-License-Identifier: Apache-2.0
// Types of branches and loops; lists, states, classifiers and random tensors as values.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "ir/ex.h"
#include "op/ops.h"
#include "op/reference.h"

namespace tl {
namespace {

std::vector<RunValue> evaluate(const OpDef& op, std::vector<RunValue> in, Named attrs = {},
                               std::vector<Type> types = {Type()}) {
  std::vector<const RunValue*> pointers;
  for (const RunValue& v : in) pointers.push_back(&v);
  std::vector<RunValue> out(op.outputs.size());
  Attrs full = complete({op.attrs.begin(), op.attrs.end()}, attrs_of(attrs));
  op.evaluate({pointers, full, types, out});
  return out;
}

Tensor number(std::int64_t n) { return from_integers({&n, 1}, DType::i32, {}); }
Tensor pair(double a, double b) { return from_doubles(std::vector<double>{a, b}, DType::f32, {2}); }

std::vector<double> random_values(const OpDef& op, Named attrs, std::uint64_t seed) {
  std::vector<Tensor> shape{from_integers(std::vector<std::int64_t>{200, 100}, DType::i32, {2})};
  return to_doubles(
      run_reference(op, complete({op.attrs.begin(), op.attrs.end()}, attrs_of(attrs)), shape, seed)[0]);
}

double mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

}  // namespace

TEST_CASE("a branch's type says what both branches say") {
  Graph graph;
  ValueId pred = graph.add_input(Type(DType::boolean, {}), "p"),
          a = graph.add_input(Type(DType::f32, {2, 3}), "a"),
          b = graph.add_input(Type(DType::f32, {2, 5}), "b");
  std::vector<Block> blocks(2);
  blocks[0].outputs = {a};
  blocks[1].outputs = {b};
  Node node = graph.add_node(graph.body, ops::cond, {pred}, {}, {"c", blocks});
  CHECK(graph.type(node.outputs[0]).shape == Shape{2, unknown});
  blocks[1].outputs = {};
  CHECK_THROWS_WITH(graph.add_node(graph.body, ops::cond, {pred}, {}, {"c", blocks}),
                    doctest::Contains("different numbers of values"));
  CHECK_THROWS_WITH(graph.add_node(graph.body, ops::cond, {a}, {}, {"c", blocks}),
                    doctest::Contains("must be one bool"));
}

TEST_CASE("a loop's condition and body take and give its variables") {
  Graph graph;
  ValueId x = graph.add_input(Type(DType::f32, {2}), "x"), more = graph.add_value(Type(DType::boolean, {}));
  std::vector<Block> blocks(2);
  blocks[0] = {{graph.add_value(Type(DType::f32, {unknown}))}, {}, {more}};
  blocks[1] = {{graph.add_value(Type(DType::f32, {unknown}))}, {}, {graph.add_value(Type(DType::f32, {3}))}};
  Node node = graph.add_node(graph.body, ops::while_loop, {x}, {}, {"w", blocks});
  CHECK(graph.type(node.outputs[0]).shape == Shape{unknown});
  blocks[1].outputs.clear();
  CHECK_THROWS_WITH(graph.add_node(graph.body, ops::while_loop, {x}, {}, {"w", blocks}),
                    doctest::Contains("1 loop variables"));
}

TEST_CASE("a list is a value") {
  Type type = list_of(DType::f32, {2}, unknown);
  RunValue empty = evaluate(ops::make_list, {number(1)}, {}, {type})[0];
  RunValue grown = evaluate(ops::list_write, {empty, number(3), pair(5, 6)})[0];
  CHECK(std::get<TensorList>(empty).items.size() == 1);
  CHECK(to_doubles(std::get<Tensor>(evaluate(ops::list_length, {grown})[0])) == std::vector<double>{4});
  CHECK(to_doubles(std::get<Tensor>(evaluate(ops::list_read, {grown, number(1)})[0])) ==
        std::vector<double>{0, 0});
  Tensor indices = from_integers(std::vector<std::int64_t>{3, 0}, DType::i32, {2});
  Tensor gathered = std::get<Tensor>(evaluate(ops::list_gather, {grown, indices})[0]);
  CHECK(gathered.shape() == Shape{2, 2});
  CHECK(to_doubles(gathered) == std::vector<double>{5, 6, 0, 0});
  RunValue swapped =
      evaluate(ops::list_scatter,
               {grown, from_integers(std::vector<std::int64_t>{0, 3}, DType::i32, {2}), gathered})[0];
  CHECK(to_doubles(std::get<TensorList>(swapped).items[0]) == std::vector<double>{5, 6});
  CHECK(to_doubles(std::get<TensorList>(grown).items[3]) == std::vector<double>{5, 6});
}

TEST_CASE("a list of fixed length does not grow") {
  Type type = list_of(DType::f32, {2}, 1);
  RunValue list = evaluate(ops::make_list, {number(1)}, {{"dynamic_length", false}}, {type})[0];
  CHECK_THROWS_WITH(evaluate(ops::list_write, {list, number(1), pair(5, 6)}),
                    "index 1 is outside a list of 1");
  CHECK_THROWS_WITH(evaluate(ops::list_read, {list, number(-2)}), "index -2 is outside a list of 1");
  CHECK_THROWS_AS(evaluate(ops::make_list, {number(-1)}, {}, {type}), Error);
}

TEST_CASE("a snapshot of a state stays as it was") {
  auto cell = std::make_shared<StateCell>();
  RunValue before = evaluate(ops::read_state, {cell}, {}, {Type(DType::f32, {2})})[0];
  CHECK(to_doubles(std::get<Tensor>(before)) == std::vector<double>{0, 0});
  evaluate(ops::write_state, {cell, pair(1, 2)});
  CHECK(to_doubles(std::get<Tensor>(before)) == std::vector<double>{0, 0});
  CHECK(to_doubles(cell->value) == std::vector<double>{1, 2});
  CHECK_THROWS_WITH(evaluate(ops::write_state, {cell, number(3)}), doctest::Contains("does not fit"));
}

TEST_CASE("a classifier gives the first of the best classes") {
  std::vector<RunValue> out =
      evaluate(ops::classify, {pair(0.5, 0.5)}, {{"classes", std::vector<std::string>{"cat", "dog"}}});
  CHECK(std::get<Tensor>(out[0]).as<std::string>()[0] == "cat");
  CHECK(to_doubles(std::get<Dictionary>(out[1]).values) == std::vector<double>{0.5, 0.5});
  out = evaluate(ops::classify, {pair(0.25, 0.5)}, {{"class_ids", std::vector<std::int64_t>{7, 9}}});
  CHECK(std::get<Tensor>(out[0]).as<std::int64_t>()[0] == 9);
  CHECK_THROWS_WITH(evaluate(ops::classify, {number(1)}, {{"class_ids", std::vector<std::int64_t>{7, 9}}}),
                    doctest::Contains("2 classes for 1"));
}

TEST_CASE("random tensors have the distribution they name") {
  std::vector<double> uniform = random_values(ops::random_uniform, {{"low", -1.0}, {"high", 3.0}}, 1);
  CHECK(mean(uniform) == doctest::Approx(1).epsilon(0.05));
  CHECK(*std::max_element(uniform.begin(), uniform.end()) < 3);
  std::vector<double> normal = random_values(ops::random_normal, {{"mean", 2.0}, {"stddev", 0.5}}, 1),
                      squares = normal;
  for (double& x : squares) x = (x - 2) * (x - 2);
  CHECK(mean(normal) == doctest::Approx(2).epsilon(0.02));
  CHECK(mean(squares) == doctest::Approx(0.25).epsilon(0.05));
  CHECK(mean(random_values(ops::random_bernoulli, {{"prob", 0.25}}, 1)) ==
        doctest::Approx(0.25).epsilon(0.05));
}

TEST_CASE("a seed of its own makes a random tensor the same in every run") {
  std::int64_t seed = 5;
  CHECK(random_values(ops::random_uniform, {{"seed", seed}}, 1) ==
        random_values(ops::random_uniform, {{"seed", seed}}, 2));
  CHECK(random_values(ops::random_uniform, {}, 1) != random_values(ops::random_uniform, {}, 2));
}

TEST_CASE("categories are drawn as often as their probabilities say") {
  std::vector<Tensor> logits{
      from_doubles(std::vector<double>{std::log(0.2), std::log(0.8), -INFINITY}, DType::f32, {1, 3})};
  Attrs attrs = complete({ops::random_categorical.attrs.begin(), ops::random_categorical.attrs.end()},
                         attrs_of({{"size", std::int64_t{5000}}}));
  std::vector<double> drawn = to_doubles(run_reference(ops::random_categorical, attrs, logits, 3)[0]);
  CHECK(mean(drawn) == doctest::Approx(0.8).epsilon(0.05));
  CHECK(*std::max_element(drawn.begin(), drawn.end()) == 1);
}

}  // namespace tl
