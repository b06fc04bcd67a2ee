// SPDX-License-Identifier: Apache-2.0
// Elementwise rows applied to a block of 32-bit floats while it is in a cache: how other kernels fuse what
// follows them in the graph. Made when a kernel is made, run inside it.
#pragma once
#include "op/row.h"

namespace tl {

class PostBlock {
 public:
  // Empty (false) where the row cannot be fused: it gives no floats, or it takes three inputs.
  PostBlock() = default;
  explicit operator bool() const { return run_ != nullptr; }
  bool takes_operand() const { return operand_; }

  // x[i] = row(x[i]), or row(x[i], operand[i]), for n elements, in place. one: the operand is a single value
  // for all.
  void operator()(float* x, std::int64_t n, const float* operand = nullptr, bool one = false) const {
    run_(params_, x, operand, one, n);
  }

  using Run = void(const RowParams&, float* x, const float* operand, bool one, std::int64_t n);

 private:
  friend PostBlock post_block(Isa, const PostOp&);
  Run* run_ = nullptr;
  bool operand_ = false;
  RowParams params_ = {};
};

PostBlock post_block(Isa, const PostOp&);

// A row with the rows of the request's `post` behind it, as one kernel; null where one of them cannot be.
struct BlockCasts {
  RowBlock* widen = nullptr;   // fp16 to fp32
  RowBlock* narrow = nullptr;  // and back
};
std::unique_ptr<Kernel> chain_kernel(const KernelRequest&, const BlockCasts&, int cost);

}  // namespace tl
