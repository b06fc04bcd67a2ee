// SPDX-License-Identifier: Apache-2.0
// Apple's form: a head is a run of channels; keys come first, so that softmax is over the channels.
#include "pass/split_heads.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "op/formulas.h"

namespace tl::pass {
namespace {

using Factors = AxisMap::Factors;

constexpr const char* per_head = "nchw,nwhu->nchu";

// One operand: which factors count batches and heads, which run over the sequence, which are summed.
struct Side {
  AxisMap map = {};
  Factors outer = {}, sequence = {}, depth = {};
};

Side side_of(const AxisMap& map, bool depth_last) {
  Side s{map, {}, {}, {}};
  std::size_t rank = map.axes.size();
  for (std::size_t d = 0; d + 2 < rank; ++d)
    s.outer.insert(s.outer.end(), map.axes[d].begin(), map.axes[d].end());
  s.sequence = map.axes[depth_last ? rank - 2 : rank - 1];
  s.depth = map.axes[depth_last ? rank - 1 : rank - 2];
  return s;
}

// The sequence is x, the depth the inner channels, the rest batches and heads.
bool is_headed(const Side& s) {
  const Factors& channels = s.map.places[channel];
  if (!s.map.places[y_axis].empty() || !s.map.places[list].empty()) return false;
  if (s.sequence != s.map.places[x_axis] || channels.size() < s.depth.size()) return false;
  return std::equal(s.depth.rbegin(), s.depth.rend(), channels.rbegin());
}

// Which of the runs of channels belongs to a head: the heads are counted in the order of `outer`.
std::vector<Dim> runs_of(const Side& s, const std::vector<bool>& is_head) {
  const Factors& channels = s.map.places[channel];
  std::vector<Dim> runs{0};
  for (std::size_t i = 0; i < s.outer.size(); ++i) {
    if (!is_head[i]) continue;
    auto at = std::find(channels.begin(), channels.end(), s.outer[i]);
    Dim step = 0;
    if (at != channels.end()) {
      Factors inner(at + 1, channels.end());
      step = s.map.product(inner) / s.map.product(s.depth);
    }
    std::vector<Dim> next;
    for (Dim base : runs)
      for (Dim k = 0; k < s.map.length[static_cast<std::size_t>(s.outer[i])]; ++k)
        next.push_back(base + k * step);
    runs = std::move(next);
  }
  return runs;
}

// Pairs the outer factors: batches with batches, heads with heads or with what is repeated for them.
bool pair(Side& x, Side& y, std::vector<bool>& is_head) {
  if (!align(x.map, x.outer, y.map, y.outer)) return false;
  Factors batches_x, batches_y;
  for (std::size_t i = 0; i < x.outer.size(); ++i) {
    std::size_t a = x.map.place_of(x.outer[i]), b = y.map.place_of(y.outer[i]);
    is_head.push_back(a != batch);
    if (a == batch && b == batch) batches_x.push_back(x.outer[i]), batches_y.push_back(y.outer[i]);
    else if ((a != channel && a != list) || (b != channel && b != repeat)) return false;
  }
  return batches_x == x.map.places[batch] && batches_y == y.map.places[batch];
}

// What is held, cut into heads; the same cut is made once.
std::vector<Ex> heads_of(Layout& layout, const Laid& held, Dim depth) {
  Ex x = layout.ex(held.parts[0]);
  if (x.shape()[1] == depth) return {x};
  return emit_all(ops::split, std::array{x},
                  attrs_of({{"num_splits", x.shape()[1] / depth}, {"axis", std::int64_t{1}}}));
}

// The outer axes of a product, its factors in the order of x's; heads at `heads_at`.
AxisMap outer_axes(const Side& x, const std::vector<bool>& is_head, std::size_t rank, Place4 heads_at) {
  AxisMap out;
  out.axes.resize(rank);
  std::size_t next = 0;
  Shape lengths;
  for (std::size_t d = 0; d + 2 < rank; ++d) lengths.push_back(x.map.product(x.map.axes[d]));
  for (std::size_t d = 0; d + 2 < rank; ++d)
    for (Dim n = 1; n < lengths[d]; ++next) {
      int f = out.add(x.map.length[static_cast<std::size_t>(x.outer[next])]);
      n *= out.length.back();
      out.axes[d].push_back(f);
      out.places[is_head[next] ? heads_at : batch].push_back(f);
    }
  return out;
}

void put(AxisMap& map, std::size_t axis, Place4 place, Dim n) {
  int f = map.add(n);
  map.axes[axis].push_back(f);
  map.places[place].push_back(f);
}

// Batches must be held in the order of their axes: they are counted that way in the result.
bool in_order(const Factors& batches) { return std::is_sorted(batches.begin(), batches.end()); }

}  // namespace

std::optional<Laid> head_scores(Layout& layout, const Operands& operands, ValueId out) {
  const Laid *q = layout.laid(operands.x), *k = layout.laid(operands.y);
  if (!q || !k || q->map.axes.size() != k->map.axes.size()) return std::nullopt;
  Side x = side_of(q->map, !operands.transposed_x), y = side_of(k->map, operands.transposed_y);
  std::vector<bool> is_head;
  if (!is_headed(x) || !is_headed(y) || !in_order(x.map.places[batch])) return std::nullopt;
  if (!pair(x, y, is_head) || !is_headed(x) || !is_headed(y)) return std::nullopt;
  Dim depth = x.map.product(x.depth);
  if (depth != y.map.product(y.depth)) return std::nullopt;
  std::vector<Dim> of_x = runs_of(x, is_head), of_y = runs_of(y, is_head);
  Laid scores{outer_axes(x, is_head, q->map.axes.size(), list), {}};
  std::size_t rank = q->map.axes.size();
  put(scores.map, rank - 2, x_axis, x.map.product(x.sequence));
  put(scores.map, rank - 1, channel, y.map.product(y.sequence));
  std::unordered_map<Dim, Ex> keys;
  std::vector<Ex> k_heads = heads_of(layout, *k, depth), q_heads = heads_of(layout, *q, depth);
  for (std::size_t h = 0; h < of_x.size(); ++h) {
    Ex& key = keys[of_y[h]];
    if (!key) key = layout.transpose(k_heads[static_cast<std::size_t>(of_y[h])], {0, 3, 2, 1});
    Ex score = emit(ops::einsum, {key, q_heads[static_cast<std::size_t>(of_x[h])]},
                    {{"equation", std::string(per_head)}});
    layout.name(score, out, text("_head_{}", h));
    scores.parts.push_back(score.id());
  }
  scores.map.compact();
  return scores;
}

std::optional<Laid> head_sums(Layout& layout, const Laid& weights, ValueId values, ValueId out) {
  const Laid* v = layout.laid(values);
  std::size_t rank = weights.map.axes.size();
  if (!v || v->map.axes.size() != rank) return std::nullopt;
  Side x = side_of(weights.map, true), by = side_of(v->map, true);
  // weights: queries along x, keys along the channels; values: keys along x, depth along the channels
  if (x.sequence != x.map.places[x_axis] || x.depth != x.map.places[channel] || !x.map.places[y_axis].empty())
    return std::nullopt;
  std::vector<bool> is_head;
  if (!is_headed(by) || !in_order(x.map.places[batch]) || !in_order(x.map.places[list])) return std::nullopt;
  if (!pair(x, by, is_head) || !is_headed(by)) return std::nullopt;
  Dim n_queries = x.map.product(x.sequence), depth = by.map.product(by.depth);
  std::vector<Dim> runs = runs_of(by, is_head);
  if (runs.size() != weights.parts.size()) return std::nullopt;
  std::vector<Ex> heads, v_heads = heads_of(layout, *v, depth);
  for (std::size_t h = 0; h < runs.size(); ++h) {
    heads.push_back(emit(ops::einsum,
                         {v_heads[static_cast<std::size_t>(runs[h])], layout.ex(weights.parts[h])},
                         {{"equation", std::string(per_head)}}));
    layout.name(heads.back(), out, text("_head_{}", h));
  }
  Ex all = heads[0];
  if (heads.size() > 1) all = emit(ops::concat, heads, attrs_of({{"axis", std::int64_t{1}}}));
  layout.name(all, out, "_heads");
  Laid sums{outer_axes(x, is_head, rank, channel), {all.id()}};
  put(sums.map, rank - 2, x_axis, n_queries);
  put(sums.map, rank - 1, channel, depth);
  sums.map.compact();
  return sums;
}

}  // namespace tl::pass
