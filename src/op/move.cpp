// SPDX-License-Identifier: Apache-2.0
// Strided copies: how they are simplified, and the reference that runs them one element at a time.
#include "op/move.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace tl {

void Move::add(std::int64_t count, std::int64_t from_stride, std::int64_t to_stride) {
  if (rank == most) throw Error(Code::unsupported, "moves elements of a tensor of more than 16 dimensions");
  axes[static_cast<std::size_t>(rank++)] = {count, from_stride, to_stride};
}

std::int64_t Numbers::operator[](std::int64_t i) const {
  auto at = [&]<class T>(T) { return static_cast<std::int64_t>(static_cast<const T*>(data_)[i]); };
  switch (dtype_) {
    case DType::f16: return static_cast<std::int64_t>(to_float(static_cast<const Half*>(data_)[i]));
    case DType::f32: return at(float{});
    case DType::f64: return at(double{});
    case DType::i8: return at(std::int8_t{});
    case DType::i16: return at(std::int16_t{});
    case DType::i32: return at(std::int32_t{});
    case DType::i64: return at(std::int64_t{});
    case DType::u8: return at(std::uint8_t{});
    case DType::u16: return at(std::uint16_t{});
    case DType::u32: return at(std::uint32_t{});
    case DType::u64: return at(std::uint64_t{});
    default: return 0;
  }
}

std::array<std::int64_t, Move::most> strides_of(std::span<const Dim> shape) {
  std::array<std::int64_t, Move::most> strides{};
  if (shape.size() > strides.size())
    throw Error(Code::unsupported, "moves elements of a tensor of more than 16 dimensions");
  std::int64_t step = 1;
  for (std::size_t d = shape.size(); d-- > 0; step *= shape[d]) strides[d] = step;
  return strides;
}

double fill_value(const Attrs& attrs) {
  if (attrs.has("constant_val")) return attrs.number("constant_val");
  return attrs.has("value") ? attrs.number("value") : 0;
}

namespace {

std::vector<Type> types_of(const ReferenceCall& call) {
  std::vector<Type> types;
  for (const Array* a : call.in) types.push_back(a ? Type(a->dtype, a->shape) : Type());
  return types;
}

void walk(const Move& m, const double* from, double* to, int axis) {
  if (axis == m.rank) {
    *to = *from;
    return;
  }
  const Axis& a = m.axes[static_cast<std::size_t>(axis)];
  for (std::int64_t i = 0; i < a.count; ++i) walk(m, from + i * a.from, to + i * a.to, axis + 1);
}

}  // namespace

void reference_moves(ListMoves* list, const ReferenceCall& call) {
  std::vector<Type> in = types_of(call), out;
  for (const Array& a : call.out) out.emplace_back(a.dtype, a.shape);
  std::vector<Numbers> numbers;
  for (const Array* a : call.in)
    numbers.push_back(a ? Numbers(DType::f64, a->data.data(), a->size()) : Numbers());
  const double fill = fill_value(call.attrs);
  auto take = [&](const Move& m) {
    for (int a = 0; a < m.rank; ++a)
      if (m.axes[static_cast<std::size_t>(a)].count <= 0) return;
    const double* from = m.input < 0 ? &fill : call.in[static_cast<std::size_t>(m.input)]->data.data();
    walk(m, from + m.from, call.out[static_cast<std::size_t>(m.output)].data.data() + m.to, 0);
  };
  list({in, numbers, call.attrs, out}, take);
}

bool simplify(Move& m) {
  int kept = 0;
  auto axis = [&](int i) -> Axis& { return m.axes[static_cast<std::size_t>(i)]; };
  for (int i = 0; i < m.rank; ++i) {
    if (axis(i).count <= 0) return false;
    if (axis(i).count > 1) axis(kept++) = axis(i);
  }
  std::stable_sort(m.axes.begin(), m.axes.begin() + kept,
                   [](const Axis& a, const Axis& b) { return std::abs(a.to) > std::abs(b.to); });
  int rank = 0;
  for (int i = 0; i < kept; ++i) {  // an axis that continues the one before it is the same axis
    Axis inner = axis(i);
    Axis* outer = rank > 0 ? &axis(rank - 1) : nullptr;
    if (outer && outer->from == inner.from * inner.count && outer->to == inner.to * inner.count)
      *outer = {outer->count * inner.count, inner.from, inner.to};
    else axis(rank++) = inner;
  }
  m.rank = rank;
  if (rank > 2 && axis(rank - 1).from != 1)  // a transpose: read along the axis that is dense in the source
    for (int i = 0; i < rank - 2; ++i)
      if (axis(i).from == 1) {
        std::rotate(m.axes.begin() + i, m.axes.begin() + i + 1, m.axes.begin() + rank - 1);
        break;
      }
  return true;
}

}  // namespace tl
