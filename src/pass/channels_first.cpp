// SPDX-License-Identifier: Apache-2.0
// Walks the graph once. Products with constant matrices call for values in the new form; from there it
// spreads as far as operations can be done in it.
#include "pass/channels_first.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "op/axes.h"
#include "op/formulas.h"
#include "pass/conv_weight.h"
#include "pass/layout.h"
#include "pass/simplify.h"
#include "pass/split_heads.h"

namespace tl::pass {
namespace {

using Factors = AxisMap::Factors;

std::vector<std::int64_t> places_from(const AxisMap& map, const Factors& factors) {
  std::vector<std::int64_t> out;
  Factors rest = factors;
  for (Place4 p : {batch, channel, y_axis, x_axis}) {
    const Factors& place = map.places[p];
    bool whole =
        !place.empty() && rest.size() >= place.size() && std::equal(place.begin(), place.end(), rest.begin());
    if (!whole) continue;
    out.push_back(p);
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(place.size()));
  }
  return rest.empty() ? out : std::vector<std::int64_t>{};
}

class ChannelsFirst {
 public:
  explicit ChannelsFirst(Graph& graph) : graph_(graph), layout_(graph) {}

  bool run() {
    find_wanted();
    for (const Node& node : graph_.body.nodes) {
      layout_.remember(node);
      if (!concrete(node) || !laid(node)) layout_.keep(node);
      else changed_ = true;
    }
    if (!changed_) return false;
    std::vector<ValueId> outputs = graph_.body.outputs;
    for (ValueId& v : outputs) v = layout_.row(v);
    graph_.body.nodes = std::move(layout_.take().nodes);
    graph_.body.outputs = std::move(outputs);
    drop_unused(graph_);
    merge_duplicates(graph_);
    return true;
  }

 private:
  const Type& type(ValueId v) const { return graph_.type(v); }
  bool is_constant(ValueId v) const { return graph_.value(v).is_constant(); }

  bool concrete(const Node& node) const {
    if (!node.blocks.empty() || node.outputs.empty()) return false;
    auto known = [&](ValueId v) { return v == no_value || (type(v).is_tensor() && type(v).is_concrete()); };
    return std::all_of(node.inputs.begin(), node.inputs.end(), known) &&
           std::all_of(node.outputs.begin(), node.outputs.end(), known);
  }

  // ---- where it begins

  bool has_rows(ValueId v) const {
    const Shape& shape = type(v).shape;
    return shape.size() >= 2 && volume(shape) > shape.back();
  }

  // Values that a product will want in the new form, also through norms and activations before it.
  void find_wanted() {
    wanted_.assign(graph_.value_count(), false);
    for (auto node = graph_.body.nodes.rbegin(); node != graph_.body.nodes.rend(); ++node) {
      if (!concrete(*node)) continue;
      if (is_product(*node) && has_rows(node->inputs[0])) wanted_[index(node->inputs[0])] = true;
      if (!wanted_[index(node->outputs[0])]) continue;
      bool through =
          (has(node->op->traits, Traits::elementwise) && node->op != &ops::cast) || is_norm(node->op);
      ValueId only = through                    ? only_varying(*node)
                     : keeps_last(*node)        ? node->inputs[0]
                     : node->op == &ops::concat ? one_among_constants(*node)
                                                : no_value;
      if (only != no_value) wanted_[index(only)] = true;
    }
  }

  ValueId only_varying(const Node& node) const {
    ValueId found = no_value;
    for (ValueId v : node.inputs) {
      if (v == no_value || is_constant(v)) continue;
      if (found != no_value && found != v) return no_value;
      found = v;
    }
    return found != no_value && type(found).shape == type(node.outputs[0]).shape ? found : no_value;
  }

  // Moves elements, but none along the last axis.
  bool keeps_last(const Node& node) const {
    if (node.op != &ops::transpose && !has(node.op->traits, Traits::view)) return false;
    if (!node.has(0) || is_constant(node.inputs[0]) || !has_rows(node.inputs[0])) return false;
    const Shape &in = type(node.inputs[0]).shape, &out = type(node.outputs[0]).shape;
    bool same = in.size() > 1 && !out.empty() && in.back() == out.back();
    return same && (node.op != &ops::transpose ||
                    wrap_axis(node.attrs.integers("perm").back(), in.size()) + 1 == std::int64_t(in.size()));
  }

