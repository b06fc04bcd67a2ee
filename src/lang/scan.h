// SPDX-License-Identifier: Apache-2.0
// Text -> tokens. Never fails: what cannot be read is reported and skipped.
#pragma once
#include <vector>

#include "lang/diagnostic.h"
#include "lang/token.h"

namespace tl::lang {

// Tokens of the bytes [begin, end) of the source, ending in one Tok::end.
std::vector<Token> scan(const Source& source, std::uint32_t begin, std::uint32_t end, Diagnostics& errors);
std::vector<Token> scan(const Source& source, Diagnostics& errors);

// One filled-in text: f"{expr:.3f} of". Literal parts have no expression.
struct FormatPart {
  std::string literal = {};
  std::uint32_t begin = 0, end = 0;  // of the expression; equal: a literal
  std::string format = {};           // after the colon
};
std::vector<FormatPart> split_format(const Token& fstring, Diagnostics& errors);

// Whether a prompt should ask for another line: brackets, a string or a comment are open, or the line ends in
// an operator.
bool is_incomplete(const Source& source);

std::vector<std::string_view> reserved_words();

}  // namespace tl::lang
