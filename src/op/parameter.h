// SPDX-License-Identifier: Apache-2.0
// A vector of parameters (gamma, mean, …) that a kernel wants as 32-bit floats: made once where it is a
// constant, else converted into scratch memory at every run.
#pragma once
#include "op/kernel.h"

namespace tl {

class Parameter {
 public:
  Parameter() = default;
  // Takes scratch memory of the kernel when it needs some. An absent input is no parameter (false).
  Parameter(const KernelRequest&, std::size_t input, Kernel&);
  explicit operator bool() const { return present_; }
  std::int64_t size() const { return size_; }
  bool is_constant() const { return !values_.empty(); }
  const float* get(const KernelCall&) const;  // null if absent

 private:
  std::vector<float> values_ = {};
  std::size_t input_ = 0, offset_ = 0;
  std::int64_t size_ = 0;
  DType dtype_ = DType::f32;
  bool present_ = false;
};

// Room for n floats at the end of the kernel's scratch memory; gives where it begins.
std::size_t take_scratch(Kernel&, std::int64_t n);

}  // namespace tl