  // A sequence that a constant is put before or after.
  ValueId one_among_constants(const Node& node) const {
    ValueId found = no_value;
    bool last = wrap_axis(node.attrs.integer("axis"), type(node.outputs[0]).rank()) + 1 ==
                static_cast<std::int64_t>(type(node.outputs[0]).rank());
    for (ValueId v : node.inputs) {
      if (is_constant(v)) continue;
      if (found != no_value || last) return no_value;
      found = v;
    }
    return found;
  }

  static bool is_norm(const OpDef* op) { return op == &ops::layer_norm || op == &ops::rms_norm; }

  bool is_product(const Node& node) {
    if (!is_float(type(node.outputs[0]).dtype)) return false;
    return node.op == &ops::linear || (node.op == &ops::matmul && !node.attrs.boolean("transpose_x"))
               ? weight_of(node).has_value()
               : false;
  }

  std::optional<ConvWeight> weight_of(const Node& node) {
    bool as_rows = node.op == &ops::linear || node.attrs.boolean("transpose_y");
    return conv_weight(graph_, node.inputs[1], as_rows);
  }

  // ---- one node

  bool laid(const Node& node) {
    const OpDef* op = node.op;
    if (op == &ops::linear) return product(node);
    if (op == &ops::matmul) return product(node) || attention_product(node);
    if (op == &ops::scaled_dot_product_attention) return attention(node);
    const Laid* x = node.has(0) ? layout_.laid(node.inputs[0]) : nullptr;
    if (has(op->traits, Traits::elementwise)) return elementwise(node);
    if (is_norm(op)) return norm(node);
    if (op == &ops::concat) return concat(node);
    if (!x) return false;
    Laid held = *x;  // what follows may lay others
    if (op == &ops::transpose)
      return place_out(node, permuted(held.map, node.attrs.integers("perm")), held.parts);
    if (has(op->traits, Traits::view)) return view(node, held);
    if (op == &ops::softmax) return softmax(node, held);
    if (op == &ops::slice_by_index) return slice(node, held);
    if (op == &ops::split) return split(node, held);
    if (op == &ops::tile) return tile(node, held);
    if (node.attrs.has("keep_dims") && node.attrs.has("axes")) return reduce(node, held);
    return false;
  }

  bool place_out(const Node& node, AxisMap map, std::vector<ValueId> parts) {
    layout_.lay(node.outputs[0], {std::move(map), std::move(parts)});
    return true;
  }

  // The value in a form that `fits`: as it is held, else as sequences usually are.
  template <class Fits> std::optional<Laid> operand(ValueId v, const Fits& fits) {
    const Laid* held = layout_.laid(v);
    if (held && held->parts.size() == 1 && fits(held->map)) return *held;
    std::optional<AxisMap> usual = channels_last(type(v).shape);
    if (!usual || !fits(*usual)) return std::nullopt;
    return layout_.as(v, *usual);
  }

  // linear, and matmul with a constant matrix on the right
  bool product(const Node& node) {
    ValueId x = node.inputs[0];
    if (!is_product(node) || (!layout_.laid(x) && !has_rows(x))) return false;
    auto fits = [](const AxisMap& m) {
      return !m.axes.empty() && m.is_all_of(m.axes.size() - 1, channel) && m.places[repeat].empty();
    };
    std::optional<ConvWeight> weight = weight_of(node);
    if (!has_rows(x) || type(x).shape.back() != weight->inputs) return false;
    std::optional<Laid> in = operand(x, fits);
    if (!in) return false;
    Ex w(layout_.place(), weight->emit(layout_.place()));
    std::vector<Ex> inputs{layout_.ex(in->parts[0]), w};
    if (node.op == &ops::linear && node.has(2)) inputs.push_back(layout_.ex(layout_.row(node.inputs[2])));
    Ex y = emit(ops::conv, inputs, attrs_of({{"pad_type", std::string("valid")}}));
    layout_.name(y, node.outputs[0], "_channels_first");
    AxisMap map = in->map;
    for (int f : Factors(map.places[channel])) map.remove(f);
    int f = map.add(weight->outputs);
    map.axes.back() = {f}, map.places[channel] = {f};
    map.compact();
    return place_out(node, map, {y.id()});
  }

