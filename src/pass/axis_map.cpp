// SPDX-License-Identifier: Apache-2.0
// Lists of factors, split and joined.
#include "pass/axis_map.h"

#include <algorithm>

namespace tl::pass {
namespace {

using Factors = AxisMap::Factors;

bool contains(const Factors& all, int f) { return std::find(all.begin(), all.end(), f) != all.end(); }

void insert_after(Factors& all, int f, int made) {
  auto at = std::find(all.begin(), all.end(), f);
  if (at != all.end()) all.insert(at + 1, made);
}

bool follows(const AxisMap& m, int first, int second) {
  const Factors& place = m.places[m.place_of(first)];
  auto at = std::find(place.begin(), place.end(), first);
  return at + 1 != place.end() && *(at + 1) == second;
}

}  // namespace

Dim AxisMap::product(const Factors& factors) const {
  Dim n = 1;
  for (int f : factors) n *= length[static_cast<std::size_t>(f)];
  return n;
}

Shape AxisMap::shape() const {
  Shape out;
  for (const Factors& axis : axes) out.push_back(product(axis));
  return out;
}

Shape AxisMap::held() const {
  return {product(places[batch]), product(places[channel]), product(places[y_axis]), product(places[x_axis])};
}

std::size_t AxisMap::place_of(int factor) const {
  std::size_t p = 0;
  while (p + 1 < place_count && !contains(places[p], factor)) ++p;
  return p;
}

bool AxisMap::is_all_of(std::size_t axis, Place4 place) const { return axes[axis] == places[place]; }

int AxisMap::add(Dim n) {
  length.push_back(n);
  return static_cast<int>(length.size()) - 1;
}

int AxisMap::split(int factor, Dim inner) {
  int made = add(inner);
  length[static_cast<std::size_t>(factor)] /= inner;
  for (Factors& axis : axes) insert_after(axis, factor, made);
  for (Factors& place : places) insert_after(place, factor, made);
  return made;
}

void AxisMap::remove(int factor) {
  for (Factors& axis : axes) std::erase(axis, factor);
  for (Factors& place : places) std::erase(place, factor);
}

void AxisMap::compact() {
  for (int f = 0; f < static_cast<int>(length.size()); ++f)
    if (length[static_cast<std::size_t>(f)] == 1) remove(f);
  for (Factors& axis : axes)
    for (std::size_t i = 0; i + 1 < axis.size();) {
      int first = axis[i], second = axis[i + 1];
      if (!follows(*this, first, second)) {
        ++i;
        continue;
      }
      length[static_cast<std::size_t>(first)] *= length[static_cast<std::size_t>(second)];
      remove(second);
    }
  std::vector<int> now(length.size(), -1);
  std::vector<Dim> lengths;
  for (Factors& axis : axes)
    for (int& f : axis) {
      lengths.push_back(length[static_cast<std::size_t>(f)]);
      f = now[static_cast<std::size_t>(f)] = static_cast<int>(lengths.size()) - 1;
    }
  for (Factors& place : places)
    for (int& f : place) f = now[static_cast<std::size_t>(f)];
  length = std::move(lengths);
}

std::optional<AxisMap> restricted(const AxisMap& map, const Shape& lengths) {
  AxisMap out = map;
  std::size_t skip = map.axes.size() - lengths.size();
  for (std::size_t d = 0; d < map.axes.size(); ++d) {
    bool gone = d < skip || (lengths[d - skip] == 1 && !map.axes[d].empty());
    for (int f : map.axes[d])
      if (gone) out.remove(f);
  }
  for (std::size_t p = 0; p < place_count; ++p)
    if (!out.places[p].empty() && out.places[p] != map.places[p]) return std::nullopt;
  out.axes.erase(out.axes.begin(), out.axes.begin() + static_cast<std::ptrdiff_t>(skip));
  out.compact();
  return out;
}

AxisMap permuted(const AxisMap& map, const std::vector<std::int64_t>& perm) {
  AxisMap out = map;
  auto rank = static_cast<std::int64_t>(perm.size());
  for (std::size_t d = 0; d < perm.size(); ++d)
    out.axes[d] = map.axes[static_cast<std::size_t>(perm[d] < 0 ? perm[d] + rank : perm[d])];
  out.compact();
  return out;
}

std::optional<AxisMap> reshaped(AxisMap map, const Shape& shape) {
  Factors all;
  for (const Factors& axis : map.axes) all.insert(all.end(), axis.begin(), axis.end());
  map.axes.assign(1, all);
  std::vector<Factors> axes;
  std::size_t next = 0;
  for (Dim wanted : shape) {
    Factors axis;
    while (wanted > 1) {
      Factors& rest = map.axes[0];
      if (next == rest.size()) return std::nullopt;
      int f = rest[next];
      Dim n = map.length[static_cast<std::size_t>(f)];
      if (n > wanted) {
        if (n % wanted != 0) return std::nullopt;
        map.split(f, n / wanted);
        n = wanted;
      }
      if (wanted % n != 0) return std::nullopt;
      wanted /= n;
      axis.push_back(f);
      ++next;
    }
    if (wanted != 1) return std::nullopt;
    axes.push_back(std::move(axis));
  }
  if (next != map.axes[0].size()) return std::nullopt;
  map.axes = std::move(axes);
  map.compact();
  return map;
}

bool align(AxisMap& a, Factors& in_a, AxisMap& b, Factors& in_b) {
  for (std::size_t i = 0; i < in_a.size() || i < in_b.size(); ++i) {
    if (i >= in_a.size() || i >= in_b.size()) return false;
    Dim x = a.length[static_cast<std::size_t>(in_a[i])], y = b.length[static_cast<std::size_t>(in_b[i])];
    if (x > y && x % y == 0) insert_after(in_a, in_a[i], a.split(in_a[i], x / y));
    else if (y > x && y % x == 0) insert_after(in_b, in_b[i], b.split(in_b[i], y / x));
    else if (x != y) return false;
  }
  return true;
}

std::optional<AxisMap> channels_last(const Shape& shape) {
  std::size_t rank = shape.size();
  if (rank < 2) return std::nullopt;
  AxisMap map;
  for (std::size_t d = 0; d < rank; ++d) {
    int f = map.add(shape[d]);
    map.axes.push_back({f});
    bool first = d == 0 && rank > 2, height = d == 1 && rank == 4;
    map.places[d + 1 == rank ? channel : first ? batch : height ? y_axis : x_axis].push_back(f);
  }
  map.compact();
  for (Place4 p : {y_axis, batch})  // a last axis of 1 would be wasted
    if (map.places[x_axis].empty()) map.places[x_axis].swap(map.places[p]);
  return map;
}

}  // namespace tl::pass
