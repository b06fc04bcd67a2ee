// SPDX-License-Identifier: Apache-2.0
// The scanner: one pass over the bytes. Strings are unescaped here, f-strings are cut by split_format().
#include "lang/scan.h"

#include <array>
#include <charconv>
#include <string>

#include "base/text.h"

namespace tl::lang {

namespace {

constexpr std::array<std::string_view, 36> keywords = {
    "let",    "fn",        "struct",   "impl",   "for",   "in",     "if",     "else",     "while",
    "loop",   "break",     "continue", "return", "match", "import", "entity", "relation", "embedding",
    "tensor", "learnable", "frozen",   "learn",  "infer", "main",   "test",   "bench",    "where",
    "and",    "or",        "not",      "true",   "false", "none",   "void",   "as",       "python"};
static_assert(static_cast<int>(Tok::kw_python) - static_cast<int>(Tok::kw_let) + 1 == keywords.size());

struct Sign {
  std::string_view text;
  Tok kind;
};
// Longer ones first: the first that fits is taken.
constexpr Sign signs[] = {{"..=", Tok::range_closed},
                          {"...", Tok::ellipsis},
                          {"**", Tok::power},
                          {"==", Tok::equal},
                          {"!=", Tok::unequal},
                          {"<=", Tok::less_equal},
                          {">=", Tok::greater_equal},
                          {"=>", Tok::fat_arrow},
                          {"->", Tok::thin_arrow},
                          {"||", Tok::oror},
                          {"&&", Tok::andand},
                          {"..", Tok::range},
                          {"::", Tok::colons},
                          {"+=", Tok::plus_assign},
                          {"≈", Tok::close_to},
                          {"⊙", Tok::odot},
                          {"⊗", Tok::outer},
                          {"…", Tok::ellipsis},
                          {"(", Tok::lparen},
                          {")", Tok::rparen},
                          {"[", Tok::lbracket},
                          {"]", Tok::rbracket},
                          {"{", Tok::lbrace},
                          {"}", Tok::rbrace},
                          {",", Tok::comma},
                          {";", Tok::semicolon},
                          {":", Tok::colon},
                          {".", Tok::dot},
                          {"=", Tok::assign},
                          {"|", Tok::bar},
                          {"?", Tok::query},
                          {"$", Tok::dollar},
                          {"!", Tok::bang},
                          {"<", Tok::less},
                          {">", Tok::greater},
                          {"+", Tok::plus},
                          {"-", Tok::minus},
                          {"*", Tok::star},
                          {"/", Tok::slash},
                          {"%", Tok::percent},
                          {"@", Tok::at},
                          {"^", Tok::caret}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

void append_utf8(std::string& to, std::uint32_t c) {
  auto put = [&](std::uint32_t byte) { to += static_cast<char>(byte); };
  if (c < 0x80) return put(c);
  if (c < 0x800) return put(0xc0 | c >> 6), put(0x80 | (c & 0x3f));
  if (c < 0x10000) return put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
  put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 0x3f)), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
}

class Scanner {
 public:
  Scanner(const Source& source, std::uint32_t begin, std::uint32_t end, Diagnostics& errors)
      : source_(source), text_(source.text), at_(begin), end_(end), errors_(errors) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    do tokens.push_back(next());
    while (tokens.back().kind != Tok::end);
    return tokens;
  }

 private:
  char peek(std::uint32_t ahead = 0) const { return at_ + ahead < end_ ? text_[at_ + ahead] : '\0'; }
  std::string_view rest() const { return text_.substr(at_, end_ - at_); }
  Place from(std::uint32_t begin) const { return {&source_, begin, at_}; }

  Token next() {
    Token token;
    skip_blanks(token);
    std::uint32_t begin = at_;
    if (at_ >= end_) token.kind = Tok::end, token.line_before = true;
    else if (peek() == '"') scan_string(token);
    else if (peek() == 'f' && peek(1) == '"') ++at_, scan_fstring(token);
    else if (is_digit(peek())) scan_number(token);
    else if (!scan_sign(token)) scan_word(token);
    token.place = from(begin);
    token.text = text_.substr(begin, at_ - begin);
    return token;
  }

