// SPDX-License-Identifier: Apache-2.0
// What older networks compute from shapes as floats becomes whole numbers; data does not.
#include "pass/shape_math.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "op/formulas.h"
#include "pass/precision.h"
#include "pass/simplify.h"

namespace tl {
namespace {

Ex part(const Ex& x, std::int64_t at) {
  return emit(ops::slice_by_size, {x, integers(x.place(), {at}), integers(x.place(), {1})}, {});
}

TEST_CASE("lengths are whole numbers, data is not") {
  Graph g;
  Place place{&g, &g.body};
  Ex x(place, g.add_input({DType::f32, {symbol(0), 4}}, "x"));
  Ex lengths = cast(emit(ops::shape, {x}, {}), DType::f32);
  Ex twice = part(lengths, 0) * 2;
  Ex wanted = cast(emit(ops::concat, {twice, part(lengths, 1) / 2}, {{"axis", std::int64_t{0}}}), DType::i32);
  Ex whole =
      cast(emit(ops::concat,
                {twice, Ex(place, g.add_constant(from_doubles(std::vector<double>{2}, DType::f32, {1})))},
                {{"axis", std::int64_t{0}}}),
           DType::i32);
  g.add_output(emit(ops::reshape, {x, whole}, {}).id(), "y");
  g.add_output(emit(ops::reshape, {x, wanted}, {}).id(), "z");
  pass::whole_shape_math(g);
  pass::drop_unused(g);
  verify(g, "whole_shape_math");
  const Node &y = *std::find_if(g.body.nodes.begin(), g.body.nodes.end(),
                                [&](const Node&n) { return n.outputs.front() == g.body.outputs[0]; }),
             &z = *std::find_if(g.body.nodes.begin(), g.body.nodes.end(),
                                [&](const Node&n) { return n.outputs.front() == g.body.outputs[1]; });
  auto giver = [&](ValueId v) {
    for (const Node& n : g.body.nodes)
      if (n.outputs.front() == v) return n.op;
    return static_cast<const OpDef*>(nullptr);
  };
  CHECK(giver(y.inputs[1]) == &ops::concat);  // of int32, and no cast
  CHECK(giver(z.inputs[1]) == &ops::cast);    // a quotient may be no whole number
}

TEST_CASE("precision keeps the types at the edges, and numbers that fp16 cannot hold") {
  Graph g;
  Place place{&g, &g.body};
  Ex x(place, g.add_input({DType::f32, {3}}, "x"));
  Ex masked = x + Ex(place, g.add_constant(from_doubles(std::vector<double>{0, -1e9, 0}, DType::f32, {3})));
  g.add_output(emit(ops::relu, {masked * 2}, {}).id(), "y");
  Graph half = pass::with_precision(g, DType::f16, [](const OpDef&) { return false; });
  verify(half, "with_precision");
  CHECK(half.type(half.body.inputs[0]).dtype == DType::f32);
  CHECK(half.type(half.body.outputs[0]).dtype == DType::f32);
  for (const Node& n : half.body.nodes) {
    if (n.op == &ops::add) CHECK(half.type(n.outputs[0]).dtype == DType::f32);
    if (n.op == &ops::mul || n.op == &ops::relu) CHECK(half.type(n.outputs[0]).dtype == DType::f16);
  }
}

}  // namespace
}  // namespace tl
