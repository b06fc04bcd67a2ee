// SPDX-License-Identifier: Apache-2.0
// The table of chips.
#include "explain/chip.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl::explain {
namespace {

constexpr Chip table[] = {
#define CHIP(...) {__VA_ARGS__},
#include "explain/chip.def"
#undef CHIP
};

// "m1-pro", "M1Pro" and "M1 Pro" are one.
std::string plain(std::string_view name) {
  std::string out;
  for (char c : name)
    if (c != ' ' && c != '-' && c != '_') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

}  // namespace

std::span<const Chip> chips() { return table; }

const Chip& chip_named(std::string_view name) {
  std::string all;
  for (const Chip& chip : table) {
    if (plain(chip.name) == plain(name)) return chip;
    all += text("{}{}", all.empty() ? "" : ", ", chip.name);
  }
  throw Error(Code::bad_use, text("there is no chip '{}'; the chips are {}", printable(name), all));
}

bool covers(const AneChips& range, const Chip& chip) {
  int first = chip.line == 'A' ? range.a_first : range.m_first;
  int last = chip.line == 'A' ? range.a_last : range.m_last;
  return chip.generation >= first && chip.generation <= last;
}

}  // namespace tl::explain
