// SPDX-License-Identifier: Apache-2.0
// 16-bit floats as they are stored. Arithmetic is never done in them: values are widened when loaded and
// rounded once, to nearest even, when stored.
#pragma once
#include <bit>
#include <cstdint>

namespace tl {

struct Half {
  std::uint16_t bits = 0;
};

struct BFloat {
  std::uint16_t bits = 0;
};

inline float to_float(Half h) {
  std::uint32_t sign = std::uint32_t{h.bits & 0x8000u} << 16, magnitude = h.bits & 0x7fffu;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;  // exact, subnormals included
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | sign);
}

inline float to_float(BFloat b) { return std::bit_cast<float>(std::uint32_t{b.bits} << 16); }

inline Half to_half(float x) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(x), sign = bits >> 16 & 0x8000u,
                magnitude = bits & 0x7fffffffu;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000u) half = 0x7e00;
  else if (magnitude >= 0x477ff000u) half = 0x7c00;  // 65520 and more round to infinity
  else if (magnitude < 0x38800000u)
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  else half = (magnitude + 0xc8000fffu + (magnitude >> 13 & 1)) >> 13;
  return {static_cast<std::uint16_t>(sign | half)};
}

// From double the way must not lead through float: that would round twice.
inline float round_to_odd(double x) {
  float near = static_cast<float>(x);
  auto bits = std::bit_cast<std::uint32_t>(near);
  if (static_cast<double>(near) == x || near != near || (bits & 1)) return near;
  bool away = (static_cast<double>(near) > x) == (x > 0);  // |near| > |x|: step back to the odd neighbour
  return std::bit_cast<float>(away ? bits - 1 : bits + 1);
}

inline Half to_half(double x) { return to_half(round_to_odd(x)); }
inline double to_double(Half h) { return to_float(h); }
inline double to_double(BFloat b) { return to_float(b); }

inline BFloat to_bfloat(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16)};
}
inline BFloat to_bfloat(double x) { return to_bfloat(round_to_odd(x)); }

}  // namespace tl
