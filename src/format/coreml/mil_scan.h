// SPDX-License-Identifier: Apache-2.0
// The words of MIL text, one ahead.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace tl::coreml {

enum class Word : std::uint8_t { end, name, number, string, mark };

struct Token {
  Word kind = Word::end;
  std::string_view text = {};  // of a string: without its quotes, escapes untouched
  bool is(char c) const { return kind == Word::mark && text[0] == c; }
};

class Scanner {
 public:
  explicit Scanner(std::string_view source) : source_(source) { advance(); }

  const Token& peek() const { return next_; }
  Token take() {
    Token token = next_;
    advance();
    return token;
  }
  bool at(char c) const { return next_.is(c); }
  bool at_name(std::string_view name) const { return next_.kind == Word::name && next_.text == name; }
  bool take_if(char c) {
    bool there = at(c);
    if (there) advance();
    return there;
  }
  void expect(char c);
  std::string_view expect_name(std::string_view what);
  std::int64_t expect_integer();
  // What follows the next word, spaces left out; 0 at the end.
  char after_next() const;
  // Skips from an opening bracket to the one that closes it.
  void skip_group();

  [[noreturn]] void fail(std::string_view expected) const;  // "line 3: expected x instead of 'y'"
  std::size_t line() const;

 private:
  void advance();
  void string_token(std::size_t from);

  std::string_view source_;
  std::size_t at_ = 0;    // after next_
  std::size_t from_ = 0;  // where next_ begins
  Token next_ = {};
};

// A string's content; with escapes, it is put into `kept`.
std::string_view unescaped(std::string_view raw, std::deque<std::string>& kept);

}  // namespace tl::coreml
