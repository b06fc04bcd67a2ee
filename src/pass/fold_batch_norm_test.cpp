// SPDX-License-Identifier: Apache-2.0
// Batch norms into convolutions, large numbers out of others.
#include "pass/fold_batch_norm.h"

#include "pass/pass_test.h"

namespace tl {
namespace {

Ex norm(test::Builder& b, const Ex& x, double variance) {
  Dim n = x.shape()[1];
  std::vector<double> large(static_cast<std::size_t>(n), variance);
  return emit(ops::batch_norm, {x, b.weight({n}), constant(b.place(), from_doubles(large, DType::f32, {n})),
                                b.weight({n}), b.weight({n})});
}

}  // namespace

TEST_CASE("a batch norm after a convolution that only it reads is folded") {
  for (bool biased : {false, true}) {
    test::Builder b;
    Ex x = b.input({1, 4, 5, 5}), w = b.weight({6, 2, 3, 3});
    Ex y = emit(ops::conv, {x, w, biased ? b.weight({6}) : Ex()}, {{"groups", std::int64_t{2}}});
    b.output(relu(norm(b, y, 2)));
    Graph after = b.graph;
    CHECK(pass::fold_batch_norms(after));
    CHECK(after.body.nodes.size() == 2);
    test::check_same_results(b.graph, after);
    CHECK_FALSE(pass::fold_batch_norms(after));
  }
}

TEST_CASE("elsewhere it stays, but for numbers that fp16 does not hold") {
  test::Builder b;
  Ex x = b.input({1, 4, 5, 5}), y = emit(ops::conv, {x, b.weight({4, 4, 1, 1})});
  b.output(y), b.output(norm(b, y, 2));
  Graph after = b.graph;
  CHECK_FALSE(pass::fold_batch_norms(after));
  b.output(norm(b, x, 1e6));
  after = b.graph;
  CHECK(pass::fold_batch_norms(after));
  CHECK(test::count(after, ops::batch_norm) == 2);
  for (std::size_t i = 0; i < after.value_count(); ++i)
    if (const Value& v = after.value(ValueId(i));
        v.is_constant() && after.body.nodes.back().inputs[2] == ValueId(i))
      CHECK(to_doubles(v.constant)[0] < 2);
  test::check_same_results(b.graph, after);
}

}  // namespace tl
