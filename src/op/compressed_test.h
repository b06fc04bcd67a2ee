// SPDX-License-Identifier: Apache-2.0
// For the unit tests of kernels that read compressed weights: such weights, and a kernel run by one.
#pragma once
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {

struct Weight {
  const OpDef& op;
  Attrs attrs = {};
  std::vector<Tensor> inputs = {};
  Compressed how() const { return {&op, &attrs, inputs}; }
  Tensor expanded() const { return run_reference(op, attrs, inputs).front(); }
};

inline Tensor integers(DType d, Shape shape, unsigned seed) {
  double half = static_cast<double>(1 << bits_of(d)) / 2;
  bool is_signed = d == DType::i4 || d == DType::i8;
  Tensor t = random_tensor(DType::f64, shape, seed, is_signed ? -half : 0, is_signed ? half : 2 * half);
  std::vector<std::int64_t> whole;
  for (double x : to_doubles(t)) whole.push_back(static_cast<std::int64_t>(std::floor(x)));
  return from_integers(whole, d, shape);
}

inline Weight blockwise(DType codes, DType real, Shape shape, Shape grid, bool offset) {
  Weight w{ops::constexpr_blockwise_shift_scale};
  w.inputs = {integers(codes, shape, 1), random_tensor(real, grid, 2, 0.001, 0.02)};
  if (offset) w.inputs.push_back(integers(codes, grid, 3));
  return w;
}

inline Weight affine(DType codes, DType real, Shape shape, Shape scales, std::int64_t axis) {
  return {ops::constexpr_affine_dequantize,
          attrs_of({{"axis", axis}}),
          {integers(codes, shape, 1), random_tensor(real, scales, 2, 0.001, 0.02), integers(codes, {}, 3)}};
}

inline Weight palette(DType codes, DType real, Shape shape, Dim row_groups, Dim column_groups) {
  return {ops::constexpr_lut_to_dense,
          {},
          {integers(codes, shape, 1),
           random_tensor(real, {row_groups, column_groups, Dim{1} << bits_of(codes), 1}, 2)}};
}

// The first kernel of the table for op(x, weight, …) whose weight is known as `how`, run on x.
inline std::optional<Tensor> run(const Trial& trial, const Compressed& how, KernelTable table,
                                 const Machine& machine) {
  const std::vector<Tensor>& inputs = trial.inputs;
  std::vector<Type> in = types_of(inputs);
  auto given = std::make_unique<bool[]>(inputs.size());
  std::vector<const Tensor*> values(inputs.size(), nullptr);
  std::vector<const std::byte*> from;
  std::vector<const Compressed*> compressed(inputs.size(), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    given[i] = static_cast<bool>(inputs[i]);
    if (i == 2 && given[i]) values[i] = &inputs[i];
    from.push_back(i == 1 || !given[i] ? nullptr : inputs[i].data());
  }
  compressed[1] = &how;
  Attrs attrs = complete({trial.op.attrs.begin(), trial.op.attrs.end()}, trial.attrs);
  std::size_t own = std::min(inputs.size(), trial.op.inputs.size());
  std::vector<Type> out = trial.op.infer({{in.data(), own}, {values.data(), own}, {given.get(), own}, attrs});
  for (const KernelRow& row : table) {
    if (row.op != &trial.op) continue;
    std::unique_ptr<Kernel> kernel = row.make(
        {trial.op, attrs, in, {given.get(), inputs.size()}, values, out, machine, trial.post, compressed});
    if (!kernel) continue;
    CHECK(kernel->packed.at(1));
    Guarded scratch(kernel->scratch), result(bytes_of(out[0].dtype, volume(out[0].shape)));
    std::byte* to = result.begin();
    kernel->run({from.data(), &to, scratch.begin(), *machine.pool});
    scratch.check();
    result.check();
    Tensor tensor(out[0].dtype, out[0].shape);
    std::memcpy(tensor.writable_data(), to, tensor.bytes());
    return tensor;
  }
  return std::nullopt;
}

}  // namespace tl
