// SPDX-License-Identifier: Apache-2.0
// A chain of elementwise rows as one kernel: each block goes through all of them as 32-bit floats, while it
// is in the first cache, and is rounded once.
#include "op/post.h"

#include <algorithm>

namespace tl {
namespace {

struct Step {
  PostBlock apply = {};
  int operand = -1;  // index among the inputs
};

class ChainKernel final : public Kernel {
 public:
  ChainKernel(const KernelRequest& request, std::vector<Step> steps, const BlockCasts& casts, int cost)
      : steps_(std::move(steps)),
        casts_(casts),
        size_(volume(request.out[0].shape)),
        grain_(row_grain(cost)),
        narrow_(request.out[0].dtype == DType::f16) {
    for (const Type& type : request.in) {
      operands_.emplace_back(type.shape, request.out[0].shape, bytes_of(type.dtype, 1));
      half_.push_back(type.dtype == DType::f16);
      if (in_place < 0 && type == request.out[0]) in_place = static_cast<int>(half_.size()) - 1;
    }
    flops = static_cast<double>(size_) * static_cast<double>(steps_.size());
  }
  bool fits() const {
    return std::all_of(operands_.begin(), operands_.end(), [](const Operand& o) { return o.fits(); });
  }

  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges(size_, grain_, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t at = first; at < last; at += block_size)
        block(call, at, std::min(block_size, last - at));
    });
  }

 private:
  struct alignas(64) Buffer {
    float values[block_size];
  };

  struct Run {
    std::int64_t at, n;
  };

  // Input k at these positions as floats: in `to`, or where it lies if it is one number or floats already.
  const float* widened(const KernelCall& call, std::size_t k, Run run, Buffer& raw, Buffer& to) const {
    const auto [at, n] = run;
    std::int64_t filled = 0;
    bool one = operands_[k].is_one();
    const std::byte* from =
        one ? call.in[k]
            : operands_[k].block(call.in[k], at, n, reinterpret_cast<std::byte*>(raw.values), filled);
    if (!half_[k]) return reinterpret_cast<const float*>(from);
    const void* in = from;
    casts_.widen(RowParams(), one ? 1 : n, to.values, &in);
    return to.values;
  }

  void block(const KernelCall& call, std::int64_t at, std::int64_t n) const {
    Buffer raw, x, other;
    const float* first = widened(call, 0, {at, n}, raw, x);
    if (operands_[0].is_one()) std::fill_n(x.values, n, *first);
    else if (first != x.values) std::copy_n(first, n, x.values);
    for (const Step& step : steps_) {
      if (step.operand < 0) {
        step.apply(x.values, n);
        continue;
      }
      auto k = static_cast<std::size_t>(step.operand);
      step.apply(x.values, n, widened(call, k, {at, n}, raw, other), operands_[k].is_one());
    }
    const void* result = x.values;
    if (narrow_) casts_.narrow(RowParams(), n, call.output<Half>(0) + at, &result);
    else std::copy_n(x.values, n, call.output<float>(0) + at);
  }

  std::vector<Step> steps_;
  BlockCasts casts_;
  std::vector<Operand> operands_ = {};
  std::vector<bool> half_ = {};
  std::int64_t size_, grain_;
  bool narrow_;
};

bool is_small_float(const Type& type) { return type.dtype == DType::f16 || type.dtype == DType::f32; }

}  // namespace

std::unique_ptr<Kernel> chain_kernel(const KernelRequest& request, const BlockCasts& casts, int cost) {
  if (request.op.inputs.size() > 2 || !is_small_float(request.out[0])) return nullptr;
  for (const Type& type : request.in)
    if (!is_small_float(type)) return nullptr;
  std::vector<Step> steps{
      {post_block(request.machine.isa, {&request.op, &request.attrs, request.op.inputs.size() == 2 ? 1 : -1}),
       request.op.inputs.size() == 2 ? 1 : -1}};
  for (const PostOp& post : request.post)
    steps.push_back({post_block(request.machine.isa, post), post.operand});
  for (const Step& step : steps)
    if (!step.apply) return nullptr;
  auto kernel = std::make_unique<ChainKernel>(request, std::move(steps), casts, cost);
  return kernel->fits() ? std::move(kernel) : nullptr;
}

}  // namespace tl
