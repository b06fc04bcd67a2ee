// SPDX-License-Identifier: Apache-2.0
// The way back of program.cpp. Constants stand at the level of the function, before the operation that reads
// them; names are unique in a function, blocks included.
#include "format/coreml/program_write.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/bind.h"
#include "format/coreml/proto_write.h"
#include "format/coreml/unbind.h"
#include "format/coreml/value_write.h"
#include "op/ops.h"
#include "pass/expand.h"

namespace tl::coreml {
namespace {

constexpr int ios18 = 8;

std::string context_of(const Node& node) { return text("{} '{}'", node.op->name, printable(node.name)); }

// Graphs may have operations that MIL has not, and outputs that no operation of their own gives.
Graph graph_for_mil(const Graph& from) {
  Graph graph = from;
  pass::expand(graph, [](const OpDef& op) { return op.mil.name.empty(); });
  std::unordered_map<ValueId, std::string> given;
  for (ValueId v : graph.body.inputs) given[v] = graph.value(v).name;
  for (std::size_t i = 0; i < graph.body.outputs.size(); ++i) {
    ValueId& v = graph.body.outputs[i];
    const std::string& name = graph.output_names[i];
    auto [known, fresh] = given.try_emplace(v, name);
    if (fresh || known->second == name) continue;
    v = graph.add_node(graph.body, ops::identity, {v}, {}, {name}).outputs.front();
  }
  return graph;
}

// ---- names

class Names {
 public:
  void reserve(const std::string& name) { taken_.insert(name); }
  std::string fresh(std::string_view wanted) {
    std::string name;
    for (char c : wanted) name += is_word(c) ? c : '_';
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) name.insert(name.begin(), '_');
    std::string first = name;
    for (int& k = count_[first]; !taken_.insert(name).second;) name = text("{}_{}", first, k++);
    return name;
  }

 private:
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '@';
  }
  std::unordered_set<std::string> taken_ = {};
  std::unordered_map<std::string, int> count_ = {};
};

// ---- one function

class FunctionWriter {
 public:
  FunctionWriter(const Graph& graph, int opset, BlobWriter& blobs)
      : graph_(graph), opset_(opset), blobs_(blobs), names_(graph.value_count()) {}

  void write(Writer& to) {
    reserve_interface();
    for (ValueId v : graph_.body.inputs) write_named_type(to, 1, name_of(v), graph_.type(v));
    add_text(to, 2, text("CoreML{}", opset_));
    std::string body = block(graph_.body, true);
    add_message(to, 3, [&](Writer& entry) {
      add_text(entry, 1, text("CoreML{}", opset_));
      entry.add_message(2, body);
    });
  }

 private:
  void reserve_interface() {
    for (ValueId v : graph_.body.inputs) used_.reserve(names_[index(v)] = graph_.value(v).name);
    for (std::size_t i = 0; i < graph_.body.outputs.size(); ++i)
      used_.reserve(names_[index(graph_.body.outputs[i])] = graph_.output_names[i]);
  }

  const std::string& name_of(ValueId v, std::string_view otherwise = {}) {
    std::string& name = names_[index(v)];
    if (name.empty()) name = used_.fresh(graph_.value(v).name.empty() ? otherwise : graph_.value(v).name);
    return name;
  }

  // The name to read a value by; a constant is written before its first reader.
  const std::string& use(ValueId v, std::string_view otherwise) {
    if (unwritten_.count(v))
      throw Error(Code::unsupported, text("'{}' cannot be written: files of this opset have no such output",
                                          printable(graph_.value(v).name)));
    const std::string& name = name_of(v, otherwise);
    if (graph_.value(v).is_constant() && written_.insert(v).second) constant(name, graph_.value(v).constant);
    return name;
  }

  void constant(const std::string& name, const Tensor& t) {
    add_message(body_, 3, [&](Writer& op) {
      add_text(op, 1, "const");
      write_named_type(op, 3, name, t.type());
      name_attribute(op, name);
      add_entry(op, 5, "val", [&](Writer& value) { write_constant(value, t, opset_, blobs_); });
    });
  }

  static void name_attribute(Writer& op, const std::string& name) {
    add_entry(op, 5, "name", [&](Writer& value) { write_tensor_value(value, from_strings({name}, {})); });
  }

  std::string block(const Block& b, bool whole = false) {
    std::string bytes;
    Writer to(bytes);
    if (!whole)
      for (ValueId v : b.inputs) write_named_type(to, 1, name_of(v, "loop_var"), graph_.type(v));
    for (const Node& node : b.nodes) {
      std::string op = with_note([&] { return context_of(node); }, [&] { return operation(node); });
      (whole ? body_ : to).add_message(3, op);
    }
    for (ValueId v : b.outputs) add_text(to, 2, use(v, "output"));
    return whole ? body_bytes_ + bytes : bytes;
  }

  std::string operation(const Node& node) {
    MilWrite m = mil_write(graph_, node, opset_);
    std::string first = node.name.empty() ? m.type : node.name;
    if (!node.outputs.empty()) first = name_of(node.outputs.front(), first);
    return message([&](Writer& op) {
      add_text(op, 1, m.type);
      bool fixed = m.type.rfind("constexpr_", 0) == 0;  // whose constants are written in place
      for (const MilWrite::Parameter& p : m.parameters)
        if (!m.as_attributes) argument(op, p, first, fixed);
      for (std::size_t i = m.outputs; i < node.outputs.size(); ++i) unwritten_.insert(node.outputs[i]);
      for (std::size_t i = 0; i < m.outputs; ++i)
        write_named_type(op, 3, name_of(node.outputs[i], text("{}_{}", first, i)),
                         graph_.type(node.outputs[i]));
      for (const Block& inner : node.blocks) op.add_message(4, block(inner));
      name_attribute(op, node.name.empty() ? first : node.name);
      for (const MilWrite::Parameter& p : m.parameters)
        if (m.as_attributes) attribute(op, p);
    });
  }

