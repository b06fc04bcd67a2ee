// SPDX-License-Identifier: Apache-2.0
// A sum of products of two operands as its kernel sees it: C[m, n] += A[m, k] * B[k, n] for every batch,
// where each index is a table of element offsets, so that any equation, stride or broadcast is the same to
// the kernel.
#pragma once
#include "op/einsum.h"

namespace tl {

using Offsets = std::vector<std::int64_t>;

struct Contraction {
  Offsets batch_a, batch_b, batch_c;  // per batch
  Offsets am, cm;                     // per row
  Offsets bn, cn;                     // per column
  Offsets ak, bk;                     // per term of the sum
  bool swapped = false;               // A is the second operand
  std::int64_t batch() const { return static_cast<std::int64_t>(batch_a.size()); }
  std::int64_t m() const { return static_cast<std::int64_t>(am.size()); }
  std::int64_t n() const { return static_cast<std::int64_t>(bn.size()); }
  std::int64_t depth() const { return static_cast<std::int64_t>(ak.size()); }
};

// first + i for all i in [from, from + count) of the table.
bool is_run(std::span<const std::int64_t>, std::int64_t from, std::int64_t count);

// `constant` is the operand known beforehand (0 or 1, or -1): it becomes B, whose panels are packed once.
Contraction plan_contraction(const Equation&, std::span<const Dim> x, std::span<const Dim> y,
                             std::span<const Dim> out, int constant);

// All that the order of a packed B depends on, for the form of op/packed.h.
std::string matrix_form(std::string_view kernel, const Contraction&);

}  // namespace tl
