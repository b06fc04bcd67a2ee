// SPDX-License-Identifier: Apache-2.0
// What inference functions share: the common rules, and the words for what does not fit.
#pragma once
#include "ir/op_def.h"

namespace tl {

// The output is like the first input.
std::vector<Type> like_first_input(const InferCall&);

// The inputs must have one element type; gives it. Absent inputs do not count.
DType common_dtype(const InferCall&);

// Throws Error: "x has rank 2, at least 3 is needed".
void need_rank(const InferCall&, std::size_t input, std::size_t least, std::size_t most);

// Integer values of input i where they are constant.
std::optional<std::vector<std::int64_t>> integer_values(const InferCall&, std::size_t input);

// The type with its axis taken out, or left with length 1.
Type reduced(const Type&, std::span<const std::int64_t> axes, bool keep);

// a (op) b for dimensions that may be unknown: unknown if either is, unless trivially equal.
Dim add_dims(Dim a, Dim b);
Dim multiply_dims(Dim a, Dim b);

// Throws Error(bad_input, …) unless ok; the message is formatted only then.
void need(bool ok, std::string_view what);

}  // namespace tl