  // Each part of the inputs, computed with the node's operation and these attributes.
  bool each_part(const Node& node, const std::vector<Laid>& inputs, const AxisMap& map, const Attrs& attrs) {
    std::vector<ValueId> parts;
    for (std::size_t p = 0; p < map.parts(); ++p) {
      std::vector<Ex> in;
      for (const Laid& one : inputs) in.push_back(one.parts.empty() ? Ex() : layout_.ex(one.parts[p]));
      Ex y = emit(*node.op, in, attrs);
      layout_.name(y, node.outputs[0], map.parts() > 1 ? text("_head_{}", p) : "_channels_first");
      parts.push_back(y.id());
    }
    return place_out(node, map, std::move(parts));
  }

  // ---- elementwise

  bool elementwise(const Node& node) {
    if (node.op == &ops::cast && type(node.outputs[0]).dtype != type(node.inputs[0]).dtype) return false;
    const Shape& shape = type(node.outputs[0]).shape;
    const Laid* lead = nullptr;
    for (ValueId v : node.inputs)
      if (const Laid* held = layout_.laid(v); held && type(v).shape == shape && !lead) lead = held;
    std::optional<AxisMap> map = lead ? std::optional(lead->map) : std::nullopt;
    if (!map && wanted_[index(node.outputs[0])] && only_varying(node) != no_value) map = channels_last(shape);
    if (!map || !map->places[repeat].empty()) return false;
    std::vector<std::optional<AxisMap>> maps;
    for (ValueId v : node.inputs) {
      std::optional<AxisMap> own = v == no_value || is_constant(v) ? map : restricted(*map, type(v).shape);
      if (!own) return false;
      maps.push_back(own);
    }
    std::vector<Laid> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      inputs.push_back(node.inputs[i] == no_value ? Laid()
                                                  : operand_like(node.inputs[i], *maps[i], map->parts()));
    return each_part(node, inputs, *map, node.attrs);
  }

  // One that has no list is the same for every part.
  Laid operand_like(ValueId v, const AxisMap& map, std::size_t parts) {
    Laid one = layout_.as(v, map);
    if (one.parts.size() == 1) one.parts.resize(parts, ValueId(one.parts[0]));
    return one;
  }

  // ---- norms, softmax, sums over an axis

  bool norm(const Node& node) {
    ValueId x = node.inputs[0];
    const Shape& shape = type(x).shape;
    if (!layout_.laid(x) && !wanted_[index(node.outputs[0])]) return false;
    std::vector<std::int64_t> axes = axes_of(node.attrs, shape.size());
    auto fits = [&](const AxisMap& m) {
      Factors all;
      for (std::int64_t a : axes) {
        const Factors& axis = m.axes[static_cast<std::size_t>(a)];
        all.insert(all.end(), axis.begin(), axis.end());
      }
      return !all.empty() && all == m.places[channel] && m.places[repeat].empty();
    };
    std::optional<Laid> in = operand(x, fits);
    if (!in) return false;
    std::vector<Laid> inputs{*in};
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      if (!node.has(i)) {
        inputs.push_back({});
        continue;
      }
      if (!is_constant(node.inputs[i])) return false;
      const Tensor& t = graph_.value(node.inputs[i]).constant;
      inputs.push_back(
          {{}, {graph_.add_constant(t.reshaped({t.size()}), graph_.value(node.inputs[i]).name)}});
    }
    Attrs attrs = node.attrs;
    attrs.set("axes", std::vector<std::int64_t>{1});
    return each_part(node, inputs, in->map, attrs);
  }

  bool softmax(const Node& node, const Laid& x) {
    auto axis = static_cast<std::size_t>(wrap_axis(node.attrs.integer("axis"), x.map.axes.size()));
    std::vector<std::int64_t> at = places_from(x.map, x.map.axes[axis]);
    if (at.size() != 1 || !x.map.places[repeat].empty()) return false;
    Attrs attrs = node.attrs;
    attrs.set("axis", at[0]);
    return each_part(node, {x}, x.map, attrs);
  }

  bool reduce(const Node& node, const Laid& x) {
    if (node.inputs.size() != 1 || !x.map.places[repeat].empty()) return false;
    std::vector<std::int64_t> axes = axes_of(node.attrs, x.map.axes.size());
    Factors all;
    for (std::int64_t a : axes) {
      const Factors& axis = x.map.axes[static_cast<std::size_t>(a)];
      all.insert(all.end(), axis.begin(), axis.end());
    }
    std::vector<std::int64_t> at = places_from(x.map, all);
    if (at.empty()) return false;
    Attrs attrs = node.attrs;
    attrs.set("axes", at), attrs.set("keep_dims", true);
    AxisMap map = x.map;
    for (int f : all) map.remove(f);
    if (!node.attrs.boolean("keep_dims"))
      for (auto a = axes.rbegin(); a != axes.rend(); ++a) map.axes.erase(map.axes.begin() + *a);
    map.compact();
    each_part(node, {x}, map, attrs);
    return back_if_short(node, map);
  }