  void skip_blanks(Token& token) {
    while (at_ < end_) {
      char c = peek();
      if (c == '\n') token.line_before = true;
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') ++at_;
      else if (rest().starts_with("//"))
        at_ = static_cast<std::uint32_t>(std::min<std::size_t>(text_.find('\n', at_), end_));
      else if (rest().starts_with("/*")) skip_comment(token);
      else if (rest().starts_with("\xef\xbb\xbf") && at_ == 0) at_ += 3;  // a byte order mark
      else if (c == '#' && peek(1) == '!' && at_ == 0)
        at_ = static_cast<std::uint32_t>(std::min<std::size_t>(text_.find('\n'), end_));
      else return;
      token.space_before = true;
    }
  }

  void skip_comment(Token& token) {
    std::uint32_t begin = at_;
    int depth = 0;
    while (at_ < end_) {
      if (rest().starts_with("/*")) ++depth, at_ += 2;
      else if (rest().starts_with("*/")) {
        at_ += 2;
        if (--depth == 0) return;
      } else token.line_before |= text_[at_++] == '\n';
    }
    errors_.error({&source_, begin, begin + 2}, "this comment is not closed: '*/' is missing");
  }

  bool scan_sign(Token& token) {
    for (const Sign& sign : signs) {
      if (!rest().starts_with(sign.text)) continue;
      at_ += static_cast<std::uint32_t>(sign.text.size());
      token.kind = sign.kind;
      return true;
    }
    return false;
  }

  void scan_word(Token& token) {
    std::uint32_t begin = at_;
    if (!is_letter(peek())) {
      ++at_;
      token.kind = Tok::bad;
      errors_.error(from(begin), peek_bad(text_[begin]));
      return;
    }
    while (is_letter(peek()) || is_digit(peek())) {
      if (rest().starts_with("≈") || rest().starts_with("⊙") || rest().starts_with("⊗") ||
          rest().starts_with("…"))
        break;
      ++at_;
    }
    while (peek() == '\'') ++at_;
    std::string_view word = text_.substr(begin, at_ - begin);
    token.kind = Tok::name;
    for (std::size_t i = 0; i < keywords.size(); ++i)
      if (keywords[i] == word) token.kind = static_cast<Tok>(static_cast<std::size_t>(Tok::kw_let) + i);
    if (peek() == '=' && peek(1) != '=' && token.kind == Tok::name) scan_combining(token, word);
    if (printable(word, word.size() * 4) != word) errors_.error(from(begin), "the text is not UTF-8");
  }

  void scan_combining(Token& token, std::string_view word) {
    Tok kind = word == "max"    ? Tok::max_assign
               : word == "min"  ? Tok::min_assign
               : word == "avg"  ? Tok::avg_assign
               : word == "prod" ? Tok::prod_assign
                                : Tok::name;
    if (kind == Tok::name || peek(1) == '>') return;
    ++at_;
    token.kind = kind;
  }

  static std::string peek_bad(char c) {
    if (c == '\'') return "strings are written with double quotes";
    if (c == '&') return "a single '&' means nothing here: write '&&' or 'and'";
    if (c == '#') return "'#' means nothing here: comments begin with '//'";
    return text("'{}' means nothing here", printable(std::string_view(&c, 1)));
  }

