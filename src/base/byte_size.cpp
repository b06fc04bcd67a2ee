// SPDX-License-Identifier: Apache-2.0
// A number and perhaps a unit of 1024 bytes or a power of it.
#include "base/byte_size.h"

#include <cstdio>
#include <string_view>

namespace tl {

std::optional<std::uint64_t> byte_size(const std::string& text) {
  constexpr std::string_view units = "KMGT";
  constexpr double most = 1e18;
  char unit = 0, more = 0;
  double n = 0;
  int read = std::sscanf(text.c_str(), "%lf%c%c", &n, &unit, &more);
  std::size_t power = read >= 2 ? units.find(unit) + 1 : 0;
  if (read < 1 || read > 2 || !(n >= 0) || (read == 2 && power == 0)) return std::nullopt;
  for (; power > 0; --power) n *= 1024;
  return n <= most ? std::optional(static_cast<std::uint64_t>(n)) : std::nullopt;
}

}  // namespace tl
