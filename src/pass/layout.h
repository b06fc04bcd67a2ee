// SPDX-License-Identifier: Apache-2.0
// A graph on its way into the form that the Neural Engine runs best: values held as (batch, channels, y, x)
// beside those that are as they were. Who needs the other form of a value gets it made, once.
#pragma once
#include <unordered_map>

#include "ir/ex.h"
#include "pass/axis_map.h"

namespace tl::pass {

struct Laid {
  AxisMap map = {};
  std::vector<ValueId> parts = {};  // more than one: a tensor per element of map's list
};

class Layout {
 public:
  explicit Layout(Graph& graph) : graph_(graph), place_{&graph, &out_} {}

  Graph& graph() { return graph_; }
  Place place() const { return place_; }
  Block take() { return std::move(out_); }
  const Type& type(ValueId v) const { return graph_.type(v); }

  const Laid* laid(ValueId v) const;    // null: it is as it was
  void lay(ValueId v, Laid laid);       // v is held so from now on
  ValueId row(ValueId v);               // v as it was, made where it is held otherwise
  void settle(ValueId v, ValueId row);  // v is no longer held otherwise
  // v held by this map, whose axes have v's lengths or, for constants, what they are broadcast to.
  Laid as(ValueId v, const AxisMap& map);
  // A constant that is broadcast to what the map holds: of length 1 where it does not vary.
  Laid held_constant(const Tensor&, const AxisMap&);

  void keep(const Node&);  // as it was, on inputs as they were
  // The values that nodes read, for import beyond transposes and reshapes.
  void remember(const Node&);

  Ex ex(ValueId v) const { return {place_, v}; }
  Ex reshape(const Ex& x, const Shape& shape);
  Ex transpose(const Ex& x, std::vector<std::int64_t> perm);
  void name(const Ex& x, ValueId like, std::string_view ending);

 private:
  Laid import_value(ValueId v, AxisMap map);
  ValueId materialise(const Laid&, ValueId like);
  void remap(Block&);

  Graph& graph_;
  Block out_ = {};
  Place place_;
  std::unordered_map<ValueId, Laid> laid_ = {};
  std::unordered_map<ValueId, ValueId> row_ = {};
  std::unordered_map<ValueId, std::vector<Laid>> imported_ = {};
  std::unordered_map<ValueId, const Node*> producer_ = {};  // of transposes and reshapes
};

}  // namespace tl::pass