  void scan_number(Token& token) {
    std::string digits;
    std::uint32_t begin = at_;
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) return scan_hexadecimal(token);
    auto take = [&] {
      while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) {
        if (peek() != '_') digits += peek();
        ++at_;
      }
    };
    token.kind = Tok::integer;
    take();
    if (peek() == '.' && is_digit(peek(1))) token.kind = Tok::number, digits += '.', ++at_, take();
    else if (peek() == '.' && peek(1) != '.' && !is_letter(peek(1))) trailing_dot(token);
    std::uint32_t sign = peek(1) == '+' || peek(1) == '-';
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      token.kind = Tok::number;
      digits += text_.substr(at_, 1 + sign);
      at_ += 1 + sign;
      take();
    }
    auto ends = digits.data() + digits.size();
    if (token.kind == Tok::integer && std::from_chars(digits.data(), ends, token.integer).ec != std::errc())
      errors_.error(from(begin), "this integer does not fit 64 bits");
    auto parsed = std::from_chars(digits.data(), ends, token.number);
    if (token.kind == Tok::number && parsed.ec != std::errc() && digits.find('-') == std::string::npos)
      errors_.error(from(begin), "this number is too large");
  }

  // "1." is a number for NumPy's users; "x[1.]" cannot be meant, so nothing is lost.
  void trailing_dot(Token& token) {
    token.kind = Tok::number;
    ++at_;
  }

  void scan_hexadecimal(Token& token) {
    std::uint32_t begin = at_;
    at_ += 2;
    std::string digits;
    while (std::isxdigit(static_cast<unsigned char>(peek())) || peek() == '_') {
      if (peek() != '_') digits += peek();
      ++at_;
    }
    token.kind = Tok::integer;
    auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, 16);
    if (digits.empty()) errors_.error(from(begin), "hexadecimal digits are missing after '0x'");
    else if (parsed.ec != std::errc()) errors_.error(from(begin), "this integer does not fit 64 bits");
    token.number = static_cast<double>(token.integer);
  }

  void scan_string(Token& token) {
    std::uint32_t begin = at_++;
    token.kind = Tok::string;
    while (at_ < end_ && peek() != '"' && peek() != '\n') scan_character(token.string);
    close_string(begin);
    if (printable(token.string, 0) == "…" && !is_utf8(token.string))
      errors_.error(from(begin), "the text is not UTF-8");
  }

  static bool is_utf8(const std::string& s) {
    for (std::size_t i = 0; i < s.size();) {
      auto lead = static_cast<unsigned char>(s[i]);
      std::size_t n = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
      if (n == 0 || i + n > s.size()) return false;
      for (std::size_t k = 1; k < n; ++k)
        if ((static_cast<unsigned char>(s[i + k]) & 0xc0) != 0x80) return false;
      i += n;
    }
    return true;
  }

  void close_string(std::uint32_t begin) {
    if (peek() == '"') ++at_;
    else errors_.error({&source_, begin, begin + 1}, "this string is not closed: '\"' is missing");
  }

 public:
  // One character of a string, unescaped.
  void scan_character(std::string& to) {
    char c = text_[at_++];
    if (c != '\\') return void(to += c);
    std::uint32_t begin = at_ - 1;
    char escaped = peek();
    if (at_ < end_) ++at_;
    if (escaped == 'n') to += '\n';
    else if (escaped == 't') to += '\t';
    else if (escaped == 'r') to += '\r';
    else if (escaped == '0') to += '\0';
    else if (escaped == '"' || escaped == '\\') to += escaped;
    else if (escaped == 'u') scan_code_point(to, begin);
    else errors_.error(from(begin), "unknown escape: there are \\n \\t \\r \\0 \\\" \\\\ and \\u{…}");
  }

 private:
  void scan_code_point(std::string& to, std::uint32_t begin) {
    std::uint32_t code = 0;
    std::size_t close = rest().find('}');
    std::string_view digits =
        peek() == '{' && close != std::string_view::npos ? rest().substr(1, close - 1) : "";
    auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    bool fine = !digits.empty() && parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
    if (!fine || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      return errors_.error(from(begin), "a character by number is written \\u{1F600}");
    at_ += static_cast<std::uint32_t>(close + 1);
    append_utf8(to, code);
  }

  // Only finds the end; a string inside {…} may hold quotes and braces of its own.
  void scan_fstring(Token& token) {
    std::uint32_t begin = at_++;
    int depth = 0;
    token.kind = Tok::fstring;
    while (at_ < end_ && peek() != '\n' && (depth > 0 || peek() != '"')) {
      char c = text_[at_++];
      if (depth == 0 && (c == '\\' || ((c == '{' || c == '}') && peek() == c))) ++at_;
      else if (c == '{') ++depth;
      else if (c == '}' && depth > 0) --depth;
      else if (c == '"') skip_inner_string();
    }
    at_ = std::min(at_, end_);
    close_string(begin);
  }

  void skip_inner_string() {
    while (at_ < end_ && peek() != '"' && peek() != '\n') at_ += peek() == '\\' ? 2 : 1;
    at_ = std::min(at_ + (peek() == '"'), end_);
  }

  const Source& source_;
  std::string_view text_;
  std::uint32_t at_, end_;
  Diagnostics& errors_;
};

