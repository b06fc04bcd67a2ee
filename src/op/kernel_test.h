// SPDX-License-Identifier: Apache-2.0
// For the unit tests of kernels: runs the kernels of a table on tensors and compares them with the float64
// reference.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>

#include "ir/ex.h"
#include "op/kernels.h"
#include "op/reference.h"

namespace tl {

struct Trial {
  const OpDef& op;
  Attrs attrs = {};
  std::vector<Tensor> inputs = {};  // an empty tensor is an absent input
  std::vector<bool> constant = {};  // known when the kernel is made; missing: false
  std::vector<PostOp> post = {};
};

inline Tensor random_tensor(DType dtype, Shape shape, unsigned seed, double low = -1, double high = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<std::size_t>(volume(shape)));
  for (double& v : values) v = uniform(random);
  return from_doubles(values, dtype, std::move(shape));
}

inline std::vector<Type> types_of(std::span<const Tensor> tensors) {
  std::vector<Type> types;
  for (const Tensor& t : tensors) types.push_back(t ? t.type() : Type());
  return types;
}

// Bytes that begin at a multiple of 64 and end in guard bytes.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : bytes_(bytes), data_(bytes + 128, mark) {}
  std::byte* begin() {
    return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(data_.data()) + 63) / 64 * 64);
  }
  void check() {
    for (std::size_t i = bytes_; begin() + i < data_.data() + data_.size(); ++i) CHECK(begin()[i] == mark);
  }

 private:
  static constexpr std::byte mark{0x7b};
  std::size_t bytes_;
  std::vector<std::byte> data_;
};

// All outputs of the first kernel of the table that takes the trial; none if none does. What a kernel writes
// beyond its outputs or its scratch is found.
inline std::vector<Tensor> run_kernel_outputs(const Trial& trial, KernelTable table, const Machine& machine,
                                              std::string_view only = {}) {
  std::size_t declared = std::max(trial.op.inputs.size(), trial.inputs.size());
  std::vector<Tensor> inputs = trial.inputs;
  inputs.resize(declared);
  std::vector<Type> in = types_of(inputs);
  auto given = std::make_unique<bool[]>(declared);
  std::vector<const Tensor*> values(declared, nullptr);
  for (std::size_t i = 0; i < declared; ++i) {
    given[i] = static_cast<bool>(inputs[i]);
    if (given[i] && i < trial.constant.size() && trial.constant[i]) values[i] = &inputs[i];
  }
  Attrs attrs = complete({trial.op.attrs.begin(), trial.op.attrs.end()}, trial.attrs);
  std::size_t own =
      trial.op.inputs[trial.op.inputs.size() - 1].arity == Arity::many ? declared : trial.op.inputs.size();
  std::vector<Type> out = trial.op.infer({{in.data(), own}, {values.data(), own}, {given.get(), own}, attrs});
  for (const KernelRow& row : table) {
    if (row.op != &trial.op || (!only.empty() && row.name != only)) continue;
    KernelRequest request{trial.op, attrs, in, {given.get(), declared}, values, out, machine, trial.post};
    std::unique_ptr<Kernel> kernel = row.make(request);
    if (!kernel) continue;
    Guarded scratch(kernel->scratch);
    std::vector<Guarded> results;
    for (const Type& type : out) results.emplace_back(bytes_of(type.dtype, volume(type.shape)));
    std::vector<const std::byte*> from;
    std::vector<std::byte*> to;
    for (std::size_t i = 0; i < declared; ++i) {
      bool gone = i < kernel->packed.size() && kernel->packed[i];
      from.push_back(given[i] && !gone ? inputs[i].data() : nullptr);
    }
    for (Guarded& result : results) to.push_back(result.begin());
    kernel->run({from.data(), to.data(), scratch.begin(), *machine.pool});
    scratch.check();
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < out.size(); ++i) {
      results[i].check();
      tensors.emplace_back(out[i].dtype, out[i].shape);
      if (tensors[i].bytes()) std::memcpy(tensors[i].writable_data(), to[i], tensors[i].bytes());
    }
    return tensors;
  }
  return {};
}

// The first output; nothing if no kernel takes the trial.
inline std::optional<Tensor> run_kernel(const Trial& trial, KernelTable table, const Machine& machine,
                                        std::string_view only = {}) {
  std::vector<Tensor> outputs = run_kernel_outputs(trial, table, machine, only);
  return outputs.empty() ? std::nullopt : std::optional(outputs[0]);
}

// The largest difference from the reference, in units of what one rounding of a value of that size may cost.
inline double worst_error(const Tensor& got, const Tensor& want, double absolute) {
  std::vector<double> a = to_doubles(got), b = to_doubles(want);
  if (got.shape() != want.shape()) return INFINITY;
  double worst = 0, step = got.dtype() == DType::f16 ? 0x1p-10 : 0x1p-22;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (a[i] == b[i]) continue;
    double error = std::fabs(a[i] - b[i]) / (absolute + step * std::fabs(b[i]));
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

inline std::vector<Isa> isas_here() {
  std::vector<Isa> all;
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512, Isa::amx})
    if (isa <= best_isa()) all.push_back(isa);
  return all;
}

}  // namespace tl
