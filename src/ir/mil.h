// SPDX-License-Identifier: Apache-2.0
// An operation as a Core ML program has it: while a reader turns it into a node (what an `upgrade` of OpDef
// works on), and while the writer turns a node into it (what a `downgrade` works on).
#pragma once
#include <algorithm>
#include <map>
#include <optional>

#include "ir/ex.h"

namespace tl {

struct MilNode {
  Place place;
  std::string type = {};  // "gather"
  std::string name = {};  // of the operation
  int opset = 5;          // 5: CoreML5, iOS 15 … 9: CoreML9, iOS 26
  std::map<std::string, std::vector<ValueId>, std::less<>> inputs = {};  // by MIL name, constants included
  std::map<std::string, AttrValue, std::less<>> given = {};  // attributes of ours that upgrade has settled
  std::vector<Type> declared = {};                           // types of the outputs, as the file says
  std::vector<std::string> outputs = {};

  // What an upgrade needs most. A missing input is no_value / nullptr.
  ValueId input(std::string_view name) const {
    auto found = inputs.find(name);
    return found == inputs.end() || found->second.empty() ? no_value : found->second.front();
  }
  const Tensor* constant(std::string_view name) const {
    ValueId v = input(name);
    return v != no_value && place.graph->value(v).is_constant() ? &place.graph->value(v).constant : nullptr;
  }
  std::optional<std::int64_t> integer(std::string_view name) const {
    const Tensor* t = constant(name);
    return t && t->size() == 1 ? std::optional(to_integers(*t).front()) : std::nullopt;
  }
  const Type& type_of(std::string_view name) const { return place.graph->type(input(name)); }
  Ex ex(std::string_view name) const { return {place, input(name)}; }
  void set_input(std::string_view name, Ex value) {
    inputs.insert_or_assign(std::string(name), std::vector{value.id()});
  }
  void set(std::string_view name, AttrValue value) {
    given.insert_or_assign(std::string(name), std::move(value));
  }
  void drop(std::string_view name) {
    if (auto found = inputs.find(name); found != inputs.end()) inputs.erase(found);
  }
};

// ---- and back

inline constexpr int newest_opset = 9;

struct MilWrite {
  using Operand = std::variant<ValueId, Tensor>;  // a value of the graph, or a constant of its own
  struct Parameter {
    std::string name = {};
    std::vector<Operand> values = {};
    bool list = false;  // its constants are one list, written in place
  };

  const Graph& graph;
  const Node& node;
  int opset = newest_opset;                // of the file
  std::string type = {};                   // "gather"
  int lowest = 5, highest = newest_opset;  // opsets that can say this
  std::vector<Parameter> parameters = {};  // inputs and attributes of the definition, under its names
  std::size_t outputs = 0;                 // how many of the node's files have
  bool as_attributes = false;  // parameters are attributes of the operation, as constants of iOS 16 have them

  void need(int opset_needed) { lowest = std::max(lowest, opset_needed); }
  void at_most(int opset_known) { highest = std::min(highest, opset_known); }
  Parameter* find(std::string_view name) {
    for (Parameter& p : parameters)
      if (p.name == name) return &p;
    return nullptr;
  }
  // The constant that a parameter is; null if it is absent or computed.
  const Tensor* constant(std::string_view name) {
    Parameter* p = find(name);
    if (!p || p->values.size() != 1) return nullptr;
    if (const Tensor* t = std::get_if<Tensor>(&p->values.front())) return t;
    const Value& value = graph.value(std::get<ValueId>(p->values.front()));
    return value.is_constant() ? &value.constant : nullptr;
  }
  void set(std::string_view name, std::vector<Operand> values, bool list = false) {
    Parameter* p = find(name);
    if (!p) p = &parameters.emplace_back();
    *p = {std::string(name), std::move(values), list};
  }
  void set(std::string_view name, Tensor constant) { set(name, std::vector<Operand>{std::move(constant)}); }
  void drop(std::string_view name) {
    std::erase_if(parameters, [&](const Parameter& p) { return p.name == name; });
  }
  void rename(std::string_view from, std::string_view to) {
    if (Parameter* p = find(from)) p->name = to;
  }
};

// For definitions with an attribute `dtype` that files do not have: it is the element type of their numbers.
void downgrade_dtype(MilWrite&);

}  // namespace tl
