// SPDX-License-Identifier: Apache-2.0
// Number<T>: one element, with the vocabulary of elementwise.def, over double and int64: the reference, and
// what runs where no vector kernel does. Integers wrap. Truth values are plain bool.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace tl {

// A float becomes an integer by truncation, saturating; NaN becomes 0. Integers wrap.
template <class Out, class In> Out convert(In x) {
  if constexpr (std::is_same_v<Out, bool>) return x != 0;
  else if constexpr (std::is_floating_point_v<In> && std::is_integral_v<Out>) {
    using Limits = std::numeric_limits<Out>;
    if (x != x) return 0;
    if (x <= static_cast<In>(Limits::min())) return Limits::min();
    return x >= static_cast<In>(Limits::max()) ? Limits::max() : static_cast<Out>(x);
  } else return static_cast<Out>(x);
}

template <class T> struct Number {
  using Bits =
      typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;
  T v;
  template <class C>
  requires std::is_arithmetic_v<C>
  constexpr Number(C c) : v(convert<T>(c)) {}

  friend Number operator+(Number a, Number b) { return T(Bits(a.v) + Bits(b.v)); }
  friend Number operator-(Number a, Number b) { return T(Bits(a.v) - Bits(b.v)); }
  friend Number operator*(Number a, Number b) { return T(Bits(a.v) * Bits(b.v)); }
  friend Number operator/(Number a, Number b) {
    if constexpr (std::is_integral_v<T>)
      return b == 0 ? Number(0) : b == -1 ? -a : Number(T(a.v / b.v));  // would trap
    else return a.v / b.v;
  }
  friend Number operator-(Number a) { return T(-Bits(a.v)); }
  friend bool operator==(Number a, Number b) { return a.v == b.v; }
  friend bool operator!=(Number a, Number b) { return a.v != b.v; }
  friend bool operator<(Number a, Number b) { return a.v < b.v; }
  friend bool operator<=(Number a, Number b) { return a.v <= b.v; }
  friend bool operator>(Number a, Number b) { return a.v > b.v; }
  friend bool operator>=(Number a, Number b) { return a.v >= b.v; }

  friend Number select(bool c, Number a, Number b) { return c ? a : b; }
  friend Number maximum(Number a, Number b) { return a != a || a > b ? a : b; }
  friend Number minimum(Number a, Number b) { return a != a || a < b ? a : b; }
  friend Number abs(Number x) {
    if constexpr (std::is_integral_v<T>) return x < 0 ? -x : x;
    else return std::fabs(x.v);
  }
  friend Number exp2(Number x) {
    if constexpr (std::is_integral_v<T>) return pow(Number(2), x);
    else return std::exp2(x.v);
  }
#define TL_STD(name, function) \
  friend Number name(Number x) { return std::function(x.v); }
  // clang-format off
  TL_STD(ceil, ceil) TL_STD(floor, floor) TL_STD(round, rint) TL_STD(sqrt, sqrt) TL_STD(exp, exp)
  TL_STD(expm1, expm1) TL_STD(log, log) TL_STD(log1p, log1p) TL_STD(sin, sin) TL_STD(cos, cos)
  TL_STD(tan, tan) TL_STD(asin, asin) TL_STD(acos, acos) TL_STD(atan, atan) TL_STD(sinh, sinh)
  TL_STD(cosh, cosh) TL_STD(tanh, tanh) TL_STD(asinh, asinh) TL_STD(acosh, acosh)
  TL_STD(atanh, atanh) TL_STD(erf, erf) TL_STD(erfc, erfc)
// clang-format on
#undef TL_STD

                      friend Number floor_div(Number a, Number b) {
    if constexpr (!std::is_integral_v<T>) return std::floor(a.v / b.v);
    else if (b == 0 || b == -1) return a / b;
    else return T(a.v / b.v - (a.v % b.v != 0 && (a < 0) != (b < 0)));
  }
  friend Number mod(Number a, Number b) {  // Python's: the sign of b, also on a zero
    if constexpr (std::is_integral_v<T>) return b == 0 ? b : a - floor_div(a, b) * b;
    else {
      T r = std::fmod(a.v, b.v);
      return r == 0 ? std::copysign(r, b.v) : r == r && (r < 0) != (b.v < 0) ? r + b.v : r;
    }
  }
  friend Number pow(Number a, Number b) {
    if constexpr (!std::is_integral_v<T>) return std::pow(a.v, b.v);
    else {
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b.v % 2 ? -1 : 1) : 0;  // a fraction, truncated
      Number y = 1;
      for (T n = b.v; n > 0; n /= 2, a = a * a) y = y * (n % 2 ? a : Number(1));
      return y;
    }
  }
};

inline bool select(bool c, bool a, bool b) { return c ? a : b; }

}  // namespace tl
