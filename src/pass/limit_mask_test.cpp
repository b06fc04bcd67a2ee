// SPDX-License-Identifier: Apache-2.0
// Masks are raised where they only reach a softmax, and nothing else is.
#include "pass/limit_mask.h"

#include <doctest/doctest.h>

#include <limits>

#include "op/ops.h"

namespace tl {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("a mask that is added before a softmax is raised") {
  Graph g;
  ValueId x = g.add_input({DType::f32, {2, 3}}, "x");
  ValueId mask = g.add_constant(from_doubles(std::vector<double>{0, -inf, -1e9}, DType::f32, {3}), "mask");
  ValueId sum = g.add_node(g.body, ops::add, {x, mask}).outputs[0];
  g.add_output(g.add_node(g.body, ops::softmax, {sum}).outputs[0], "y");
  CHECK(pass::limit_masks(g));
  CHECK(to_doubles(g.value(mask).constant) == std::vector<double>{0, -4e4, -4e4});
  CHECK_FALSE(pass::limit_masks(g));
}

TEST_CASE("what goes elsewhere too stays") {
  Graph g;
  ValueId x = g.add_input({DType::f32, {2, 3}}, "x");
  ValueId mask = g.add_constant(from_doubles(std::vector<double>{0, -inf, 1}, DType::f32, {3}), "mask");
  ValueId sum = g.add_node(g.body, ops::add, {x, mask}).outputs[0];
  g.add_output(g.add_node(g.body, ops::softmax, {sum}).outputs[0], "y");
  g.add_output(g.add_node(g.body, ops::mul, {x, mask}).outputs[0], "z");
  CHECK_FALSE(pass::limit_masks(g));
  ValueId product = g.add_node(g.body, ops::mul, {sum, mask}).outputs[0];
  g.add_output(product, "w");
  CHECK_FALSE(pass::limit_masks(g));
}

}  // namespace tl
