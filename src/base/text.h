// SPDX-License-Identifier: Apache-2.0
// Text: filling in, joining, splitting, and the name a user probably meant.
#pragma once
#include <fmt/core.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

// text("{} of {}", a, b), as std::format.
template <class... T> std::string text(fmt::format_string<T...> form, T&&... values) {
  return fmt::vformat(form, fmt::make_format_args(values...));
}

std::string join(std::span<const std::string> parts, std::string_view between);
std::string join(std::span<const std::int64_t> parts, std::string_view between);

// The parts between separators, empty ones included.
std::vector<std::string_view> split(std::string_view whole, char separator);

// The candidate that differs least from name, or "" if none is close.
std::string_view closest(std::string_view name, std::span<const std::string_view> candidates);

// " (did you mean 'relu'?)" or "".
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

// Safe to print: control characters and broken UTF-8 become \x.., and long text is cut.
std::string printable(std::string_view raw, std::size_t longest = 80);

}  // namespace tl
