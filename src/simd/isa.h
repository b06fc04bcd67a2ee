// SPDX-License-Identifier: Apache-2.0
// Which instruction sets there are, which one this machine has, and how a kernel file exports its tables for
// each.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace tl {

// Ordered: each has all that the ones before it have. On Arm there is only base (NEON).
enum class Isa : std::uint8_t { base, avx2, avx512, avx512fp16, amx };

std::string_view name_of(Isa);  // "base", "avx2", "avx512", "avx512fp16", "amx"
std::optional<Isa> isa_named(std::string_view);
Isa best_isa();  // of this machine, by CPUID and what the system saves
bool has_avx512_bf16();

}  // namespace tl
