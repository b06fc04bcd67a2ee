// SPDX-License-Identifier: Apache-2.0
// A plan: a graph made ready for one machine and given input shapes. Made once, run many times, from any
// thread.
#pragma once
#include <functional>
#include <mutex>

#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

struct Options {
  bool fuse = true;
  bool release_weights = true;  // pages of weights that kernels have packed may leave memory
};

struct StepProfile {
  std::string name = {}, op = {}, kernel = {};
  double seconds = 0, flops = 0, bytes = 0;
};

struct RunOptions {
  std::uint64_t seed = 0;
  const std::function<bool()>* stop =
      nullptr;  // asked between steps; true ends the run with Code::interrupted
  std::vector<StepProfile>* profile = nullptr;
};

class Plan {
 public:
  virtual ~Plan() = default;
  // types: one per input of the graph (a state's type is that of the state).
  static std::shared_ptr<const Plan> make(const Graph&, std::span<const Type> types, const Machine&,
                                          const Options& = {});

  // inputs: tensors of exactly the planned types, shared StateCells for states.
  // outputs: one per graph output; tensors in it that have the right type and are not shared are written in
  // place.
  virtual void run(std::span<const RunValue> inputs, std::vector<RunValue>& outputs,
                   const RunOptions& = {}) const = 0;

  virtual std::size_t arena_bytes() const = 0;
  virtual std::string describe() const = 0;  // the steps, for `tl bench --profile` and tests
};

}  // namespace tl::plan
