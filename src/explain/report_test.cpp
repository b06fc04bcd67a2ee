// SPDX-License-Identifier: Apache-2.0
// Placement, cost and advice of graphs written in the test.
#include "explain/report.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "explain/advice.h"

namespace tl::explain {
namespace {

Report report_of(std::string_view graph, std::string_view chip = "M1") {
  ModelFile file;
  file.type = "mlProgram";
  Function function;
  function.graph = parse_graph(graph);
  file.functions.push_back(function);
  return make_report(file, file.functions[0], chip_named(chip));
}

Device device_of(const Report& r, std::string_view op) {
  for (const Row& row : r.rows)
    if (row.op == op) return row.device;
  return Device::none;
}

bool advises(const Report& r, std::string_view title) {
  return std::any_of(r.advice.begin(), r.advice.end(),
                     [&](const Advice& a) { return a.title.find(title) != std::string::npos; });
}

}  // namespace

TEST_CASE("types decide") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 8, 4, 4}}, "x");
  ValueId y = g.add_node(g.body, find_op("relu"), {x}).outputs[0];
  g.add_output(y, "y");
  CHECK(device_of(report_of(print(g)), "relu") == Device::engine);
  Graph single;
  x = single.add_input({DType::f32, {1, 8, 4, 4}}, "x");
  y = single.add_node(single.body, find_op("relu"), {x}).outputs[0];
  single.add_output(y, "y");
  Report r = report_of(print(single));
  CHECK(device_of(r, "relu") != Device::engine);
  CHECK(advises(r, "fp16"));
}

TEST_CASE("chips differ") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 8, 4, 4}}, "x");
  ValueId y = g.add_node(g.body, find_op("sin"), {x}).outputs[0];
  g.add_output(y, "y");
  CHECK(device_of(report_of(print(g), "M1"), "sin") != Device::engine);
  CHECK(device_of(report_of(print(g), "m3 pro"), "sin") == Device::engine);
  CHECK(device_of(report_of(print(g), "A14"), "sin") != Device::engine);
  CHECK(device_of(report_of(print(g), "A17Pro"), "sin") == Device::engine);
}

TEST_CASE("rank and length") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 1, 2, 2, 2, 2}}, "x");
  g.add_output(g.add_node(g.body, find_op("relu"), {x}).outputs[0], "y");
  CHECK(device_of(report_of(print(g)), "relu") != Device::engine);
  Graph wide;
  x = wide.add_input({DType::f16, {1, 2, 1, 20000}}, "x");
  wide.add_output(wide.add_node(wide.body, find_op("relu"), {x}).outputs[0], "y");
  CHECK(device_of(report_of(print(wide), "M3"), "relu") != Device::engine);
  CHECK(device_of(report_of(print(wide), "M4"), "relu") == Device::engine);
}

TEST_CASE("work of products") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 2, 16, 32}}, "x"),
          y = g.add_input({DType::f16, {1, 2, 32, 8}}, "y");
  g.add_output(g.add_node(g.body, find_op("matmul"), {x, y}).outputs[0], "z");
  Report r = report_of(print(g));
  CHECK(r.macs == 2.0 * 16 * 32 * 8);
  CHECK(r.rows[0].work.kind == WorkKind::product);
  CHECK(r.as_is.low < r.as_is.ms);
  CHECK(r.as_is.ms < r.as_is.high);
}

TEST_CASE("a segment less is time less") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 8, 4, 4}}, "x");
  x = g.add_node(g.body, find_op("relu"), {x}).outputs[0];
  x = g.add_node(g.body, find_op("tan"), {x}).outputs[0];
  x = g.add_node(g.body, find_op("sigmoid"), {x}).outputs[0];
  g.add_output(x, "y");
  Report r = report_of(print(g));
  CHECK(r.segments.size() == 3);
  CHECK(r.engine.ms < r.as_is.ms);
  CHECK(advises(r, "tan: off the engine"));
  CHECK(json_of(r).find("\"segments\"") != std::string::npos);
}

TEST_CASE("every model rule is complete; unknown chips are named") {
  for (const ModelRule& rule : model_rules()) {
    CHECK_FALSE(rule.why.empty());
    CHECK_FALSE(rule.source.empty());
    CHECK_FALSE(rule.python.empty());
  }
  for (const Chip& chip : chips()) CHECK_FALSE(chip.source.empty());
  CHECK_THROWS_AS(chip_named("Z80"), Error);
}

}  // namespace tl::explain
