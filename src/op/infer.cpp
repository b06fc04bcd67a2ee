// SPDX-License-Identifier: Apache-2.0
// What inference functions share.
#include "op/infer.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl {

void need(bool ok, std::string_view what) {
  if (!ok) throw Error(Code::bad_input, std::string(what));
}

std::vector<Type> like_first_input(const InferCall& call) { return {call.type(0)}; }

DType common_dtype(const InferCall& call) {
  const Type* first = nullptr;
  for (std::size_t i = 0; i < call.types.size(); ++i) {
    if (!call.has(i)) continue;
    if (!first) first = &call.type(i);
    if (call.type(i).dtype != first->dtype)
      throw Error(Code::bad_input, text("takes inputs of one element type, not {} and {}", text_of(*first),
                                        text_of(call.type(i))));
  }
  need(first, "needs an input");
  return first->dtype;
}

void need_rank(const InferCall& call, std::size_t input, std::size_t least, std::size_t most) {
  std::size_t rank = call.type(input).rank();
  if (rank >= least && rank <= most) return;
  throw Error(Code::bad_input, text("input {} is {}; its rank must be {}", input, text_of(call.type(input)),
                                    least == most ? text("{}", least) : text("{} to {}", least, most)));
}

std::optional<std::vector<std::int64_t>> integer_values(const InferCall& call, std::size_t input) {
  if (!call.has(input) || !call.value(input)) return std::nullopt;
  return to_integers(*call.value(input));
}

Type reduced(const Type& type, std::span<const std::int64_t> axes, bool keep) {
  std::vector<bool> gone(type.rank(), false);
  for (std::int64_t axis : axes) gone[static_cast<std::size_t>(wrap_axis(axis, type.rank()))] = true;
  Type out(type.dtype, {});
  for (std::size_t d = 0; d < type.rank(); ++d) {
    if (!gone[d]) out.shape.push_back(type.shape[d]);
    else if (keep) out.shape.push_back(1);
  }
  return out;
}

Dim add_dims(Dim a, Dim b) { return a == 0 ? b : b == 0 ? a : is_known(a) && is_known(b) ? a + b : unknown; }

Dim multiply_dims(Dim a, Dim b) {
  if (a == 1) return b;
  if (b == 1) return a;
  return is_known(a) && is_known(b) ? a * b : a == 0 || b == 0 ? 0 : unknown;
}

}  // namespace tl