  // A single vector of channels gains nothing from the form, and a last axis of 1 costs.
  bool back_if_short(const Node& node, const AxisMap& map) {
    if (map.places[x_axis].empty() && map.places[y_axis].empty()) {
      ValueId row = layout_.row(node.outputs[0]);
      layout_.settle(node.outputs[0], row);
    }
    return true;
  }

  // ---- moving

  bool view(const Node& node, const Laid& x) {
    std::optional<AxisMap> map = reshaped(x.map, type(node.outputs[0]).shape);
    return map && place_out(node, *map, x.parts);
  }

  // x with an axis apart: [before.., inside, after] of the place that holds all of it.
  struct Apart {
    Ex x = {};
    std::int64_t axis = 0;
    Shape held = {};  // as it was
  };

  std::optional<Apart> apart(const Laid& x, const Factors& axis) {
    if (axis.empty() || x.parts.size() != 1) return std::nullopt;
    std::size_t p = x.map.place_of(axis[0]);
    if (p > x_axis) return std::nullopt;
    const Factors& place = x.map.places[p];
    auto at = std::find(place.begin(), place.end(), axis[0]);
    if (place.end() - at < static_cast<std::ptrdiff_t>(axis.size()) ||
        !std::equal(axis.begin(), axis.end(), at))
      return std::nullopt;
    Dim before = x.map.product(Factors(place.begin(), at));
    Dim after = x.map.product(Factors(at + static_cast<std::ptrdiff_t>(axis.size()), place.end()));
    Apart out{layout_.ex(x.parts[0]), static_cast<std::int64_t>(p), x.map.held()};
    if (before == 1 && after == 1) return out;
    if (p != channel || !x.map.places[y_axis].empty()) return std::nullopt;
    Shape shape{out.held[0], before, x.map.product(axis), after, out.held[3]};
    if (after == 1) shape.erase(shape.begin() + 3);
    out.x = layout_.reshape(out.x, shape);
    out.axis = 2;
    return out;
  }

  // The axis of `map` now has this length; it has been one run of a place.
  static void resize(AxisMap& map, std::size_t axis, Dim length) {
    Factors old = map.axes[axis];
    map.length[static_cast<std::size_t>(old[0])] = length;
    for (std::size_t i = 1; i < old.size(); ++i) map.remove(old[i]);
  }

  struct Cut {  // a slice that changes one axis
    std::size_t axis = 0;
    std::int64_t begin = 0, end = 0, step = 1;
  };

  std::optional<Cut> cut_of(const Node& node) const {
    const Shape& shape = type(node.inputs[0]).shape;
    if (!is_constant(node.inputs[1]) || !is_constant(node.inputs[2])) return std::nullopt;
    std::vector<std::int64_t> begin = to_integers(graph_.value(node.inputs[1]).constant),
                              end = to_integers(graph_.value(node.inputs[2]).constant);
    std::size_t n = shape.size();
    auto mask = [&](std::string_view name, std::size_t d, std::int64_t otherwise) {
      return node.attrs.has(name) ? node.attrs.integers(name)[d] : otherwise;
    };
    std::optional<Cut> cut;
    for (std::size_t d = 0; d < n; ++d) {
      std::int64_t step = mask("stride", d, 1), from = begin[d], to = end[d];
      if (step < 1) return std::nullopt;
      from = std::clamp<std::int64_t>(from + (from < 0 ? shape[d] : 0), 0, shape[d]);
      to = std::clamp<std::int64_t>(to + (to < 0 ? shape[d] : 0), 0, shape[d]);
      if (mask("begin_mask", d, 0)) from = 0;
      if (mask("end_mask", d, 0)) to = shape[d];
      if (mask("squeeze_mask", d, 0)) to = from + 1, step = 1;
      if (from == 0 && to == shape[d] && step == 1) continue;
      if (cut || from >= to) return std::nullopt;
      cut = Cut{d, from, to, step};
    }
    return cut;
  }

