// SPDX-License-Identifier: Apache-2.0
// An operation as a Core ML program has it, while a reader turns it into a node: what an `upgrade` of OpDef
// works on.
#pragma once
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

}  // namespace tl
