// SPDX-License-Identifier: Apache-2.0
// One node for concrete types: a kernel, or the reference where no kernel takes it.
#pragma once
#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

// How one node of tensors is computed. Made when a plan is made, or when a dynamic shape is first seen.
class Compute {
 public:
  explicit Compute(const KernelRequest&);  // what is not concrete finds no kernel
  Compute(Compute&&) = default;

  const Kernel* kernel() const { return kernel_.get(); }
  std::string_view name() const { return name_; }  // of the kernel, or "reference"

  // With a kernel: outputs of the given types are written. Without: see run_fallback.
  void run(const KernelCall& call) const { kernel_->run(call); }

 private:
  std::unique_ptr<Kernel> kernel_;
  std::string_view name_ = "reference";
};

// A node of tensors, at once: chooses, runs, gives the outputs. For folding, and for the language's
// operations.
std::vector<Tensor> run_node(const OpDef&, const Attrs&, std::span<const Tensor* const> inputs,
                             const Machine&, std::uint64_t seed);

}  // namespace tl::plan
