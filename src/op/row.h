// SPDX-License-Identifier: Apache-2.0
// Running a row of elementwise.def: a function over blocks of contiguous elements, the row's attributes, and
// how each input lies over the output. The vector kernels, the scalar ones and the reference differ in the
// function alone.
#pragma once
#include "op/kernel.h"
#include "op/operand.h"
#include "op/types.h"

namespace tl {

inline constexpr std::size_t most_row_inputs = 3;

struct RowParams {  // a row's struct (its attributes), and for scalar blocks what they read and write
  alignas(8) std::array<std::byte, 64> bytes = {};
  template <class T> void set(const T& value) {
    static_assert(sizeof(T) <= sizeof bytes && std::is_trivially_copyable_v<T>);
    std::memcpy(bytes.data(), &value, sizeof value);
  }
  template <class T> T get() const {
    T value;
    std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
    return value;
  }
};

// n elements; an input may be where the output is.
using RowBlock = void(const RowParams&, std::int64_t n, void* out, const void* const* in);

struct RowPlan {
  RowBlock* block = nullptr;
  RowParams params = {};
  std::array<Operand, most_row_inputs> operands = {};
  std::size_t inputs = 1, out_bytes = 4;
  std::int64_t size = 0;

  RowPlan() = default;
  RowPlan(RowBlock*, const RowParams&, std::span<const Type> in, const Type& out);
  bool fits() const;
  void run(const std::byte* const* in, std::byte* out, std::int64_t first, std::int64_t last) const noexcept;
};

// A kernel that runs the plan on threads, from `grain` elements a thread on; null if the plan does not fit.
std::unique_ptr<Kernel> row_kernel(const KernelRequest&, RowBlock*, const RowParams&, std::int64_t grain);
std::int64_t row_grain(int cost);

// The scalar way, for every element type: computes in double or int64 and rounds once.
struct ScalarRow {
  std::array<RowBlock*, 3> wide = {};  // by Kind: over double, int64, bool; null: not taken
  RowParams (*params)(const Attrs&, bool exact) = nullptr;
  Kind gives = Kind::real;  // of a test truth; else the kind of the input
  bool test = false;
};
const ScalarRow* scalar_row(const OpDef&);
RowPlan scalar_plan(const OpDef&, const Attrs&, std::span<const Type> in, const Type& out);
Tensor run_row(const OpDef&, const Attrs&, std::span<const Tensor> in, const Type& out);

// Blocks of elements as the kind computes them, and back: integers wrap, floats round to nearest even.
void load_wide(DType, const std::byte* from, std::int64_t n, void* to);
void store_wide(Kind, const void* from, std::int64_t n, DType, std::byte* to);

}  // namespace tl
