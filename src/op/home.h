// SPDX-License-Identifier: Apache-2.0
// Tasks that have a home: as each_in_slots (op/slots.h), but a slot begins with its own share of them, the
// same in each run and, for tasks over the same places, in each kernel. What a core wrote it then reads again
// itself; between cores data travels slowly.
#pragma once
#include <array>
#include <atomic>

#include "base/pool.h"

namespace tl {

// body(task, slot) for all tasks; a slot that is done takes over the others'.
template <class Body>
void each_at_home(const ThreadPool& pool, std::int64_t tasks, int slots, const Body& body) {
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  constexpr int most = 64;  // shares
  std::array<Share, most> shares;
  if (tasks < slots) slots = static_cast<int>(tasks);
  int n = slots < most ? slots : most;
  for (int k = 0; k < n; ++k) {
    shares[static_cast<std::size_t>(k)].next.store(tasks * k / n, std::memory_order_relaxed);
    shares[static_cast<std::size_t>(k)].end = tasks * (k + 1) / n;
  }
  pool.each(slots, [&](std::int64_t slot) {
    for (int k = 0; k < n; ++k) {
      Share& share = shares[static_cast<std::size_t>((slot + k) % n)];
      for (std::int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;)
        body(i, static_cast<int>(slot));
    }
  });
}

}  // namespace tl
