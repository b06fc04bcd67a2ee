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

TEST_CASE("a vocabulary is too wide, not too many channels; linear of many rows can be converted") {
  Graph wide;
  ValueId x = wide.add_input({DType::f16, {1, 4, 30000}}, "x");
  wide.add_output(wide.add_node(wide.body, find_op("relu"), {x}).outputs[0], "y");
  CHECK(device_of(report_of(print(wide)), "relu") != Device::engine);
  Graph deep;
  x = deep.add_input({DType::f16, {1, 30000, 1, 4}}, "x");
  deep.add_output(deep.add_node(deep.body, find_op("relu"), {x}).outputs[0], "y");
  CHECK(device_of(report_of(print(deep)), "relu") == Device::engine);
  for (Dim rows : {1, 512}) {
    Graph g;
    x = g.add_input({DType::f16, {1, rows, 1024}}, "x");
    ValueId w = g.add_constant(Tensor(DType::f16, {1024, 1024}), "w");
    g.add_output(g.add_node(g.body, find_op("linear"), {x, w}).outputs[0], "y");
    ModelFile file;
    file.type = "mlProgram";
    Function f;
    f.graph = g;
    Report r = make_report(file, f, chip_named("M1"));
    CHECK(advises(r, "linear: slow") == (rows > 1));
    for (const Advice& a : r.advice)
      if (a.title == "linear: slow") CHECK(a.command.find("--for ane") != std::string::npos);
  }
}

TEST_CASE("a pipeline is its parts and their sum") {
  Graph g;
  ValueId x = g.add_input({DType::f16, {1, 8, 4, 4}}, "x");
  g.add_output(g.add_node(g.body, find_op("relu"), {x}).outputs[0], "y");
  std::vector<Report> parts{report_of(print(g)), report_of(print(g))};
  parts[0].name = "a", parts[1].name = "b";
  double ms = parts[0].as_is.ms;
  ModelFile file;
  Report all = combined(file, chip_named("M1"), parts);
  CHECK(all.rows.size() == 2);
  CHECK(all.rows[1].name.starts_with("b/"));
  CHECK(all.segments.size() == 2);
  CHECK(all.rows[1].segment == 1);
  CHECK(all.as_is.ms == doctest::Approx(2 * ms));
  CHECK(text_of(all).find("Parts, one after another") != std::string::npos);
  CHECK(json_of(all).find("\"parts\"") != std::string::npos);
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