  Ex cut_out(const Apart& from, const Cut& cut) {
    std::size_t rank = from.x.shape().size();
    std::vector<std::int64_t> begin(rank, 0), end(from.x.shape().begin(), from.x.shape().end()),
        step(rank, 1);
    auto at = static_cast<std::size_t>(from.axis);
    begin[at] = cut.begin, end[at] = cut.end, step[at] = cut.step;
    Ex b = integers(layout_.place(), begin), e = integers(layout_.place(), end);
    return cut.step == 1 ? emit(ops::slice_by_index, {from.x, b, e})
                         : emit(ops::slice_by_index, {from.x, b, e}, {{"stride", step}});
  }

  bool slice(const Node& node, const Laid& x) {
    std::optional<Cut> cut = cut_of(node);
    std::optional<Apart> from = cut ? apart(x, x.map.axes[cut->axis]) : std::nullopt;
    if (!from) return false;
    AxisMap map = x.map;
    resize(map, cut->axis, (cut->end - cut->begin + cut->step - 1) / cut->step);
    map.compact();
    Ex y = layout_.reshape(cut_out(*from, *cut), map.held());
    layout_.name(y, node.outputs[0], "_channels_first");
    std::optional<AxisMap> out = reshaped(map, type(node.outputs[0]).shape);  // axes that are squeezed away
    if (!out) return false;
    place_out(node, *out, {y.id()});
    return back_if_short(node, *out);
  }

