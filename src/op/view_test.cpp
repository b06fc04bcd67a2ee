// SPDX-License-Identifier: Apache-2.0
// Views against what the moves they stand for would copy.
#include "op/view.h"

#include <doctest/doctest.h>

#include "ir/type.h"

namespace tl {
namespace {

std::vector<std::int64_t> places(const View& view) {
  std::vector<std::int64_t> all{view.offset};
  for (const Digit& digit : view.digits) {
    std::vector<std::int64_t> next;
    for (std::int64_t base : all)
      for (std::int64_t i = 0; i < digit.count; ++i) next.push_back(base + i * digit.step);
    all = std::move(next);
  }
  return all;
}

Move move_of(std::initializer_list<Axis> axes, std::int64_t from = 0) {
  Move m;
  m.from = from;
  for (const Axis& a : axes) m.add(a.count, a.from, a.to);
  return m;
}

// What the move makes of the values that were at these places.
std::vector<std::int64_t> moved(const Move& m, const std::vector<std::int64_t>& in, std::size_t size) {
  std::vector<std::int64_t> out(size, -1);
  std::vector<std::int64_t> at(static_cast<std::size_t>(m.rank), 0);
  while (true) {
    std::int64_t from = m.from, to = m.to;
    for (std::size_t a = 0; a < at.size(); ++a) from += at[a] * m.axes[a].from, to += at[a] * m.axes[a].to;
    out[static_cast<std::size_t>(to)] = in[static_cast<std::size_t>(from)];
    std::size_t a = 0;
    while (a < at.size() && ++at[a] == m.axes[a].count) at[a++] = 0;
    if (a == at.size()) return out;
  }
}

}  // namespace

TEST_CASE("a view of views reads what copies would") {
  View heads = dense_view(5 * 36);  // [5, 3, 12]: queries, keys and values of 5 places
  std::vector<std::int64_t> now = places(heads);
  const std::pair<Move, std::int64_t> steps[] = {
      {move_of({{5, 36, 12}, {12, 1, 1}}, 12), 60},            // the second part: [5, 12]
      {move_of({{5, 12, 4}, {3, 4, 20}, {4, 1, 1}}), 60},      // [3, 5, 4]: heads before places
      {move_of({{2, 0, 60}, {3, 20, 20}, {20, 1, 1}}), 120},   // twice: [2, 3, 5, 4]
      {move_of({{2, 60, 20}, {3, 20, 40}, {20, 1, 1}}), 120},  // [3, 2, 5, 4]
      {move_of({{6, 20, 20}, {5, 4, 1}, {4, 1, 5}}), 120},     // transposed in the end
  };
  View view = heads;
  for (const auto& [move, size] : steps) {
    auto next = view_of({&move, 1}, 0, size, view);
    REQUIRE(next);
    now = moved(move, now, static_cast<std::size_t>(size));
    view = *next;
    CHECK(places(view) == now);
  }
  auto grid = lattice(view, Shape{1, 6, 4, 5}, 2);
  REQUIRE(grid);
  CHECK(grid->starts.size() == 6);
  CHECK(grid->steps == std::vector<std::int64_t>{1, 36});
  CHECK_FALSE(lattice(view, Shape{6, 20}, 0));
  CHECK(reach(view) == 4 * 36 + 24);
}

TEST_CASE("what carries from one digit into another is no view") {
  Move turned = move_of({{3, 1, 4}, {4, 3, 1}});
  auto view = view_of({&turned, 1}, 0, 12, dense_view(12));
  REQUIRE(view);
  Move part = move_of({{6, 1, 1}}, 1);
  CHECK_FALSE(view_of({&part, 1}, 0, 6, *view));
  Move backwards = move_of({{12, -1, 1}}, 11);
  CHECK_FALSE(view_of({&backwards, 1}, 0, 12, dense_view(12)));
  auto back = inverse_view({&turned, 1}, 12);
  REQUIRE(back);
  CHECK(places(*back) == std::vector<std::int64_t>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
}

}  // namespace tl