  const Tensor* tensor_of(const MilWrite::Operand& operand) const {
    if (const Tensor* t = std::get_if<Tensor>(&operand)) return t;
    const Value& value = graph_.value(std::get<ValueId>(operand));
    return value.is_constant() ? &value.constant : nullptr;
  }

  void argument(Writer& op, const MilWrite::Parameter& p, const std::string& owner, bool fixed) {
    add_entry(op, 2, p.name, [&](Writer& argument) {
      if (p.list) return list_binding(argument, p);
      for (const MilWrite::Operand& operand : p.values) {
        const Tensor* t = tensor_of(operand);
        if (fixed && t)
          add_message(argument, 1, [&](Writer& binding) {
            add_message(binding, 2, [&](Writer& v) { write_constant(v, *t, opset_, blobs_); });
          });
        else
          add_message(argument, 1,
                      [&](Writer& binding) { add_text(binding, 1, operand_name(operand, p, owner)); });
      }
    });
  }

  std::string operand_name(const MilWrite::Operand& operand, const MilWrite::Parameter& p,
                           const std::string& owner) {
    std::string wanted = text("{}_{}", owner, p.name);
    if (const ValueId* v = std::get_if<ValueId>(&operand)) return use(*v, wanted);
    std::string name = used_.fresh(wanted);
    constant(name, std::get<Tensor>(operand));
    return name;
  }

  void list_binding(Writer& argument, const MilWrite::Parameter& p) {
    std::vector<Tensor> items;
    for (const MilWrite::Operand& operand : p.values) items.push_back(std::get<Tensor>(operand));
    add_message(argument, 1, [&](Writer& binding) {
      add_message(binding, 2, [&](Writer& value) { write_list_value(value, items); });
    });
  }

  void attribute(Writer& op, const MilWrite::Parameter& p) {
    const Tensor* t = tensor_of(p.values.front());
    if (!t) throw Error(Code::unsupported, text("'{}' must be constant in files of iOS 16 and 17", p.name));
    add_entry(op, 5, p.name, [&](Writer& value) { write_constant(value, *t, opset_, blobs_); });
  }

  const Graph& graph_;
  int opset_;
  BlobWriter& blobs_;
  std::vector<std::string> names_;
  std::string body_bytes_ = {};
  Writer body_{body_bytes_};
  Names used_ = {};
  std::unordered_set<ValueId> written_ = {};    // constants
  std::unordered_set<ValueId> unwritten_ = {};  // outputs that files do not have
};

// ---- which opset

struct Bound {
  int opset = 5;
  std::string why = {};
};

class Range {
 public:
  explicit Range(int own) : own_(own) {}

  void graph(const Graph& g) {
    for (ValueId v : g.body.inputs) lowest(oldest_opset(g.type(v)), [&] { return g.value(v).name; });
    for_each_node(g.body, [&](const Node& node) {
      MilWrite m = with_note([&] { return context_of(node); }, [&] { return mil_write(g, node, own_); });
      lowest(m.lowest, [&] { return context_of(node); });
      if (m.highest < highest_.opset) highest_ = {m.highest, context_of(node)};
    });
  }

  void interface(const Interface& i) {
    for (const auto* features : {&i.inputs, &i.outputs, &i.states})
      for (const Feature& f : *features) {
        bool half = f.dtype == DType::f16 && f.kind != FeatureKind::state;
        lowest(f.dtype == DType::i8 ? 9 : half ? 6 : 5, [&] { return text("feature '{}'", f.name); });
      }
  }

  void several_functions() {
    lowest(ios18, [] { return std::string("a model of several functions"); });
  }

  int chosen() const {
    int opset = std::max(own_, lowest_.opset);
    if (opset <= highest_.opset) return opset;
    if (lowest_.why.empty())
      throw Error(Code::unsupported, text("{} cannot be written for opset CoreML{}", highest_.why, opset));
    throw Error(Code::unsupported,
                text("no opset of Core ML has both: {} needs CoreML{} or later, {} CoreML{} or earlier",
                     lowest_.why, lowest_.opset, highest_.why, highest_.opset));
  }

 private:
  template <class Why> void lowest(int opset, const Why& why) {
    if (opset > lowest_.opset) lowest_ = {opset, why()};
  }
  int own_;
  Bound lowest_ = {};
  Bound highest_{newest_opset, {}};
};

const Graph& needed_graph(const Function& f) {
  if (f.graph) return *f.graph;
  throw Error(Code::unsupported, f.why_not.empty() ? "it has no program" : f.why_not);
}

}  // namespace

int opset_of(const ModelFile& file) {
  int own = 5;
  for (const Function& f : file.functions)
    if (!f.opset.empty()) own = std::max(own, opset_number(f.opset));
  Range range(own);
  for (const Function& f : file.functions) {
    range.graph(graph_for_mil(needed_graph(f)));
    range.interface(f.interface);
  }
  if (file.functions.size() > 1) range.several_functions();
  return range.chosen();
}

std::string program_message(const ModelFile& file, int opset, BlobWriter& blobs) {
  return message([&](Writer& program) {
    program.add_int64(1, 1);
    for (const Function& f : file.functions)
      with_note([&] { return text("function '{}'", printable(f.name)); },
                [&] {
                  Graph graph = graph_for_mil(needed_graph(f));
                  add_entry(program, 2, f.name,
                            [&](Writer& function) { FunctionWriter(graph, opset, blobs).write(function); });
                });
  });
}

}  // namespace tl::coreml
