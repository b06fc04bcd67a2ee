// SPDX-License-Identifier: Apache-2.0
// The steps of a report in order.
#include "explain/report.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "explain/advice.h"
#include "explain/estimate.h"
#include "explain/fit.h"
#include "explain/prepare.h"
#include "op/ops.h"

namespace tl::explain {
namespace {

constexpr double rough = 2;  // the error of what is said of GPU and CPU

Row row_of(const Graph& g, const Node& node, const Facts& facts, const Chip& chip) {
  Row row;
  row.op = node.op->name;
  if (!node.outputs.empty()) row.name = g.value(node.outputs[0]).name;
  if (row.name.empty()) row.name = node.name.empty() ? row.op : node.name;
  if (!node.outputs.empty()) row.shape = text_of(g.type(node.outputs[0]));
  row.work = work_of(g, node, facts);
  if (is_edge(g, node, facts)) row.work.kind = WorkKind::none;
  if (row.work.kind != WorkKind::none) row.rules = rules_for(g, node, facts, chip);
  return row;
}

std::vector<Row> rows_of(const Graph& g, const Facts& facts, const Chip& chip) {
  std::vector<Row> rows;
  std::map<const Node*, std::size_t> place;
  for_each_node(g.body, [&](const Node& node) {
    Row row = row_of(g, node, facts, chip);
    for (ValueId v : node.inputs) {
      auto from = v == no_value ? place.end() : place.find(facts.producer[index(v)]);
      if (from != place.end()) row.inputs.push_back(from->second);
    }
    place[&node] = rows.size();
    rows.push_back(std::move(row));
  });
  return rows;
}

// Classic models, whatever operations we have for them.
void put_on_cpu(std::vector<Row>& rows) {
  const AneRule* classic = ane_rules(ops::tree_ensemble).front();
  for (Row& row : rows)
    if (row.work.kind != WorkKind::none) row.rules.insert(row.rules.begin(), classic);
}

// Bytes of activations in fp16 that are alive at once, at most.
double peak_of(const Graph& g, const Facts& facts) {
  std::vector<int> left = facts.readers;
  double alive = 0, peak = 0;
  auto bytes = [&](ValueId v) { return facts.constant[index(v)] ? 0 : 2 * elements_of(g.type(v)); };
  for (ValueId v : g.body.inputs) alive += bytes(v);
  for_each_node(g.body, [&](const Node& node) {
    for (ValueId v : node.outputs) alive += bytes(v);
    peak = std::max(peak, alive);
    for (ValueId v : node.inputs)
      if (v != no_value && --left[index(v)] == 0) alive -= bytes(v);
  });
  return peak;
}

}  // namespace

std::size_t Report::on(Device device) const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [&](const Row& r) { return r.device == device; }));
}

double Report::share(Device device) const {
  double part = 0;
  for (const Row& row : rows) part += row.device == device ? row.work.macs : 0;
  return macs > 0 ? part / macs : 0;
}

Report make_report(const ModelFile& file, const Function& function, const Chip& chip) {
  Graph graph = prepared(file, function);
  Facts facts = facts_of(graph);
  Scene scene{&chip, file.type != "mlProgram", {}};
  scene.rows = rows_of(graph, facts, chip);
  if (function.by_rows) put_on_cpu(scene.rows);
  Report report;
  report.chip = &chip;
  report.model = file.path, report.function = function.name, report.type = file.type;
  Estimate as_is = estimate(scene);
  Change best;
  best.half = true;
  for (const Row& row : scene.rows) best.lifted.insert(row.rules.begin(), row.rules.end());
  report.as_is = figure_of(as_is);
  report.engine = figure_of(estimate(scene, best));
  report.gpu = figure_of(estimate_on(scene, Device::gpu), rough),
  report.cpu = figure_of(estimate_on(scene, Device::cpu), rough);
  report.segments = as_is.segments;
  for (std::size_t i = 0; i < scene.rows.size(); ++i) scene.rows[i].ms = as_is.ms[i];
  report.advice = advice_on({file, function, graph, facts, scene});
  report.rows = std::move(scene.rows);
  for (std::size_t i = 0; i < report.rows.size(); ++i) {
    Row& row = report.rows[i];
    row.device = as_is.devices[i], row.ms = as_is.ms[i], row.segment = as_is.segment_of[i];
    report.macs += row.work.macs, report.weight_bytes += row.work.weight_bytes;
  }
  report.peak_bytes = peak_of(graph, facts) + report.weight_bytes;
  return report;
}

}  // namespace tl::explain
