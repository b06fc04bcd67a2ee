// SPDX-License-Identifier: Apache-2.0
// Random numbers as NumPy's RandomState draws them (Mersenne Twister, 53 bits; normals by the polar method),
// so that a model's random numbers can be checked against Python: RandomState(seed).uniform, .normal.
#pragma once
#include <cmath>
#include <cstdint>
#include <random>

namespace tl {

class RandomStream {
 public:
  // Seeds beyond 32 bits are folded: RandomState has no streams for them.
  explicit RandomStream(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed ^ seed >> 32)) {}

  // Uniform in [0, 1), a multiple of 2^-digits: with no more digits than a type has, rounding to it never
  // gives 1.
  double uniform(int digits = 53) {
    std::uint64_t high = engine_() >> 5, low = engine_() >> 6;
    std::uint64_t bits = high << 26 | low;
    return std::ldexp(static_cast<double>(bits >> (53 - digits)), -digits);
  }

  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double a, b, r;
    do {
      a = 2 * uniform() - 1;
      b = 2 * uniform() - 1;
      r = a * a + b * b;
    } while (r >= 1 || r == 0);
    double scale = std::sqrt(-2 * std::log(r) / r);
    spare_ = scale * a;
    has_spare_ = true;
    return scale * b;
  }

 private:
  std::mt19937 engine_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace tl