// The ends of the expression and of its braces, from just after '{'.
struct Field {
  std::uint32_t colon = 0, close = 0;
};

Field find_field(std::string_view whole, std::uint32_t at, std::uint32_t end) {
  Field field;
  int depth = 0;
  for (; at < end; ++at) {
    char c = whole[at];
    if (c == '"') {
      for (++at; at < end && whole[at] != '"'; ++at) at += whole[at] == '\\';
    } else if (c == '(' || c == '[' || c == '{') ++depth;
    else if (c == '}' && depth == 0) break;
    else if (c == ')' || c == ']' || c == '}') --depth;
    else if (c == ':' && depth == 0 && !field.colon) field.colon = at;
  }
  field.close = at;
  if (!field.colon || field.colon > at) field.colon = at;
  return field;
}

}  // namespace

std::vector<Token> scan(const Source& source, std::uint32_t begin, std::uint32_t end, Diagnostics& errors) {
  return Scanner(source, begin, end, errors).run();
}

std::vector<Token> scan(const Source& source, Diagnostics& errors) {
  return scan(source, 0, static_cast<std::uint32_t>(source.text.size()), errors);
}

std::vector<FormatPart> split_format(const Token& fstring, Diagnostics& errors) {
  const Source& source = *fstring.place.source;
  std::string_view whole = source.text;
  std::uint32_t at = fstring.place.begin + 2, end = fstring.place.end;
  if (end > at && whole[end - 1] == '"') --end;
  std::vector<FormatPart> parts(1);
  while (at < end) {
    char c = whole[at];
    bool doubled = at + 1 < end && whole[at + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      parts.back().literal += c;
      at += 2;
    } else if (c == '{') {
      Field field = find_field(whole, at + 1, end);
      if (field.close >= end)
        return errors.error({&source, at, at + 1}, "this '{' is not closed: '}' is missing"), parts;
      parts.push_back({"", at + 1, field.colon, ""});
      if (field.colon < field.close)
        parts.back().format = whole.substr(field.colon + 1, field.close - field.colon - 1);
      parts.emplace_back();
      at = field.close + 1;
    } else if (c == '}') {
      errors.error({&source, at, at + 1}, "a brace in an f-string is written '}}'");
      ++at;
    } else {
      std::uint32_t next = at + 1;
      if (c == '\\') next = std::min(at + 2, end);
      while (c == '\\' && at + 1 < end && whole[at + 1] == 'u' && next < end && whole[next - 1] != '}')
        ++next;
      Source piece{source.name, {}};
      Scanner one(source, at, next, errors);
      one.scan_character(parts.back().literal);
      at = next;
    }
  }
  return parts;
}

bool is_incomplete(const Source& source) {
  Diagnostics errors;
  int depth = 0;
  std::vector<Token> tokens = scan(source, errors);
  for (const Token& token : tokens) {
    depth += token.kind == Tok::lparen || token.kind == Tok::lbracket || token.kind == Tok::lbrace;
    depth -= token.kind == Tok::rparen || token.kind == Tok::rbracket || token.kind == Tok::rbrace;
  }
  for (const Diagnostic& d : errors.all())
    if (d.message.starts_with("this comment")) return true;
  if (depth > 0) return true;
  if (tokens.size() < 2) return false;
  Tok last = tokens[tokens.size() - 2].kind;
  return last == Tok::comma || last == Tok::assign || last == Tok::colon ||
         (last >= Tok::oror && last <= Tok::outer);
}

std::vector<std::string_view> reserved_words() { return {keywords.begin(), keywords.end()}; }

std::string_view spelling(Tok keyword) {
  return keywords[static_cast<std::size_t>(keyword) - static_cast<std::size_t>(Tok::kw_let)];
}

std::string describe(const Token& token) {
  if (token.kind == Tok::end) return "the end";
  if (token.kind == Tok::string || token.kind == Tok::fstring) return "a string";
  return "'" + printable(token.text, 40) + "'";
}

}  // namespace tl::lang
