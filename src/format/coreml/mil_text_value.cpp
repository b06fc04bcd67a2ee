// SPDX-License-Identifier: Apache-2.0
// Types and literals of MIL text, in both dialects: tensor<int32, []>(1) and int32(1).
#include "format/coreml/mil_text_value.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/mil_value.h"

namespace tl::coreml {
namespace {

void check_depth(const Scanner& s, int depth) {
  if (depth > deepest)
    throw Error(Code::bad_input, text("line {}: nested deeper than {}", s.line(), deepest));
}

// ---- types

Dim parse_dim(Scanner& s) {
  if (s.take_if('?')) return unknown;
  std::int64_t n = s.expect_integer();
  if (n < 0 || n > std::int64_t{1} << 48)
    throw Error(Code::bad_input, text("line {}: {} is not a length", s.line(), n));
  return n;
}

Shape parse_shape(Scanner& s) {
  Shape out;
  s.expect('[');
  while (!s.at(']')) {
    out.push_back(parse_dim(s));
    if (out.size() > 32) s.fail("fewer dimensions");
    if (!s.take_if(',')) break;
  }
  s.expect(']');
  return out;
}

DType parse_dtype(Scanner& s) {
  std::optional<DType> dtype = s.peek().kind == Word::name ? dtype_named(s.peek().text) : std::nullopt;
  if (!dtype) s.fail("an element type");
  s.take();
  return *dtype;
}

TextType parse_compound(Scanner& s, std::string_view name, int depth) {
  TextType out{unranked(DType::f32), name == "tuple", {}};
  if (name == "tensor") {
    out.type.dtype = parse_dtype(s);
    s.expect(',');
    out.type = Type(out.type.dtype, parse_shape(s));
  } else if (name == "state") {
    Type inner = parse_type(s, depth + 1).type;
    if (!inner.is_tensor() || !inner.is_concrete()) s.fail("a state of a tensor of a fixed shape");
    out.type = state_of(inner.dtype, inner.shape);
  } else if (name == "list") {
    TextType element = parse_type(s, depth + 1);
    s.expect(',');
    out.type = list_of(element.type.dtype, element.type.shape, parse_dim(s));
    out.type.ranked = element.type.ranked;
    out.parts.push_back(std::move(element));
  } else if (name == "dict") {
    DType key = parse_type(s, depth + 1).type.dtype;
    s.expect(',');
    out.type = dictionary_of(key, parse_type(s, depth + 1).type.dtype);
  } else {
    while (!s.at('>')) {
      out.parts.push_back(parse_type(s, depth + 1));
      if (!s.take_if(',')) break;
    }
  }
  return out;
}

// ---- scalars

struct Scalars {  // of one tensor, in order
  std::vector<double> numbers = {};
  std::vector<std::int64_t> integers = {};
  std::vector<std::string> strings = {};
};

double parse_float(Scanner& s) {
  std::string_view word = s.peek().text, digits = word;
  bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  double x = 0;
  auto form = std::chars_format::general;
  if (digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0X") {
    digits.remove_prefix(2);
    form = std::chars_format::hex;
  }
  auto [stop, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), x, form);
  bool whole = stop == digits.data() + digits.size() && !digits.empty();
  if (!whole || (wrong != std::errc() && wrong != std::errc::result_out_of_range)) s.fail("a number");
  s.take();
  return negative ? -x : x;
}

std::int64_t parse_integer(Scanner& s) {
  std::string_view word = s.peek().text;
  std::int64_t n = 0;
  std::uint64_t big = 0;
  const char* end = word.data() + word.size();
  if (auto [stop, wrong] = std::from_chars(word.data(), end, n); wrong == std::errc() && stop == end)
    return s.take(), n;
  if (auto [stop, wrong] = std::from_chars(word.data(), end, big); wrong == std::errc() && stop == end)
    return s.take(), static_cast<std::int64_t>(big);
  double x = parse_float(s);  // a float where an integer is declared
  if (x != std::trunc(x) || std::abs(x) > 0x1p62) s.fail("an integer before");
  return static_cast<std::int64_t>(x);
}

void parse_scalar(Scanner& s, DType dtype, Scalars& to, std::deque<std::string>& kept) {
  const Token& next = s.peek();
  bool truth = s.at_name("true") || s.at_name("false");
  if (dtype == DType::string) {
    if (next.kind != Word::string) s.fail("a string");
    to.strings.emplace_back(unescaped(s.take().text, kept));
  } else if (truth) {
    bool value = s.take().text == "true";
    to.integers.push_back(value);
    to.numbers.push_back(value);
  } else if (next.kind != Word::number && !s.at_name("inf") && !s.at_name("nan") && !s.at_name("infinity")) {
    s.fail("a value");
  } else if (is_float(dtype)) {
    to.numbers.push_back(parse_float(s));
  } else {
    to.integers.push_back(parse_integer(s));
  }
}

void parse_scalars(Scanner& s, DType dtype, Scalars& to, std::deque<std::string>& kept, int depth) {
  check_depth(s, depth);
  if (!s.take_if('[')) return parse_scalar(s, dtype, to, kept);
  while (!s.at(']')) {
    parse_scalars(s, dtype, to, kept, depth + 1);
    if (!s.take_if(',')) break;
  }
  s.expect(']');
}

// ---- values

BlobRef parse_blob(Scanner& s, std::deque<std::string>& kept) {
  BlobRef out;
  s.take();
  s.expect('(');
  while (!s.at(')')) {
    std::string_view name = s.expect_name("path or offset");
    s.expect('=');
    bool typed = s.peek().kind == Word::name;
    if (typed) parse_type(s), s.expect('(');
    if (name == "path" && s.peek().kind == Word::string) out.file = unescaped(s.take().text, kept);
    else if (name == "offset" && s.peek().kind == Word::number)
      out.offset = static_cast<std::uint64_t>(s.expect_integer());
    else s.fail("a path or an offset");
    if (typed) s.expect(')');
    if (!s.take_if(',')) break;
  }
  s.expect(')');
  return out;
}

Tensor made(const Scanner& s, Scalars& scalars, const Type& type) {
  return with_note([&] { return text("line {}", s.line()); },
                   [&] {
                     if (!type.is_concrete())
                       throw Error(Code::bad_input, text("a value cannot be of type {}", text_of(type)));
                     if (type.dtype == DType::string)
                       return tensor_of_strings(std::move(scalars.strings), type.shape);
                     if (is_float(type.dtype))
                       return tensor_of_numbers(scalars.numbers, type.dtype, type.shape);
                     return tensor_of_integers(scalars.integers, type.dtype, type.shape);
                   });
}

MilValue parse_value(Scanner& s, const TextType& type, std::deque<std::string>& kept, int depth);

// An element of a list or tuple: with its type, or bare, and then of the type that the list says.
MilValue parse_part(Scanner& s, const TextType& whole, std::size_t i, std::deque<std::string>& kept,
                    int depth) {
  if (at_type(s)) return parse_literal(s, kept, depth + 1);
  if (whole.parts.empty()) return parse_literal(s, kept, depth + 1);
  return parse_value(s, whole.parts[std::min(i, whole.parts.size() - 1)], kept, depth + 1);
}

std::vector<MilValue> parse_parts(Scanner& s, const TextType& type, std::deque<std::string>& kept,
                                  int depth) {
  std::vector<MilValue> out;
  char close = s.at('(') ? ')' : s.at('[') ? ']' : s.at('{') ? '}' : '\0';
  if (close) s.take();
  while (!s.at(close ? close : ')')) {
    out.push_back(parse_part(s, type, out.size(), kept, depth));
    if (!s.take_if(',')) break;
  }
  if (close) s.expect(close);
  return out;
}

MilValue parse_value(Scanner& s, const TextType& type, std::deque<std::string>& kept, int depth) {
  check_depth(s, depth);
  MilValue out{type.type, {}};
  if (s.at_name("BLOBFILE")) {
    out.content = parse_blob(s, kept);
  } else if (type.tuple || type.type.kind == Type::Kind::list) {
    out.content = parse_parts(s, type, kept, depth);
  } else if (type.type.kind == Type::Kind::dictionary) {
    s.skip_group();  // only in attributes that say nothing of the computation
  } else {
    Scalars scalars;
    parse_scalars(s, type.type.dtype, scalars, kept, depth);
    out.content = made(s, scalars, type.type);
  }
  return out;
}

DType dtype_of_bare(const Token& token) {
  if (token.kind == Word::string) return DType::string;
  if (token.kind == Word::name)
    return token.text == "true" || token.text == "false" ? DType::boolean : DType::f32;
  return token.text.find_first_of(".xpn") == std::string_view::npos ? DType::i32 : DType::f32;
}

}  // namespace

