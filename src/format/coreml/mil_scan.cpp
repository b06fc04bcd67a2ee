// SPDX-License-Identifier: Apache-2.0
// Names, numbers, strings, marks.
#include "format/coreml/mil_scan.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace tl::coreml {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool in_name(char c) { return is_letter(c) || is_digit(c) || c == '@' || c == '.' || c == '/'; }
bool in_number(char c) { return is_letter(c) || is_digit(c) || c == '.'; }

}  // namespace

std::size_t Scanner::line() const {
  return 1 + static_cast<std::size_t>(
                 std::count(source_.begin(), source_.begin() + static_cast<std::ptrdiff_t>(from_), '\n'));
}

void Scanner::fail(std::string_view expected) const {
  std::string found =
      next_.kind == Word::end ? "the end of the file" : text("'{}'", printable(next_.text, 40));
  throw Error(Code::bad_input, text("line {}: expected {} instead of {}", line(), expected, found));
}

void Scanner::expect(char c) {
  if (!take_if(c)) fail(text("'{}'", c));
}

std::string_view Scanner::expect_name(std::string_view what) {
  if (next_.kind != Word::name) fail(what);
  return take().text;
}

std::int64_t Scanner::expect_integer() {
  std::int64_t n = 0;
  const char* end = next_.text.data() + next_.text.size();
  if (next_.kind != Word::number) fail("an integer");
  if (auto [stop, wrong] = std::from_chars(next_.text.data(), end, n); wrong != std::errc() || stop != end)
    fail("an integer");
  advance();
  return n;
}

char Scanner::after_next() const {
  std::size_t at = at_;
  while (at < source_.size() && is_space(source_[at])) ++at;
  return at < source_.size() ? source_[at] : '\0';
}

void Scanner::skip_group() {
  std::size_t depth = 0;
  do {
    if (next_.kind == Word::end) fail("a closing bracket");
    if (at('(') || at('[') || at('{')) ++depth;
    if (at(')') || at(']') || at('}')) --depth;
    advance();
  } while (depth);
}

void Scanner::string_token(std::size_t from) {
  std::size_t at = from + 1;
  while (at < source_.size() && source_[at] != '"') at += source_[at] == '\\' ? 2 : 1;
  if (at >= source_.size()) {
    next_ = {Word::mark, source_.substr(from, 1)};
    fail("a string that ends");
  }
  next_ = {Word::string, source_.substr(from + 1, at - from - 1)};
  at_ = at + 1;
}

void Scanner::advance() {
  while (at_ < source_.size() && is_space(source_[at_])) ++at_;
  from_ = at_;
  if (at_ >= source_.size()) {
    next_ = {};
    return;
  }
  char c = source_[at_];
  if (c == '"') return string_token(at_);
  std::size_t end = at_ + 1;
  Word kind = Word::mark;
  if (is_letter(c)) {
    kind = Word::name;
    while (end < source_.size() && in_name(source_[end])) ++end;
  } else if (is_digit(c) ||
             ((c == '-' || c == '+' || c == '.') && end < source_.size() && in_number(source_[end]))) {
    kind = Word::number;  // with the signs of exponents: 0x1.8p-3, 1e+5
    auto exponent = [&](char e) {
      return e == 'p' || e == 'P' ||
             ((e == 'e' || e == 'E') && source_.substr(at_, end - at_).find('x') == std::string_view::npos);
    };
    while (end < source_.size() &&
           (in_number(source_[end]) ||
            ((source_[end] == '-' || source_[end] == '+') && exponent(source_[end - 1]))))
      ++end;
  }
  next_ = {kind, source_.substr(at_, end - at_)};
  at_ = end;
}

std::string_view unescaped(std::string_view raw, std::deque<std::string>& kept) {
  if (raw.find('\\') == std::string_view::npos) return raw;
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out += raw[i];
      continue;
    }
    char c = raw[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
  }
  return kept.emplace_back(std::move(out));
}

}  // namespace tl::coreml
