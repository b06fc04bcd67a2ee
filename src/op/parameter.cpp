// SPDX-License-Identifier: Apache-2.0
// Parameters as 32-bit floats.
#include "op/parameter.h"

namespace tl {

std::size_t take_scratch(Kernel& kernel, std::int64_t n) {
  std::size_t begin = (kernel.scratch + 63) / 64 * 64;
  kernel.scratch = begin + (static_cast<std::size_t>(n) * sizeof(float) + 63) / 64 * 64;
  return begin;
}

Parameter::Parameter(const KernelRequest& request, std::size_t input, Kernel& kernel) : input_(input) {
  if (input >= request.in.size() || !request.has(input)) return;
  present_ = true;
  dtype_ = request.in[input].dtype;
  size_ = volume(request.in[input].shape);
  if (const Tensor* constant = request.constant(input)) {
    for (double x : to_doubles(*constant)) values_.push_back(static_cast<float>(x));
    kernel.packed.resize(request.in.size());
    kernel.packed[input] = true;
  } else if (dtype_ != DType::f32) {
    offset_ = take_scratch(kernel, size_);
  }
}

const float* Parameter::get(const KernelCall& call) const {
  if (!present_) return nullptr;
  if (!values_.empty()) return values_.data();
  if (dtype_ == DType::f32) return call.input<float>(input_);
  auto* out = reinterpret_cast<float*>(call.scratch + offset_);
  for (std::int64_t i = 0; i < size_; ++i) {
    if (dtype_ == DType::f16) out[i] = to_float(call.input<Half>(input_)[i]);
    else if (dtype_ == DType::bf16) out[i] = to_float(call.input<BFloat>(input_)[i]);
    else out[i] = static_cast<float>(call.input<double>(input_)[i]);
  }
  return out;
}

}  // namespace tl