bool at_type(const Scanner& s) {
  if (s.peek().kind != Word::name) return false;
  char after = s.after_next();
  return after == '<' || (dtype_named(s.peek().text) && after != ',' && after != ')');
}

bool at_literal(const Scanner& s) {
  const Token& next = s.peek();
  if (next.kind == Word::number || next.kind == Word::string) return true;
  if (next.kind != Word::name) return false;
  return next.text == "true" || next.text == "false" || s.after_next() == '<' || s.after_next() == '(';
}

TextType parse_type(Scanner& s, int depth) {
  check_depth(s, depth);
  std::string_view name = s.peek().text;
  bool compound = name == "tensor" || name == "state" || name == "list" || name == "tuple" || name == "dict";
  if (s.peek().kind != Word::name || !compound) return {Type(parse_dtype(s), {}), false, {}};
  s.take();
  s.expect('<');
  TextType out = parse_compound(s, name, depth);
  s.expect('>');
  return out;
}

MilValue parse_literal(Scanner& s, std::deque<std::string>& kept, int depth) {
  check_depth(s, depth);
  if (s.at('(')) return parse_value(s, {unranked(DType::f32), true, {}}, kept, depth + 1);
  if (!at_type(s)) return parse_value(s, {Type(dtype_of_bare(s.peek()), {}), false, {}}, kept, depth + 1);
  TextType type = parse_type(s, depth + 1);
  s.expect('(');
  MilValue out = parse_value(s, type, kept, depth + 1);
  s.expect(')');
  return out;
}

}  // namespace tl::coreml
