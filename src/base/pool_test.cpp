// SPDX-License-Identifier: Apache-2.0
// The thread pool: every index once, whoever is late; idle workers sleep.
#include "base/pool.h"

#include <doctest/doctest.h>

#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

using namespace tl;

namespace {

// How often `each` came to each of n indices, in all of so many jobs.
std::vector<int> counts(const ThreadPool& pool, std::int64_t n, int jobs) {
  std::vector<std::atomic<int>> counted(static_cast<std::size_t>(n));
  for (int job = 0; job < jobs; ++job)
    pool.each(n, [&](std::int64_t i) { ++counted[static_cast<std::size_t>(i)]; });
  return {counted.begin(), counted.end()};
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

TEST_CASE("a pool does each index once") {
  for (int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    for (std::int64_t n : {0, 1, 2, 3, 15, 16, 17, 1000})
      CHECK_EQ(counts(pool, n, 50), std::vector<int>(static_cast<std::size_t>(n), 50));
  }
}

TEST_CASE("workers that fell asleep wake for the next job") {
  ThreadPool pool(3);
  for (int k = 0; k < 20; ++k) {
    CHECK_EQ(counts(pool, 64, 1), std::vector<int>(64, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(k % 3));
  }
}

TEST_CASE("a late thread's share is done by the others") {
  ThreadPool pool(2);
  std::atomic<bool> slow = true;
  std::atomic<int> done = 0;
  pool.each(100, [&](std::int64_t) {
    if (slow.exchange(false))
      while (done < 99) std::this_thread::yield();  // ends only if the other thread does all the rest
    ++done;
  });
  CHECK_EQ(done, 100);
}

TEST_CASE("threads that call at once, and calls within calls, are served") {
  ThreadPool pool(2);
  std::atomic<int> done = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int k = 0; k < 200; ++k)
        pool.each(8, [&](std::int64_t) { pool.each(3, [&](std::int64_t) { ++done; }); });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(done, 4 * 200 * 8 * 3);
}

TEST_CASE("an idle pool leaves the machine to others") {
  ThreadPool pool(4);
  CHECK_EQ(counts(pool, 64, 1), std::vector<int>(64, 1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(cpu_seconds() - before < 0.1);
}
