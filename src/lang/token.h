// SPDX-License-Identifier: Apache-2.0
// The words of the language: what the scanner makes of text and the parser reads.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "lang/source.h"

namespace tl::lang {

enum class Tok : std::uint8_t {
  end,
  name,
  integer,
  number,
  string,
  fstring,
  bad,
  // punctuation
  lparen,
  rparen,
  lbracket,
  rbracket,
  lbrace,
  rbrace,
  comma,
  semicolon,
  colon,
  colons,
  dot,
  range,
  range_closed,
  ellipsis,
  assign,
  plus_assign,
  max_assign,
  min_assign,
  avg_assign,
  prod_assign,
  fat_arrow,
  thin_arrow,
  bar,
  query,
  dollar,
  // operators
  oror,
  andand,
  bang,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  close_to,
  plus,
  minus,
  star,
  slash,
  percent,
  at,
  odot,
  power,
  caret,
  outer,
  floor_slash,  // '/' inside an index: made by the parser
  // reserved words, in the order of `keywords` in scan.cpp
  kw_let,
  kw_fn,
  kw_struct,
  kw_impl,
  kw_for,
  kw_in,
  kw_if,
  kw_else,
  kw_while,
  kw_loop,
  kw_break,
  kw_continue,
  kw_return,
  kw_match,
  kw_import,
  kw_entity,
  kw_relation,
  kw_embedding,
  kw_tensor,
  kw_learnable,
  kw_frozen,
  kw_learn,
  kw_infer,
  kw_main,
  kw_test,
  kw_bench,
  kw_where,
  kw_and,
  kw_or,
  kw_not,
  kw_true,
  kw_false,
  kw_none,
  kw_void,
  kw_as,
  kw_python,
};

constexpr bool is_keyword(Tok t) { return t >= Tok::kw_let; }

struct Token {
  Tok kind = Tok::end;
  bool space_before = false;  // f (x) is a product, f(x) a call
  bool line_before = false;   // first of its line
  Place place = {};
  std::string_view text = {};  // as it stands in the source
  std::string string = {};     // of a string: its value
  std::int64_t integer = 0;
  double number = 0;
};

// "'+'", "the end of the file", "a string": a token in the user's words.
std::string describe(const Token& token);

// The reserved word of a keyword token.
std::string_view spelling(Tok keyword);

}  // namespace tl::lang
