// SPDX-License-Identifier: Apache-2.0
// Two copies of the graph, cut at the rows of the tables.
#include "model/split_embedding.h"

#include <algorithm>

#include "base/text.h"
#include "model/program_form.h"
#include "op/ops.h"
#include "pass/simplify.h"

namespace tl {
namespace {

bool hands_on_indices(const OpDef* op) {
  return op == &ops::cast || op == &ops::identity || op == &ops::expand_dims || op == &ops::squeeze ||
         op == &ops::reshape;
}

// Lookups in constant tables by what comes from inputs alone: all of them, where one table is large.
std::vector<ValueId> rows_of_tables(const Graph& g) {
  std::vector<bool> of_inputs(g.value_count(), false);
  for (ValueId v : g.body.inputs) of_inputs[index(v)] = g.type(v).is_tensor();
  std::vector<ValueId> rows;
  bool any = false;
  for (const Node& node : g.body.nodes) {
    if (hands_on_indices(node.op) && node.has(0) && of_inputs[index(node.inputs[0])])
      of_inputs[index(node.outputs[0])] = true;
    if (node.op != &ops::gather || !g.value(node.inputs[0]).is_constant()) continue;
    if (!of_inputs[index(node.inputs[1])] || !g.type(node.outputs[0]).is_concrete()) continue;
    any = any || static_cast<double>(g.value(node.inputs[0]).constant.size()) >= large_table;
    rows.push_back(node.outputs[0]);
  }
  return any ? rows : std::vector<ValueId>{};
}

bool is_read(const Graph& g, ValueId v) {
  bool read = std::find(g.body.outputs.begin(), g.body.outputs.end(), v) != g.body.outputs.end();
  for_each_node(g.body, [&](const Node& node) {
    read = read || std::find(node.inputs.begin(), node.inputs.end(), v) != node.inputs.end();
    for (const Block& inner : node.blocks)
      read = read || std::find(inner.outputs.begin(), inner.outputs.end(), v) != inner.outputs.end();
  });
  return read;
}

// Inputs that nobody reads any more go, from the graph and from the interface.
void drop_inputs(Function& f) {
  std::erase_if(f.graph->body.inputs, [&](ValueId v) {
    if (is_read(*f.graph, v)) return false;
    std::erase_if(f.interface.inputs, [&](const Feature& x) { return x.name == f.graph->value(v).name; });
    return true;
  });
}

Feature rows_feature(const Graph& g, ValueId v, std::size_t i) {
  Feature feature;
  feature.name = text("rows_{}", i),
  feature.description = "Rows of a table, as the function _embed gives them";
  feature.dtype = g.type(v).dtype, feature.shape = g.type(v).shape;
  return feature;
}

Function embed_of(const Function& f, const std::vector<ValueId>& rows) {
  Function embed = f;
  embed.name += "_embed";
  Graph& g = *embed.graph;
  embed.interface.outputs.clear(), embed.interface.predicted_feature.clear(),
      embed.interface.predicted_probabilities.clear();
  g.body.outputs.clear(), g.output_names.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    embed.interface.outputs.push_back(rows_feature(g, rows[i], i));
    g.add_output(rows[i], embed.interface.outputs.back().name);
    g.value(rows[i]).name = embed.interface.outputs.back().name;
  }
  pass::drop_unused(g);
  drop_inputs(embed);
  return embed;
}

Function body_of(const Function& f, const std::vector<ValueId>& rows) {
  Function body = f;
  body.name += "_body";
  Graph& g = *body.graph;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    body.interface.inputs.push_back(rows_feature(g, rows[i], i));
    Type type = g.type(rows[i]);
    pass::replace_uses(g, rows[i], g.add_input(std::move(type), body.interface.inputs.back().name));
  }
  pass::drop_unused(g);
  drop_inputs(body);
  return body;
}

}  // namespace

std::vector<Function> split_embedding(const Function& f) {
  std::vector<ValueId> rows = rows_of_tables(*f.graph);
  if (rows.empty() || !f.interface.states.empty()) return {};
  return {embed_of(f, rows), body_of(f, rows)};
}

}  // namespace tl
