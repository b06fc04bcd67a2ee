// SPDX-License-Identifier: Apache-2.0
// Arena layout by liveness.
#include "plan/memory.h"

#include <algorithm>
#include <numeric>

namespace tl::plan {
namespace {

constexpr std::size_t line = 64;
std::size_t rounded(std::size_t bytes) { return (bytes + line - 1) / line * line; }

}  // namespace

std::size_t place(std::vector<Lifetime>& all) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return all[a].bytes > all[b].bytes; });
  std::vector<const Lifetime*> placed;  // by offset
  std::size_t size = 0;
  for (std::size_t k : order) {
    Lifetime& now = all[k];
    std::size_t at = 0, need = rounded(now.bytes);
    for (const Lifetime* other : placed) {
      if (other->last < now.first || other->first > now.last) continue;
      if (at + need <= other->offset) break;
      at = std::max(at, other->offset + rounded(other->bytes));
    }
    now.offset = at;
    size = std::max(size, at + need);
    auto after = std::upper_bound(placed.begin(), placed.end(), at,
                                  [](std::size_t v, const Lifetime* l) { return v < l->offset; });
    placed.insert(after, &now);
  }
  return size;
}

}  // namespace tl::plan
