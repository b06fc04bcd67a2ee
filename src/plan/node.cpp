// SPDX-License-Identifier: Apache-2.0
// One node: kernel choice and immediate execution.
#include "plan/node.h"

#include <algorithm>

#include "backend/cpu/cpu.h"
#include "base/error.h"
#include "op/reference.h"

namespace tl::plan {

Compute::Compute(const KernelRequest& request) {
  auto concrete = [](const Type& t) { return t.is_tensor() && t.is_concrete(); };
  for (std::size_t i = 0; i < request.in.size(); ++i)
    if (request.given[i] && !concrete(request.in[i])) return;
  if (!std::all_of(request.out.begin(), request.out.end(), concrete)) return;
  cpu::Chosen chosen = cpu::choose(request);
  if (!chosen.kernel) return;
  kernel_ = std::move(chosen.kernel);
  name_ = chosen.name;
}

std::vector<Tensor> run_node(const OpDef& op, const Attrs& attrs, std::span<const Tensor* const> inputs,
                             const Machine& machine, std::uint64_t seed) {
  std::vector<Type> in(inputs.size());
  std::unique_ptr<bool[]> given(new bool[inputs.size() + 1]());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i]) in[i] = inputs[i]->type(), given[i] = true;
  std::span<const bool> there(given.get(), inputs.size());
  std::vector<Type> out = op.infer({in, inputs, there, attrs, {}});
  std::vector<const Tensor*> none(inputs.size(), nullptr);  // nothing is worth packing for one run
  Compute compute({op, attrs, in, there, none, out, machine});
  if (!compute.kernel()) {
    std::vector<Tensor> tensors;
    for (const Tensor* t : inputs) tensors.push_back(t ? *t : Tensor());
    return run_reference(op, attrs, tensors, seed, out);
  }
  std::vector<Tensor> results;
  std::vector<const std::byte*> from;
  std::vector<std::byte*> to;
  for (const Tensor* t : inputs) from.push_back(t ? t->data() : nullptr);
  for (const Type& t : out)
    results.emplace_back(t.dtype, t.shape), to.push_back(results.back().writable_data());
  StoragePtr scratch = allocate(compute.kernel()->scratch);
  compute.run({from.data(), to.data(), scratch->data(), *machine.pool, seed});
  return results;
}

}  // namespace tl::plan
