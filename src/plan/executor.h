// SPDX-License-Identifier: Apache-2.0
// The two kinds of plan, and what both need to run operations on whole values.
#pragma once
#include "plan/plan.h"

namespace tl::plan {

// Every shape known: steps over one arena.
std::shared_ptr<const Plan> make_static(Graph, const Machine&, const Options&);
// Control flow, lists, shapes that depend on data: values are made as they come.
std::shared_ptr<const Plan> make_dynamic(Graph, const Machine&, const Options&);

// A tensor over memory of someone else's, which must outlive it.
Tensor borrowed(const Type&, const std::byte* data);

void check_stop(const RunOptions&);  // throws Error(interrupted) if the caller wants it to end

// Adds to `profile`, if there is one, the time from its making to its end.
class Stopwatch {
 public:
  Stopwatch(std::vector<StepProfile>* profile, std::size_t step) : profile_(profile), step_(step) {
    if (profile_) start_ = now();
  }
  ~Stopwatch() {
    if (profile_) (*profile_)[step_].seconds += now() - start_;
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  static double now();  // seconds

  std::vector<StepProfile>* profile_;
  std::size_t step_;
  double start_ = 0;
};

// Objects that runs borrow and give back, so that each thread has one of its own.
template <class T> class Shelf {
 public:
  template <class Make> std::unique_ptr<T> take(const Make& make) {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        std::unique_ptr<T> one = std::move(free_.back());
        free_.pop_back();
        return one;
      }
    }
    return make();
  }
  void give(std::unique_ptr<T> one) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(one));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace tl::plan
