// SPDX-License-Identifier: Apache-2.0
// The threads that kernels share: a range of work, split statically, and taken from whoever is late.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>

namespace tl {

// Physical cores that this process may use: affinity and cgroup quota respected. At least 1.
int usable_cores();

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // 1: everything runs on the caller
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // body(i) for i in [0, n), in any order, on any thread; returns when all are done. body must not throw.
  template <class Body> void each(std::int64_t n, const Body& body) const {
    if (n <= 1 || threads_ == 1) {
      for (std::int64_t i = 0; i < n; ++i) body(i);
      return;
    }
    run([](void* context,
           std::size_t i) { (*static_cast<const Body*>(context))(static_cast<std::int64_t>(i)); },
        const_cast<void*>(static_cast<const void*>(&body)), n);
  }

  // body(first, last) over [0, n) in runs of at least `grain`, one or a few a thread.
  template <class Body> void ranges(std::int64_t n, std::int64_t grain, const Body& body) const {
    std::int64_t parts = n / (grain > 0 ? grain : 1);
    if (parts > threads_) parts = threads_;
    if (parts <= 1) return n > 0 ? body(std::int64_t{0}, n) : void();
    each(parts, [&](std::int64_t k) { body(n * k / parts, n * (k + 1) / parts); });
  }

 private:
  using Task = void(void* context, std::size_t index);
  void run(Task* task, void* context, std::int64_t n) const;

  int threads_;
  class Crew;
  mutable std::once_flag once_;
  mutable std::unique_ptr<Crew> crew_;    // made at first use: a start that needs no threads makes none
  mutable std::atomic<int> callers_ = 0;  // in run() now
};

}  // namespace tl
