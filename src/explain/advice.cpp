// SPDX-License-Identifier: Apache-2.0
// Each rule asked what it concerns; its gain is the estimate without it.
#include "explain/advice.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "ir/mil.h"
#include "op/ops.h"

namespace tl::explain {
namespace {

using enum Mark;
constexpr ModelRule table[] = {
#define MODEL_RULE(id, ...) {#id, __VA_ARGS__},
#include "explain/model_rule.def"
#undef MODEL_RULE
};

constexpr double large_table = 1e6;  // elements; model/split_embedding.h says the same
constexpr double largest_safe = 32768;

// What a rule concerns: nothing is found where `fires` is false.
struct Found {
  bool fires = false;
  std::vector<std::string> operations = {};
  Change change = {};
};

Found in_fp32(const Subject& s) {
  Found found;
  found.change.half = true;
  if (s.scene.half) return found;
  for (const Row& row : s.scene.rows) {
    const OpDef* op = op_named(row.op);
    bool never = !op || op->mil.half > newest_opset || op == &ops::cast;  // casts follow what is around them
    if (!never && place(row, s.scene, {}) != place(row, s.scene, found.change))
      found.operations.push_back(row.name);
  }
  found.fires = !found.operations.empty();
  return found;
}

Found in_old_format(const Subject& s) { return {s.file.type.starts_with("neuralNetwork"), {}, {}}; }

Found in_batches(const Subject& s) {
  Found found;
  for (const Feature& f : s.function.interface.inputs)
    if (f.kind == FeatureKind::tensor && f.shape.size() >= 3 && f.shape[0] > 1 && !f.five) {
      found.fires = true;
      found.change.batch = static_cast<double>(f.shape[0]);
      found.operations.push_back(text("input '{}' {}", f.name, tl::text_of(f.shape)));
    }
  return found;
}

Found of_flexible_shapes(const Subject& s) {
  Found found;
  for (const Feature& f : s.function.interface.inputs)
    if (f.flexible()) found.operations.push_back(text("input '{}'", f.name));
  found.fires = !found.operations.empty();
  return found;
}

Found with_states(const Subject& s) {
  Found found;
  for (const Feature& f : s.function.interface.states) found.operations.push_back(text("state '{}'", f.name));
  found.fires = !found.operations.empty();
  return found;
}

std::string name_of_value(const Graph& g, const Node& node) {
  return node.outputs.empty() ? std::string(node.op->name) : g.value(node.outputs[0]).name;
}

// Whether another function of the model takes the rows of its tables: split_embedding.cpp makes one.
bool is_split(const Subject& s) {
  return std::any_of(s.file.functions.begin(), s.file.functions.end(),
                     [&](const Function& f) { return f.name == s.function.name + "_body"; });
}

Found with_embedding(const Subject& s) {
  Found found;
  if (is_split(s)) return found;
  for_each_node(s.graph.body, [&](const Node& node) {
    if (node.op != &ops::gather && node.op != &ops::gather_along_axis) return;
    bool table_of_words =
        s.facts.constant[index(node.inputs[0])] && elements_of(s.graph.type(node.inputs[0])) >= large_table;
    if (table_of_words) found.operations.push_back(name_of_value(s.graph, node));
  });
  found.fires = !found.operations.empty();
  return found;
}

bool is_large(const Tensor& t) {
  if (!is_float(t.dtype()) || t.size() > (1 << 16)) return false;
  std::vector<double> values = to_doubles(t);
  return std::any_of(values.begin(), values.end(), [](double x) { return !(std::abs(x) <= largest_safe); });
}

Found with_large_constant(const Subject& s) {
  Found found;
  for_each_node(s.graph.body, [&](const Node& node) {
    for (ValueId v : node.inputs)
      if (v != no_value && s.graph.value(v).is_constant() && is_large(s.graph.value(v).constant)) {
        found.operations.push_back(name_of_value(s.graph, node));
        return;
      }
  });
  found.fires = !found.operations.empty();
  return found;
}

Found with_float_literal(const Subject& s) {
  Found found;
  bool mostly_half = false;
  for_each_node(s.graph.body, [&](const Node& node) {
    if (node.outputs.empty()) return;
    const Type& out = s.graph.type(node.outputs[0]);
    mostly_half = mostly_half || (out.is_tensor() && out.dtype == DType::f16 && node.op == &ops::conv);
    bool single = out.is_tensor() && out.dtype == DType::f32 && node.op != &ops::cast;
    if (!single || s.facts.constant[index(node.outputs[0])]) return;
    for (ValueId v : node.inputs)
      if (v != no_value && s.graph.value(v).is_constant() && s.graph.type(v).dtype == DType::f32 &&
          s.graph.value(v).constant.size() == 1)
        found.operations.push_back(name_of_value(s.graph, node));
  });
  found.fires = mostly_half && !found.operations.empty();
  return found;
}

Found for_int8(const Subject&) {
  Found found{true, {}, {}};
  found.change.eight_bit = true;
  return found;
}

Found for_palette(const Subject&) {
  Found found{true, {}, {}};
  found.change.weight_bits = 4;
  return found;
}

struct Question {
  std::string_view id = {};
  Found (*ask)(const Subject&) = nullptr;
  bool only_if_it_gains = false;
};
constexpr Question questions[] = {{"fp32", in_fp32},
                                  {"old_format", in_old_format},
                                  {"batch", in_batches},
                                  {"flexible", of_flexible_shapes},
                                  {"states", with_states},
                                  {"embedding", with_embedding},
                                  {"large_constant", with_large_constant},
                                  {"float_literal", with_float_literal},
                                  {"int8", for_int8, true},
                                  {"palette", for_palette, true}};

// ---- rules of operations, those of one rule together

std::string kinds_of(const std::vector<const Row*>& rows) {
  std::vector<std::string> kinds;
  for (const Row* row : rows)
    if (std::find(kinds.begin(), kinds.end(), row->op) == kinds.end()) kinds.push_back(row->op);
  if (kinds.size() > 4) kinds.resize(4), kinds.back() = "…";
  return join(kinds, ", ");
}

std::string_view verb_of(AneEffect effect) {
  return effect == AneEffect::leaves ? "off the engine" : effect == AneEffect::slows ? "slow" : "at risk";
}

std::string in_model(std::string_view command, const std::string& path) {
  std::string out(command);
  std::size_t at = out.find("MODEL");
  return at == std::string::npos ? out : out.replace(at, 5, path);
}

// Operations are put into the engine's forms where shapes are known.
std::string conversion_of(const Subject& s) {
  for (const Feature& f : s.function.interface.inputs)
    if (f.flexible())
      return in_model(text("tl convert MODEL engine.mlpackage --fix-shape {}=DIMS --for ane", f.name),
                      s.file.path);
  return in_model("tl convert MODEL engine.mlpackage --for ane", s.file.path);
}

void add_rules_of_operations(const Subject& s, double now, std::vector<Advice>& all) {
  std::map<const AneRule*, std::vector<const Row*>> groups;
  for (const Row& row : s.scene.rows)
    for (const AneRule* rule : row.rules)
      if (rule->when.test != AneTest::type_is || !rule->when.word.starts_with("fp"))
        groups[rule].push_back(&row);
  for (const auto& [rule, rows] : groups) {
    if (rule->effect == AneEffect::risks && rule->when.test == AneTest::always) continue;  // in every network
    Advice advice;
    double spent = 0;
    for (const Row* row : rows) advice.operations.push_back(row->name), spent += row->ms;
    if (rule->effect != AneEffect::leaves && spent < 0.02 * now) continue;
    advice.title = text("{}: {}", kinds_of(rows), verb_of(rule->effect));
    advice.why = rule->sentence, advice.source = rule->source, advice.mark = rule->mark;
    advice.python = rule->remedy;
    if (rule->converts) advice.command = conversion_of(s);
    Change change;
    change.lifted.insert(rule);
    if (rule->effect == AneEffect::leaves)
      advice.gain_ms = std::max(0.0, now - estimate(s.scene, change).total);
    if (rule->when.test == AneTest::moves_width) advice.gain_ms = spent;
    all.push_back(std::move(advice));
  }
}

}  // namespace

std::span<const ModelRule> model_rules() { return table; }

std::vector<Advice> advice_on(const Subject& s) {
  std::vector<Advice> all;
  double now = estimate(s.scene).total;
  for (const Question& question : questions) {
    const ModelRule* rule = std::find_if(std::begin(table), std::end(table),
                                         [&](const ModelRule& r) { return r.id == question.id; });
    Found found = question.ask(s);
    if (!found.fires) continue;
    double gain = now - estimate(s.scene, found.change).total;
    if (question.only_if_it_gains && gain < 0.05 * now) continue;
    all.push_back({std::string(rule->title), std::string(rule->why), std::string(rule->source),
                   std::string(rule->python), in_model(rule->command, s.file.path), rule->mark,
                   std::move(found.operations), std::max(gain, 0.0)});
  }
  add_rules_of_operations(s, now, all);
  std::stable_sort(all.begin(), all.end(),
                   [](const Advice& a, const Advice& b) { return a.gain_ms > b.gain_ms + 1e-9; });
  return all;
}

}  // namespace tl::explain
