// SPDX-License-Identifier: Apache-2.0
// gelu as it is written out, and products that are none.
#include "pass/fuse_gelu.h"

#include "pass/pass_test.h"

namespace tl {
namespace {

using test::Builder;

std::string mode_of(const Graph& g) {
  std::string mode;
  for_each_node(g.body, [&](const Node& node) {
    if (node.op == &ops::gelu) mode += node.attrs.word("mode");
  });
  return mode;
}

}  // namespace

TEST_CASE("gelu by erf, in three orders") {
  for (int form = 0; form < 3; ++form) {
    Builder b;
    Ex x = b.input({3, 7});
    if (form == 0) b.output(x * 0.5 * (erf(x / 1.4142135) + 1));
    if (form == 1) b.output((erf(x * 0.70710678) * 0.5 + 0.5) * x);
    if (form == 2) b.output(x * (erf(x / 1.4142135) + 1) / 2);
    Graph fused = b.graph;
    CHECK(pass::fuse_gelus(fused));
    CHECK(mode_of(fused) == "EXACT");
    CHECK(fused.body.nodes.size() == 1);
    test::check_same_results(b.graph, fused);
  }
}

TEST_CASE("gelu by tanh and by sigmoid, and silu") {
  Builder b;
  Ex x = b.input({3, 7});
  b.output(x * 0.5 * (tanh((x + pow(x, b.number(3)) * 0.044715) * 0.7978845608) + 1));
  Graph fused = b.graph;
  CHECK(pass::fuse_gelus(fused));
  CHECK(mode_of(fused) == "TANH_APPROXIMATION");
  test::check_same_results(b.graph, fused);

  Builder c;
  x = c.input({3, 7});
  c.output(x * 0.5 * (tanh(x * 0.7978845608 * (square(x) * 0.044715 + 1)) + 1));
  c.output(x * sigmoid(x * 1.702)), c.output(x * sigmoid(x));
  fused = c.graph;
  CHECK(pass::fuse_gelus(fused));
  CHECK(mode_of(fused) == "TANH_APPROXIMATIONSIGMOID_APPROXIMATION");
  CHECK(test::count(fused, ops::silu) == 1);
  test::check_same_results(c.graph, fused);
}

TEST_CASE("other constants, other inputs: no gelu") {
  Builder b;
  Ex x = b.input({3, 7}), y = b.input({3, 7});
  b.output(x * 0.5 * (erf(x / 1.3) + 1));
  b.output(x * 0.5 * (erf(y / 1.4142135) + 1));
  b.output(x * 0.4 * (erf(x / 1.4142135) + 1));
  b.output(x * sigmoid(x * 1.5));
  Graph fused = b.graph;
  CHECK_FALSE(pass::fuse_gelus(fused));
}

}  // namespace tl
