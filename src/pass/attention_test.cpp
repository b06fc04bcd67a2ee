// SPDX-License-Identifier: Apache-2.0
// Attention as it is written out in files, and what only looks like it.
#include "pass/attention.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "op/ops.h"
#include "pass/simplify.h"

namespace tl {
namespace {

Graph written(const std::string& scores) {
  return parse_graph(
      "graph main(%q: fp32[1, 4, 2, 16], %k: fp32[1, 5, 2, 16], %v: fp32[1, 5, 2, 3], %m: fp32[5]) {\n"
      "  %qt: fp32[1, 2, 4, 16] = transpose(%q) {perm=[0, 2, 1, 3]}\n"
      "  %kt: fp32[1, 2, 16, 5] = transpose(%k) {perm=[0, 2, 3, 1]}\n"
      "  %vt: fp32[1, 2, 5, 3] = transpose(%v) {perm=[0, 2, 1, 3]}\n"
      "  %quarter: fp32[] = constant [0.25]\n" +
      scores +
      "  %w: fp32[1, 2, 4, 5] = softmax(%s) {axis=-1}\n"
      "  %y: fp32[1, 2, 4, 3] = matmul(%w, %vt)\n"
      "  return %y as \"y\"\n}\n");
}

bool joins(const std::string& scores) {
  Graph g = written(scores);
  bool changed = pass::join_attention(g);
  pass::drop_unused(g);
  verify(g, "test");
  bool there = std::any_of(g.body.nodes.begin(), g.body.nodes.end(),
                           [](const Node& node) { return node.op == &ops::scaled_dot_product_attention; });
  CHECK(there == changed);
  bool left = std::any_of(g.body.nodes.begin(), g.body.nodes.end(),
                          [](const Node& node) { return node.op == &ops::softmax; });
  CHECK(left != changed);
  return changed;
}

}  // namespace

TEST_CASE("scores that are scaled, masked or made of a scaled query are attention") {
  CHECK(
      joins("  %p: fp32[1, 2, 4, 5] = matmul(%qt, %kt)\n"
            "  %s: fp32[1, 2, 4, 5] = mul(%p, %quarter)\n"));
  CHECK(
      joins("  %p: fp32[1, 2, 4, 5] = matmul(%qt, %kt)\n"
            "  %z: fp32[1, 2, 4, 5] = mul(%quarter, %p)\n"
            "  %s: fp32[1, 2, 4, 5] = add(%m, %z)\n"));
  CHECK(
      joins("  %z: fp32[1, 2, 4, 16] = mul(%qt, %quarter)\n"
            "  %s: fp32[1, 2, 4, 5] = matmul(%z, %kt)\n"));
}

TEST_CASE("another scale, or scores that are read elsewhere, are not") {
  CHECK_FALSE(joins("  %s: fp32[1, 2, 4, 5] = matmul(%qt, %kt)\n"));
  CHECK_FALSE(
      joins("  %half: fp32[] = constant [0.5]\n"
            "  %p: fp32[1, 2, 4, 5] = matmul(%qt, %kt)\n"
            "  %s: fp32[1, 2, 4, 5] = mul(%p, %half)\n"));
  CHECK_FALSE(
      joins("  %p: fp32[1, 2, 4, 5] = matmul(%qt, %kt)\n"
            "  %z: fp32[1, 2, 4, 5] = mul(%p, %quarter)\n"
            "  %s: fp32[1, 2, 4, 5] = add(%z, %p)\n"));
}

}  // namespace tl
