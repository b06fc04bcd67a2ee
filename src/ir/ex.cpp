// SPDX-License-Identifier: Apache-2.0
// Emitting nodes for formulas over graph values.
#include "ir/ex.h"

#include <algorithm>

#include "base/error.h"

namespace tl {

Attrs attrs_of(Named named) {
  Attrs attrs;
  for (const auto& [name, value] : named) attrs.set(name, value);
  return attrs;
}

Ex constant(Place place, Tensor tensor) { return {place, place.graph->add_constant(std::move(tensor))}; }

Ex integers(Place place, std::vector<std::int64_t> values) {
  Shape shape{static_cast<Dim>(values.size())};
  return constant(place, from_integers(values, DType::i32, std::move(shape)));
}

std::vector<Ex> emit_all_at(Place place, const OpDef& op, std::span<const Ex> inputs, const Attrs& attrs) {
  DType literal = DType::f32;
  for (const Ex& x : inputs) {
    if (!x || x.is_literal() || x.type().dtype == DType::boolean) continue;
    literal = x.type().dtype;
    break;
  }
  std::vector<ValueId> ids;
  for (const Ex& x : inputs)
    ids.push_back(x.is_literal() ? place.graph->add_constant(scalar(x.number(), literal)) : x.id());
  std::vector<Ex> outputs;
  for (ValueId v : place.graph->add_node(*place.block, op, std::move(ids), attrs).outputs)
    outputs.push_back({place, v});
  return outputs;
}

std::vector<Ex> emit_all(const OpDef& op, std::span<const Ex> inputs, const Attrs& attrs) {
  auto value = std::find_if(inputs.begin(), inputs.end(), [](const Ex& x) { return x && !x.is_literal(); });
  TL_ASSERT(value != inputs.end());
  return emit_all_at(value->place(), op, inputs, attrs);
}

Ex emit(const OpDef& op, std::span<const Ex> inputs, const Attrs& attrs) {
  return emit_all(op, inputs, attrs).front();
}

Ex emit(const OpDef& op, std::initializer_list<Ex> inputs, Named attrs) {
  return emit(op, std::span<const Ex>(inputs.begin(), inputs.size()), attrs_of(attrs));
}

}  // namespace tl
