// SPDX-License-Identifier: Apache-2.0
// What a CPU kernel is: made once when the plan is made (where it packs weights and decides how), then run
// many times.
#pragma once
#include "base/pool.h"
#include "ir/op_def.h"
#include "simd/isa.h"

namespace tl {

class PackedStore;  // op/packed.h

struct Machine {  // what this process computes with; passed, never global
  Isa isa = Isa::base;
  const ThreadPool* pool = nullptr;
  bool bf16 = false;              // products may be of operands rounded to bf16: --precision bf16
  PackedStore* packed = nullptr;  // shared by plans; null: each packs its own
};

// An elementwise operation that follows in the graph and is applied to a kernel's result before it is
// rounded: result = op(result), or op(result, operand) where the row has two inputs and operand is an input
// of the request.
struct PostOp {
  const OpDef* op = nullptr;
  const Attrs* attrs = nullptr;
  int operand = -1;      // index into the request's inputs; -1: none
  bool swapped = false;  // the operand is the row's first input
};

// How a constant comes to be where it has not been expanded: an operation with Traits::dequantize.
struct Compressed {
  const OpDef* op = nullptr;
  const Attrs* attrs = nullptr;
  std::vector<Tensor> inputs = {};  // an empty tensor is an absent one
};

struct View;  // op/view.h

struct KernelRequest {
  const OpDef& op;
  const Attrs& attrs;
  std::span<const Type> in;  // concrete types; an absent input has given[i] false
  std::span<const bool> given;
  std::span<const Tensor* const>
      constants;  // inputs whose value is known now (weights): pack them; null: comes at run time
  std::span<const Type> out;
  const Machine& machine;
  std::span<const PostOp> post = {};  // refuse (null) what you cannot fuse: the planner then does not
  bool has(std::size_t i) const { return i < given.size() && given[i]; }
  // Constants that stay as they are stored if the kernel packs them: these are not among `constants`.
  std::span<const Compressed* const> compressed = {};
  // Per input and then of the first output: where its elements are in another value's memory, or null. Only
  // rows that say so are asked with these.
  std::span<const View* const> views = {};
  const View* view(std::size_t i) const { return i < views.size() ? views[i] : nullptr; }
  const Tensor* constant(std::size_t i) const { return i < constants.size() ? constants[i] : nullptr; }
  const Compressed* compressed_constant(std::size_t i) const {
    return i < compressed.size() ? compressed[i] : nullptr;
  }
};

struct KernelCall {
  const std::byte* const* in;  // per input, null where absent; also set for constants
  std::byte* const* out;
  std::byte* scratch;  // as many bytes as the kernel asked for, aligned to 64
  const ThreadPool& pool;
  std::uint64_t seed = 0;
  template <class T> const T* input(std::size_t i) const { return reinterpret_cast<const T*>(in[i]); }
  template <class T> T* output(std::size_t i) const { return reinterpret_cast<T*>(out[i]); }
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelCall&) const noexcept = 0;  // allocates nothing
  std::size_t scratch = 0;                                 // bytes
  int in_place = -1;              // input whose bytes the first output may overwrite, or -1
  std::vector<bool> packed = {};  // inputs that were constant and are not read any more: their pages may go
  double flops = 0;               // of one run, for the profile
};

// Null: not for this one; the next row is asked. Order is the policy: best first.
using MakeKernel = std::unique_ptr<Kernel>(const KernelRequest&);
struct KernelRow {
  const OpDef* op;
  std::string_view name;  // shown by the profile: "conv_direct", "gemm"
  MakeKernel* make;
  bool views = false;  // takes a request's views
};
using KernelTable = std::span<const KernelRow>;

}  // namespace tl
