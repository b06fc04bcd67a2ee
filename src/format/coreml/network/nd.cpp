// SPDX-License-Identifier: Apache-2.0
// Small conversions between the floats of a network's blobs and what operations take.
#include "format/coreml/network/nd.h"

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::coreml {

std::size_t rank_of(const Ex& x) {
  if (!x.type().ranked) throw Error(Code::unsupported, "takes a blob whose rank is not known before it runs");
  return x.shape().size();
}

Ex some_rank(const Ex& x) {
  if (!x.type().ranked || !x.shape().empty()) return x;
  if (const Tensor* t = x.constant()) return constant(x.place(), t->reshaped({1}));
  return emit(ops::expand_dims, {x}, {{"axes", Integers{0}}});
}

Ex one_number(const Ex& x) {
  if (x.type().ranked && x.shape().empty()) return x;
  return emit(ops::reshape, {x, integers(x.place(), {})});
}

Ex integer(Place place, std::int64_t n) { return constant(place, from_integers({&n, 1}, DType::i32, {})); }

Ex shape_of(const Ex& x) { return emit(ops::shape, {x}); }

Ex at_axis(const Ex& value, std::int64_t axis, std::size_t rank) {
  Integers one(rank, 0);
  one[static_cast<std::size_t>(wrap_axis(axis, rank))] = 1;
  return integers(value.place(), one) * one_number(value);
}

double constant_number(const Layer& l, std::size_t input, std::string_view what) {
  const Tensor* t = l.in.at(input).constant();
  if (!t) throw Error(Code::unsupported, text("{} must be constant", what));
  if (t->size() != 1) throw Error(Code::bad_input, text("{} must be one number", what));
  return to_doubles(*t).front();
}

std::optional<Integers> constant_integers(const Layer& l, std::size_t input) {
  const Tensor* t = l.in.at(input).constant();
  return t ? std::optional(to_integers(*t)) : std::nullopt;
}

}  // namespace tl::coreml