  bool split(const Node& node, const Laid& x) {
    auto axis = static_cast<std::size_t>(wrap_axis(node.attrs.integer("axis"), x.map.axes.size()));
    std::optional<Apart> from = apart(x, x.map.axes[axis]);
    if (!from) return false;
    Attrs attrs = node.attrs;
    attrs.set("axis", from->axis);
    std::vector<Ex> parts = emit_all(*node.op, std::array{from->x}, attrs);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      AxisMap map = x.map;
      resize(map, axis, type(node.outputs[i]).shape[axis]);
      map.compact();
      Ex y = layout_.reshape(parts[i], map.held());
      layout_.name(y, node.outputs[i], "_channels_first");
      layout_.lay(node.outputs[i], {map, {y.id()}});
    }
    return true;
  }

  bool concat(const Node& node) {
    const Shape& shape = type(node.outputs[0]).shape;
    if (shape.empty() || node.attrs.boolean("interleave")) return false;
    auto axis = static_cast<std::size_t>(wrap_axis(node.attrs.integer("axis"), shape.size()));
    std::optional<AxisMap> map;
    for (ValueId v : node.inputs)
      if (const Laid* held = layout_.laid(v); held && !map && !held->map.axes[axis].empty() &&
                                              held->map.places[repeat].empty() && held->parts.size() == 1)
        map = held->map;
    if (!map && wanted_[index(node.outputs[0])] && one_among_constants(node) != no_value)
      map = channels_last(shape);
    if (!map || map->axes[axis].empty()) return false;
    std::vector<std::pair<Laid, Apart>> pieces;
    for (ValueId v : node.inputs) {
      AxisMap own = *map;
      resize(own, axis, type(v).shape[axis]);
      AxisMap wide = own;  // where a length of 1 is a place too
      own.compact();
      std::optional<Apart> piece;
      Laid held = is_constant(v) ? Laid{own, {full_constant(v, own)}} : layout_.as(v, own);
      held.map = wide;
      piece = apart(held, wide.axes[axis]);
      if (!piece) return false;
      pieces.emplace_back(held, *piece);
    }
    return join(node, *map, axis, pieces);
  }

  ValueId full_constant(ValueId v, const AxisMap& map) {
    const Tensor& t = graph_.value(v).constant;
    Laid held = layout_.held_constant(t, map);
    if (graph_.type(held.parts[0]).shape == map.held()) return held.parts[0];
    std::vector<double> all(static_cast<std::size_t>(volume(map.held())), to_doubles(t)[0]);
    TL_ASSERT(t.size() == 1);
    return graph_.add_constant(from_doubles(all, t.dtype(), map.held()));
  }

  bool join(const Node& node, AxisMap map, std::size_t axis,
            const std::vector<std::pair<Laid, Apart>>& pieces) {
    std::vector<Ex> inputs;
    for (const auto& [held, piece] : pieces) inputs.push_back(piece.x);
    Ex all = emit(ops::concat, inputs, attrs_of({{"axis", pieces[0].second.axis}}));
    resize(map, axis, type(node.outputs[0]).shape[axis]);
    map.compact();
    Ex y = layout_.reshape(all, map.held());
    layout_.name(y, node.outputs[0], "_channels_first");
    return place_out(node, map, {y.id()});
  }

  // Repeated as a whole, as for queries that share their keys: noted, not done.
  bool tile(const Node& node, const Laid& x) {
    if (!is_constant(node.inputs[1]) || x.parts.size() != 1) return false;
    std::vector<std::int64_t> times = to_integers(graph_.value(node.inputs[1]).constant);
    AxisMap map = x.map;
    for (std::size_t d = 0; d < times.size(); ++d) {
      if (times[d] == 1) continue;
      int f = map.add(times[d]);
      map.axes[d].insert(map.axes[d].begin(), f);
      map.places[repeat].push_back(f);
    }
    map.compact();
    return place_out(node, map, x.parts);
  }

  // ---- attention

  bool attention_product(const Node& node) {
    ValueId x = node.inputs[0], y = node.inputs[1];
    if (is_constant(x) || is_constant(y)) return false;
    bool flip_x = node.attrs.boolean("transpose_x"), flip_y = node.attrs.boolean("transpose_y");
    std::optional<Laid> made = head_scores(layout_, {x, y, flip_x, flip_y}, node.outputs[0]);
    const Laid* weights = layout_.laid(x);
    if (!made && weights && !flip_x && !flip_y) made = head_sums(layout_, Laid(*weights), y, node.outputs[0]);
    if (!made) return false;
    layout_.lay(node.outputs[0], *made);
    return true;
  }

  // [B, H, S, D] with its heads among the channels.
  static std::optional<AxisMap> headed(const Shape& shape) {
    if (shape.size() < 3 || shape.size() > 4) return std::nullopt;
    AxisMap map;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      int f = map.add(shape[d]);
      map.axes.push_back({f});
      map.places[d == 0 ? batch : d + 2 == shape.size() ? x_axis : channel].push_back(f);
    }
    map.compact();
    return map;
  }

  void lay_headed(ValueId v) {
    if (layout_.laid(v)) return;
    if (std::optional<AxisMap> map = headed(type(v).shape)) layout_.lay(v, layout_.as(v, *map));
  }

  bool attention(const Node& node) {
    ValueId q = node.inputs[0], k = node.inputs[1], v = node.inputs[2];
    std::size_t rank = type(q).rank();
    if (rank < 3 || rank > 4 || type(k).rank() != rank || type(v).rank() != rank) return false;
    for (ValueId one : {q, k, v}) {
      if (is_constant(one)) return false;
      lay_headed(one);
    }
    std::optional<Laid> scores = head_scores(layout_, {q, k, false, true}, node.outputs[0]);
    if (!scores) return false;
    DType d = type(q).dtype;
    std::optional<Laid> mask = node.has(3) ? mask_for(node.inputs[3], scores->map, d) : std::nullopt;
    if (node.has(3) && !mask) return false;
    double scale = 1 / std::sqrt(static_cast<double>(type(q).shape.back()));
    for (std::size_t h = 0; h < scores->parts.size(); ++h) {
      Ex s = layout_.ex(scores->parts[h]) * Ex(scale);
      if (mask) s = s + layout_.ex(mask->parts[h]);
      scores->parts[h] = emit(ops::softmax, {s}, {{"axis", std::int64_t{1}}}).id();
    }
    std::optional<Laid> sums = head_sums(layout_, *scores, v, node.outputs[0]);
    if (!sums) return false;
    layout_.lay(node.outputs[0], *sums);
    return true;
  }

  // What is added to the scores: 0 where a mask of booleans keeps, -4e4 where it does not.
  std::optional<Laid> mask_for(ValueId v, const AxisMap& map, DType of_scores) {
    ValueId additive = v;
    if (type(v).dtype == DType::boolean) {
      if (is_constant(v)) {
        std::vector<double> keep = to_doubles(graph_.value(v).constant);
        for (double& x : keep) x = x != 0 ? 0 : -4e4;
        additive = graph_.add_constant(from_doubles(keep, of_scores, type(v).shape));
      } else {
        Ex kept = cast(layout_.ex(layout_.row(v)), of_scores);
        additive = ((kept - 1) * 4e4).id();
      }
    }
    std::optional<AxisMap> own = is_constant(additive) ? std::optional(map) : restricted(map, type(v).shape);
    if (!own) return std::nullopt;
    return operand_like(additive, *own, map.parts());
  }

  Graph& graph_;
  Layout layout_;
  std::vector<bool> wanted_ = {};
  bool changed_ = false;
};

}  // namespace

bool channels_first(Graph& graph) { return ChannelsFirst(graph).run(); }

}  // namespace tl::pass
