// SPDX-License-Identifier: Apache-2.0
// Formulas over graph values: gradients, decompositions, lowerings are written with it. Every operation is
// emit(ops::name, {inputs}, {attributes}); elementwise rows are functions of their own in op/formulas.h.
#pragma once
#include "ir/graph.h"

namespace tl {

// Where new nodes go: the end of a block.
struct Place {
  Graph* graph = nullptr;
  Block* block = nullptr;
};

class Ex {
 public:
  Ex() = default;  // nothing: an absent input, a gradient that is none
  Ex(Place place, ValueId id) : place_(place), id_(id) {}
  Ex(double number) : number_(number), literal_(true) {}  // implicit: lets `1 - y` read as written
  explicit operator bool() const { return literal_ || id_ != no_value; }
  bool is_literal() const { return literal_; }
  double number() const { return number_; }
  Place place() const { return place_; }
  ValueId id() const { return id_; }
  const Type& type() const { return place_.graph->type(id_); }
  const Shape& shape() const { return type().shape; }
  const Tensor* constant() const {
    const Value& v = place_.graph->value(id_);
    return v.is_constant() ? &v.constant : nullptr;
  }

 private:
  Place place_ = {};
  ValueId id_ = no_value;
  double number_ = 0;
  bool literal_ = false;
};

using Named = std::initializer_list<std::pair<std::string_view, AttrValue>>;

// Adds a node after what its inputs need and gives its outputs; a literal becomes a constant of the element
// type of the first input that is a value. At least one input must be a value.
std::vector<Ex> emit_all(const OpDef&, std::span<const Ex> inputs, const Attrs& = {});
std::vector<Ex> emit_all_at(Place, const OpDef&, std::span<const Ex> inputs, const Attrs& = {});
Ex emit(const OpDef&, std::initializer_list<Ex> inputs, Named attrs = {});
Ex emit(const OpDef&, std::span<const Ex> inputs, const Attrs& attrs);

Ex constant(Place, Tensor);
Ex integers(Place, std::vector<std::int64_t>);  // int32, rank 1
Attrs attrs_of(Named);

}  // namespace tl
