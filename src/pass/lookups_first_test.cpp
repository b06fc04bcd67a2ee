// SPDX-License-Identifier: Apache-2.0
// Lookups by inputs move to the front, those by computed indices do not.
#include "pass/lookups_first.h"

#include "pass/pass_test.h"

namespace tl {

TEST_CASE("two lookups with a sum between them stand together") {
  test::Builder b;
  Ex ids(b.place(), b.graph.add_input({DType::i32, {2, 3}}, "ids"));
  Ex table = b.weight({5, 4}), x = emit(ops::gather, {table, ids}) + b.weight({4});
  Ex shifted = emit(ops::add, {ids, integers(b.place(), {0})});
  b.output(x + emit(ops::gather, {table, shifted}));
  Graph after = b.graph;
  CHECK(pass::lookups_first(after));
  CHECK(after.body.nodes[0].op == &ops::gather);
  CHECK(after.body.nodes[1].op == &ops::add);
  CHECK(after.body.nodes[2].op == &ops::gather);
  test::check_same_results(b.graph, after);
  CHECK_FALSE(pass::lookups_first(after));
}

TEST_CASE("a lookup by what was computed stays") {
  test::Builder b;
  Ex x = b.input({2, 3}), y = relu(x);
  Ex place = emit(ops::reduce_argmax, {y}, {{"axis", std::int64_t{1}}, {"keep_dims", false}});
  b.output(y), b.output(emit(ops::gather, {b.weight({5, 4}), place}));
  CHECK_FALSE(pass::lookups_first(b.graph));
}

}  // namespace tl
