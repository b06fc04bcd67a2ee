// SPDX-License-Identifier: Apache-2.0
// Einsum equations: which label stands for which dimension. matmul and linear are read as equations too, so
// that one kernel serves all sums of products.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace tl {

using Labels = std::vector<int>;

struct Equation {
  std::vector<Labels> inputs;
  Labels output;
  int labels = 0;  // they are 0 .. labels - 1
};

// "ij,jk->ik" for inputs of these ranks; an ellipsis becomes labels, aligned at the right. Without "->" the
// output has the labels that occur once, in alphabetical order. Throws Error for what is no equation or does
// not fit.
Equation parse_equation(std::string_view text, std::span<const std::size_t> ranks);

// The lengths of all labels; dimensions of an ellipsis broadcast, others must be equal. Throws Error
// otherwise.
std::vector<Dim> label_lengths(const Equation&, std::span<const Shape> shapes);

// "ab,bc->ac" from labels: at most 52 of them.
std::string text_of(const Equation&);

// x . y by NumPy's rules, as an equation.
Equation matmul_equation(std::size_t x_rank, std::size_t y_rank, bool transpose_x, bool transpose_y);

}  // namespace tl
