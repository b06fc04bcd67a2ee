// SPDX-License-Identifier: Apache-2.0
// The ways in and out: reshape to factors, transpose, reshape.
#include "pass/layout.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::pass {
namespace {

using Factors = AxisMap::Factors;

// All axes as one, so that factors join as far as they move together.
AxisMap flattened(AxisMap map) {
  Factors all;
  for (const Factors& axis : map.axes) all.insert(all.end(), axis.begin(), axis.end());
  map.axes = {all};
  map.compact();
  return map;
}

Shape lengths_of(const AxisMap& map, const Factors& factors) {
  Shape out;
  for (int f : factors) out.push_back(map.length[static_cast<std::size_t>(f)]);
  return out;
}

// What is held, slowest first.
Factors held_order(const AxisMap& map) {
  Factors order;
  for (Place4 p : {list, batch, channel, y_axis, x_axis})
    order.insert(order.end(), map.places[p].begin(), map.places[p].end());
  return order;
}

// perm with to[i] = from[perm[i]].
std::vector<std::int64_t> perm_between(const Factors& from, const Factors& to) {
  std::vector<std::int64_t> perm;
  for (int f : to) perm.push_back(std::find(from.begin(), from.end(), f) - from.begin());
  return perm;
}

bool is_identity(const std::vector<std::int64_t>& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

// For each index of a place, how far into a constant it reaches.
std::vector<std::int64_t> reach(const AxisMap& map, const Factors& place, const Shape& t, bool& varies) {
  std::vector<std::int64_t> out{0};
  std::size_t skip = map.axes.size() - t.size();
  Shape strides = row_major(t);
  for (int f : place) {
    Dim n = map.length[static_cast<std::size_t>(f)];
    std::int64_t step = 0;
    for (std::size_t d = skip; d < map.axes.size(); ++d) {
      auto at = std::find(map.axes[d].begin(), map.axes[d].end(), f);
      if (at == map.axes[d].end() || t[d - skip] == 1) continue;
      step = map.product(Factors(at + 1, map.axes[d].end())) * strides[d - skip];
      varies = true;
    }
    std::vector<std::int64_t> next;
    for (std::int64_t base : out)
      for (Dim i = 0; i < n; ++i) next.push_back(base + i * step);
    out = std::move(next);
  }
  if (!varies) out.assign(1, 0);
  return out;
}

}  // namespace

const Laid* Layout::laid(ValueId v) const {
  auto found = laid_.find(v);
  return found == laid_.end() ? nullptr : &found->second;
}

void Layout::lay(ValueId v, Laid laid) { laid_[v] = std::move(laid); }

void Layout::settle(ValueId v, ValueId row) {
  laid_.erase(v);
  row_[v] = row;
}

Ex Layout::reshape(const Ex& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return emit(ops::reshape, {x, integers(place_, std::vector<std::int64_t>(shape.begin(), shape.end()))});
}

Ex Layout::transpose(const Ex& x, std::vector<std::int64_t> perm) {
  return is_identity(perm) ? x : emit(ops::transpose, {x}, {{"perm", std::move(perm)}});
}

void Layout::name(const Ex& x, ValueId like, std::string_view ending) {
  Value& made = graph_.value(x.id());
  const std::string& old = graph_.value(like).name;
  if (made.name.empty() && !old.empty()) made.name = text("{}{}", old, ending);
}

ValueId Layout::row(ValueId v) {
  if (v == no_value) return v;
  if (auto found = row_.find(v); found != row_.end()) return found->second;
  const Laid* held = laid(v);
  return held ? row_[v] = materialise(*held, v) : v;
}

ValueId Layout::materialise(const Laid& held, ValueId like) {
  Ex x = ex(held.parts[0]);
  if (held.parts.size() > 1) {
    std::vector<Ex> parts;
    for (ValueId part : held.parts) parts.push_back(ex(part));
    x = emit(ops::concat, parts, attrs_of({{"axis", std::int64_t{0}}}));
  }
  Shape shape = held.map.shape();
  AxisMap flat = flattened(held.map);
  Factors order = held_order(flat), rows, with_repeats = flat.axes[0];
  for (int f : with_repeats)
    if (flat.place_of(f) != repeat) rows.push_back(f);
  std::vector<std::int64_t> perm = perm_between(order, rows);
  if (!is_identity(perm)) x = transpose(reshape(x, lengths_of(flat, order)), std::move(perm));
  if (!flat.places[repeat].empty()) {
    Shape once;
    std::vector<std::int64_t> times;
    for (int f : with_repeats) {
      bool again = flat.place_of(f) == repeat;
      Dim n = flat.length[static_cast<std::size_t>(f)];
      once.push_back(again ? 1 : n), times.push_back(again ? n : 1);
    }
    x = emit(ops::tile, {reshape(x, once), integers(place_, times)});
  }
  x = reshape(x, shape);
  name(x, like, "");
  return x.id();
}

Laid Layout::as(ValueId v, const AxisMap& map) {
  const Laid* held = laid(v);
  if (held && held->map == map) return *held;
  if (graph_.value(v).is_constant()) return held_constant(graph_.value(v).constant, map);
  for (const Laid& known : imported_[v])
    if (known.map == map) return known;
  Laid made = import_value(v, map);
  imported_[v].push_back(made);
  return made;
}

Laid Layout::import_value(ValueId v, AxisMap map) {
  Laid made{map, {}};
  ValueId like = v;
  while (!laid(v) && !row_.contains(v) &&
         producer_.contains(v)) {  // what only moved elements: from before it
    const Node& node = *producer_.at(v);
    ValueId before = node.inputs[0];
    if (!type(before).is_concrete() || graph_.value(before).is_constant()) break;
    if (node.op == &ops::transpose) {
      const auto& perm = node.attrs.integers("perm");
      std::vector<std::int64_t> back(perm.size());
      for (std::size_t i = 0; i < perm.size(); ++i)
        back[static_cast<std::size_t>(wrap_axis(perm[i], perm.size()))] = static_cast<std::int64_t>(i);
      map = permuted(map, back);
    } else {
      std::optional<AxisMap> earlier = reshaped(map, type(before).shape);
      if (!earlier) break;
      map = *earlier;
    }
    v = before;
  }
  Ex x = ex(row(v));
  AxisMap flat = flattened(map);
  Factors order = held_order(flat);
  std::vector<std::int64_t> perm = perm_between(flat.axes[0], order);
  if (!is_identity(perm)) x = transpose(reshape(x, lengths_of(flat, flat.axes[0])), std::move(perm));
  Shape held = made.map.held();
  held[0] *= static_cast<Dim>(made.map.parts());
  x = reshape(x, held);
  name(x, like, "_channels_first");
  if (made.map.parts() == 1) made.parts = {x.id()};
  else
    for (const Ex& part :
         emit_all(ops::split, std::array{x},
                  attrs_of({{"num_splits", std::int64_t(made.map.parts())}, {"axis", std::int64_t{0}}})))
      made.parts.push_back(part.id());
  return made;
}

Laid Layout::held_constant(const Tensor& t, const AxisMap& map) {
  Laid made{map, {}};
  if (t.size() == 1) {
    made.parts.assign(map.parts(), graph_.add_constant(t.reshaped({})));
    return made;
  }
  std::array<std::vector<std::int64_t>, place_count> at;
  Shape held;
  for (Place4 p : {list, batch, channel, y_axis, x_axis}) {
    bool varies = false;
    at[p] = reach(map, map.places[p], t.shape(), varies);
    if (p != list) held.push_back(static_cast<Dim>(at[p].size()));
  }
  std::vector<double> from = to_doubles(t);
  for (std::int64_t base : at[list]) {
    std::vector<double> to;
    for (std::int64_t n : at[batch])
      for (std::int64_t c : at[channel])
        for (std::int64_t y : at[y_axis])
          for (std::int64_t x : at[x_axis])
            to.push_back(from[static_cast<std::size_t>(base + n + c + y + x)]);
    made.parts.push_back(graph_.add_constant(from_doubles(to, t.dtype(), held)));
  }
  if (made.parts.size() == 1) made.parts.resize(map.parts(), made.parts[0]);
  return made;
}

void Layout::remember(const Node& node) {
  bool moves = node.op == &ops::transpose || node.op == &ops::reshape || node.op == &ops::expand_dims ||
               node.op == &ops::squeeze;
  if (moves && type(node.outputs[0]).is_concrete()) producer_[node.outputs[0]] = &node;
}

void Layout::remap(Block& block) {
  for (Node& node : block.nodes) {
    for (ValueId& v : node.inputs) v = row(v);
    for (Block& inner : node.blocks) remap(inner);
  }
  for (ValueId& v : block.outputs) v = row(v);
}

void Layout::keep(const Node& node) {
  Node copy = node;
  for (ValueId& v : copy.inputs) v = row(v);
  for (Block& inner : copy.blocks) remap(inner);
  out_.nodes.push_back(std::move(copy));
}

}  // namespace tl::pass
