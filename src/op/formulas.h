// SPDX-License-Identifier: Apache-2.0
// Rows of elementwise.def as functions and operators over graph values: what gradients and decompositions are
// written with. A row with attributes takes them last: leaky_relu(x, {{"alpha", 0.1}}).
#pragma once
#include "ir/ex.h"
#include "op/ops.h"

namespace tl {

#define TL_UNARY(id, ...) \
  inline Ex id(const Ex& x, Named attrs = {}) { return emit(ops::id, {x}, attrs); }
#define TL_BINARY(id, ...) \
  inline Ex id(const Ex& x, const Ex& y) { return emit(ops::id, {x, y}); }
#define TL_TERNARY(id, ...) \
  inline Ex id(const Ex& c, const Ex& a, const Ex& b) { return emit(ops::id, {c, a, b}); }
#include "op/elementwise.def"

inline Ex operator+(const Ex& a, const Ex& b) { return add(a, b); }
inline Ex operator-(const Ex& a, const Ex& b) { return sub(a, b); }
inline Ex operator*(const Ex& a, const Ex& b) { return mul(a, b); }
inline Ex operator/(const Ex& a, const Ex& b) { return real_div(a, b); }
inline Ex operator-(const Ex& a) { return mul(a, -1); }
inline Ex operator<(const Ex& a, const Ex& b) { return less(a, b); }
inline Ex operator>(const Ex& a, const Ex& b) { return greater(a, b); }
inline Ex cast(const Ex& x, DType d) {
  return x.type().dtype == d ? x : cast(x, {{"dtype", std::string(name_of(d))}});
}
inline Ex like(const Ex& x, const Ex& other) { return cast(x, other.type().dtype); }

}  // namespace tl
