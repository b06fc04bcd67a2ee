// SPDX-License-Identifier: Apache-2.0
// The thread pool; and how many cores there are for us.
#include "base/pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

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

// The workers. A job is open while its caller works on it: workers that are awake join, late ones find it
// closed and nobody waits for them. So a job takes no longer than the caller alone would need, whatever else
// the machine is busy with.
class ThreadPool::Crew {
 public:
  explicit Crew(int threads) : ranges_(static_cast<std::size_t>(threads)) {
    try {
      for (std::size_t i = 1; i < ranges_.size(); ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
      // The system gives no more threads: those there are take the work of the missing ones.
    }
  }
  ~Crew() {
    state_.fetch_or(stop);
    state_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void run(Task* task, void* context, std::int64_t n) {
    auto parts = static_cast<std::int64_t>(ranges_.size());
    for (std::int64_t i = 0; i < parts; ++i) {
      Range& range = ranges_[static_cast<std::size_t>(i)];
      range.next.store(n * i / parts, std::memory_order_relaxed);
      range.end = n * (i + 1) / parts;
    }
    task_ = task, context_ = context;
    job_ += one_job;
    state_.fetch_add((job_ | open) - (state_.load() & ~joined));
    state_.notify_all();
    take(0);
    state_.fetch_and(~open);
    wait_for_workers();
  }

 private:
  // The state: how many workers are in the job, whether more may join, the number of the job.
  static constexpr std::uint32_t joined = 0x3FFF, open = 0x4000, stop = 0x8000, one_job = 0x10000;
  static std::uint32_t job_of(std::uint32_t state) { return state & ~(one_job - 1); }

  struct alignas(64) Range {
    std::atomic<std::int64_t> next = 0;
    std::int64_t end = 0;
  };

  // True once `done` is; false after a time in which sleeping and waking again would have been as quick.
  template <class Done> static bool spin(const Done& done) {
    constexpr auto limit = std::chrono::microseconds(100);
    auto end = std::chrono::steady_clock::now() + limit;
    do
      for (int i = 0; i < 16; ++i) {
        if (done()) return true;
        relax();
      }
    while (std::chrono::steady_clock::now() < end);
    return false;
  }
  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void work(std::size_t id) {
    std::uint32_t last = 0;  // job this worker was in
    for (;;) {
      std::uint32_t state = 0;
      auto is_new = [&] {
        state = state_.load(std::memory_order_relaxed);
        return (state & stop) || ((state & open) && job_of(state) != last);
      };
      while (!spin(is_new)) state_.wait(state);
      if (state & stop) return;
      std::uint32_t entered = state_.fetch_add(1);
      if (entered & open) {
        last = job_of(entered);
        take(id);
      }
      leave();
    }
  }

  void leave() {
    std::uint32_t left = state_.fetch_sub(1) - 1;
    if ((left & (open | joined)) == 0 && asleep_.exchange(0)) asleep_.notify_one();
  }

  void wait_for_workers() {
    auto alone = [&] { return (state_.load() & joined) == 0; };
    while (!spin(alone)) {
      asleep_.store(1);
      if (!alone()) asleep_.wait(1);
    }
  }

  // First this thread's own range, which is the same in each job of a size; then what others have left.
  void take(std::size_t id) {
    for (std::size_t k = 0; k < ranges_.size(); ++k) {
      Range& range = ranges_[(id + k) % ranges_.size()];
      while (range.next.load(std::memory_order_relaxed) < range.end) {
        std::int64_t i = range.next.fetch_add(1, std::memory_order_relaxed);
        if (i < range.end) task_(context_, static_cast<std::size_t>(i));
      }
    }
  }

  alignas(64) std::atomic<std::uint32_t> state_ = 0;
  alignas(64) std::atomic<std::uint32_t> asleep_ = 0;  // 1: the caller, until the last worker leaves
  Task* task_ = nullptr;
  void* context_ = nullptr;
  std::uint32_t job_ = 0;
  std::vector<Range> ranges_;
  std::vector<std::thread> workers_;
};

ThreadPool::ThreadPool(int threads) : threads_(std::clamp(threads, 1, 1 << 12)) {}
ThreadPool::~ThreadPool() = default;

void ThreadPool::run(Task* task, void* context, std::int64_t n) const {
  // Where several threads predict at once each does its own work: they would only wait for one another.
  if (callers_.fetch_add(1, std::memory_order_acquire) > 0) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) task(context, i);
  } else {
    std::call_once(once_, [&] { crew_ = std::make_unique<Crew>(threads_); });
    crew_->run(task, context, n);
  }
  callers_.fetch_sub(1, std::memory_order_release);
}

}  // namespace tl
