// SPDX-License-Identifier: Apache-2.0
// Random numbers by counter: element i of a stream depends on its seed and on i alone, so that any thread may make it.
#pragma once
#include <cstdint>

namespace tl {

class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed) : key_(mixed(seed + golden)) {}

  std::uint64_t bits(std::uint64_t i) const { return mixed(key_ + (i + 1) * golden); }
  // Uniform in [0, 1), a multiple of 2^-digits: with no more digits than a type has, rounding to it never gives 1.
  double uniform(std::uint64_t i, int digits = 53) const {
    return static_cast<double>(bits(i) >> (64 - digits)) / static_cast<double>(std::uint64_t{1} << digits);
  }

 private:
  static constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
  static std::uint64_t mixed(std::uint64_t z) {  // the finaliser of SplitMix64
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  std::uint64_t key_;
};

}  // namespace tl
