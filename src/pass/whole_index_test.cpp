// SPDX-License-Identifier: Apache-2.0
// Numbers of words as floats stay exact when the rest is computed in fp16.
#include "pass/whole_index.h"

#include "pass/pass_test.h"
#include "pass/precision.h"

namespace tl {

TEST_CASE("a number of a word beyond 2,048 finds its row in fp16") {
  Graph g;
  Place place{&g, &g.body};
  Ex x(place, g.add_input({DType::f32, {1, 1, 1}}, "x"));
  Ex ids = emit(ops::cast, {emit(ops::squeeze, {x}, {{"axes", std::vector<std::int64_t>{2}}})},
                {{"dtype", std::string("int32")}});
  std::vector<double> rows(3000);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<double>(i % 1000);
  g.add_output(emit(ops::gather, {constant(place, from_doubles(rows, DType::f32, {3000, 1})), ids}).id(),
               "y");
  CHECK(pass::cast_indices_first(g));
  CHECK(g.body.nodes[0].op == &ops::cast);
  CHECK_FALSE(pass::cast_indices_first(g));
  Graph half = pass::with_precision(g, DType::f16, [](const OpDef&) { return false; });
  verify(half, "with_precision");
  std::map<ValueId, Tensor> values;
  values[half.body.inputs[0]] = from_doubles(std::vector<double>{2999}, DType::f32, {1, 1, 1});
  run_reference(half, half.body, values);
  CHECK(to_doubles(values.at(half.body.outputs[0]))[0] == 999);
}

TEST_CASE("what was computed with stays where it is") {
  test::Builder b;
  Ex x = b.input({2, 3});
  Ex ids = emit(ops::cast, {b.reshaped(x * 2, {6})}, {{"dtype", std::string("int32")}});
  b.output(ids);
  CHECK_FALSE(pass::cast_indices_first(b.graph));
}

}  // namespace tl
