// SPDX-License-Identifier: Apache-2.0
// Asks the processor itself: compilers' own feature tests do not know all of these.
#include "simd/isa.h"

#include <initializer_list>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tl {
namespace {

constexpr std::string_view names[] = {"base", "avx2", "avx512", "avx512fp16", "amx"};

#if defined(__x86_64__)
struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t part) {
  Registers r;
  if (!__get_cpuid_count(leaf, part, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

constexpr bool all(std::uint32_t word, std::initializer_list<int> bits) {
  for (int bit : bits)
    if (!(word >> bit & 1)) return false;
  return true;
}

// What the operating system saves of the registers at a switch.
std::uint64_t saved_registers() {
  if (!all(cpuid(1, 0).c, {27})) return 0;  // OSXSAVE
  std::uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Tiles are granted to a process that asks.
bool tiles_granted() {
  constexpr int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

Isa ask() {
  Registers one = cpuid(1, 0), seven = cpuid(7, 0);
  std::uint64_t saved = saved_registers();
  bool avx2 = all(one.c, {12, 28, 29}) && all(seven.b, {5, 8, 3}) &&
              (saved & 0x6) == 0x6;  // FMA AVX F16C, AVX2 BMI2 BMI1
  if (!avx2) return Isa::base;
  bool avx512 = all(seven.b, {16, 17, 28, 30, 31}) && (saved & 0xe6) == 0xe6;  // F DQ CD BW VL
  if (!avx512) return Isa::avx2;
  if (!all(seven.d, {23})) return Isa::avx512;                        // FP16
  bool amx = all(seven.d, {22, 24}) && (saved & 0x60000) == 0x60000;  // AMX-BF16, AMX-TILE
  return amx && tiles_granted() ? Isa::amx : Isa::avx512fp16;
}
#endif

}  // namespace

std::string_view name_of(Isa isa) { return names[static_cast<std::size_t>(isa)]; }

std::optional<Isa> isa_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(names); ++i)
    if (names[i] == name) return static_cast<Isa>(i);
  return std::nullopt;
}

#if defined(__x86_64__)
Isa best_isa() {
  static const Isa best = ask();
  return best;
}
bool has_avx512_bf16() { return best_isa() >= Isa::avx512 && all(cpuid(7, 1).a, {5}); }
#else
Isa best_isa() { return Isa::base; }
bool has_avx512_bf16() { return false; }
#endif

}  // namespace tl
