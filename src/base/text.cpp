// SPDX-License-Identifier: Apache-2.0
// Text: joining, splitting, nearest names, and making bytes of a file safe to print.
#include "base/text.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tl {

std::string join(std::span<const std::string> parts, std::string_view between) {
  std::string whole;
  for (std::size_t i = 0; i < parts.size(); ++i) whole.append(i ? between : "").append(parts[i]);
  return whole;
}

std::string join(std::span<const std::int64_t> parts, std::string_view between) {
  std::string whole;
  for (std::size_t i = 0; i < parts.size(); ++i)
    whole.append(i ? between : "").append(std::to_string(parts[i]));
  return whole;
}

std::vector<std::string_view> split(std::string_view whole, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    std::size_t end = whole.find(separator);
    parts.push_back(whole.substr(0, end));
    if (end == std::string_view::npos) return parts;
    whole.remove_prefix(end + 1);
  }
}

namespace {

std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      std::size_t change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// How many bytes of a valid UTF-8 character stand at the front, or 0.
std::size_t character(std::string_view at) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(at[i]); };
  std::size_t n = byte(0) < 0x80                      ? 1
                  : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4
                  : byte(0) >= 0xe0                   ? 3
                  : byte(0) >= 0xc2                   ? 2
                                                      : 0;
  if (byte(0) >= 0xf5 || n > at.size()) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return n;
}

}  // namespace

std::string_view closest(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t least = name.size() / 3 + 2;  // a third of the letters may be wrong, and one
  for (std::string_view candidate : candidates) {
    std::size_t longer = std::max(name.size(), candidate.size()),
                shorter = std::min(name.size(), candidate.size());
    if (longer - shorter >= least || longer > 64) continue;
    std::size_t edits = edits_between(name, candidate);
    if (edits < least && edits < longer) least = edits, best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best = closest(name, candidates);
  return best.empty() ? "" : text(" (did you mean '{}'?)", best);
}

std::string printable(std::string_view raw, std::size_t longest) {
  std::string safe;
  while (!raw.empty() && safe.size() < longest) {
    std::size_t n = character(raw);
    bool plain = n > 1 || (n == 1 && raw[0] >= ' ' && raw[0] != 0x7f);
    safe += plain ? std::string(raw.substr(0, n)) : text("\\x{:02x}", static_cast<unsigned char>(raw[0]));
    raw.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return raw.empty() ? safe : safe + "…";
}

}  // namespace tl
