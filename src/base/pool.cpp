// SPDX-License-Identifier: Apache-2.0
// The thread pool, over pthreadpool; and how many cores there are for us.
#include "base/pool.h"

#include <pthreadpool.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <utility>

namespace tl {
namespace {

// The number in a small file of the system's, or -1.
long number_in(const char* path, const char* form = "%ld") {
  std::FILE* file = std::fopen(path, "re");
  if (!file) return -1;
  long value = -1;
  if (std::fscanf(file, form, &value) != 1) value = -1;
  std::fclose(file);
  return value;
}

int cores_by_affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  std::set<std::pair<long, long>> cores;  // hyper-threads of one core share its numbers
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    char path[96];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
    long core = number_in(path);
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
    long package = number_in(path);
    cores.insert(core < 0 ? std::pair(-1L, static_cast<long>(cpu)) : std::pair(package, core));
  }
  return std::max(1, static_cast<int>(cores.size()));
}

int cores_by_quota() {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re");
  if (!file) return 1 << 20;
  long quota = 0, period = 0;
  bool limited = std::fscanf(file, "%ld %ld", &quota, &period) == 2 && period > 0;
  std::fclose(file);
  return limited ? std::max(1, static_cast<int>((quota + period - 1) / period)) : 1 << 20;
}

}  // namespace

int usable_cores() { return std::min(cores_by_affinity(), cores_by_quota()); }

struct ThreadPool::Once {
  std::once_flag flag;
  std::atomic<int> callers = 0;  // in run() now
};

ThreadPool::ThreadPool(int threads) : threads_(std::max(1, threads)), once_(std::make_unique<Once>()) {}

ThreadPool::~ThreadPool() {
  if (pool_) pthreadpool_destroy(pool_);
}

void ThreadPool::run(Task* task, void* context, std::int64_t n) const {
  // Where several threads predict at once each does its own work: they would only wait for one another.
  if (once_->callers.fetch_add(1, std::memory_order_relaxed) > 0) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) task(context, i);
  } else {
    std::call_once(once_->flag, [&] { pool_ = pthreadpool_create(static_cast<std::size_t>(threads_)); });
    pthreadpool_parallelize_1d(pool_, task, context, static_cast<std::size_t>(n), 0);
  }
  once_->callers.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace tl
