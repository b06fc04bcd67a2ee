// SPDX-License-Identifier: Apache-2.0
// Tasks that need scratch memory: as many slots of it as threads, each used by one task at a time.
#pragma once
#include <atomic>

#include "base/pool.h"

namespace tl {

inline std::size_t aligned_bytes(std::int64_t bytes) {
  return (static_cast<std::size_t>(bytes) + 63) / 64 * 64;
}

// body(task, slot) for all tasks; tasks are taken as slots become free. The first of each is always the same:
// what the same core wrote before is still in its cache.
template <class Body>
void each_in_slots(const ThreadPool& pool, std::int64_t tasks, int slots, const Body& body) {
  if (tasks < slots) slots = static_cast<int>(tasks);
  std::atomic<std::int64_t> next{slots};
  pool.each(slots, [&](std::int64_t slot) {
    for (std::int64_t i = slot; i < tasks; i = next.fetch_add(1, std::memory_order_relaxed))
      body(i, static_cast<int>(slot));
  });
}

// The same, but each slot begins with a run of tasks of its own and then takes what others have left: what
// lies near in one kernel's tasks is done by the same thread as in the next one's, from its own caches.
template <class Body>
void each_nearby(const ThreadPool& pool, std::int64_t tasks, int slots, const Body& body) {
  constexpr int most = 64;
  if (slots > most) return each_in_slots(pool, tasks, slots, body);
  if (tasks < slots) slots = static_cast<int>(tasks);
  struct alignas(64) Run {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  Run runs[most];
  for (int s = 0; s < slots; ++s) runs[s].next = tasks * s / slots, runs[s].end = tasks * (s + 1) / slots;
  pool.each(slots, [&](std::int64_t slot) {
    for (int k = 0; k < slots; ++k) {
      Run& run = runs[(slot + k) % slots];
      for (std::int64_t i; (i = run.next.fetch_add(1, std::memory_order_relaxed)) < run.end;)
        body(i, static_cast<int>(slot));
    }
  });
}

}  // namespace tl
