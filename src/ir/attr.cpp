// SPDX-License-Identifier: Apache-2.0
// Attributes: lookup, defaults, checking, and their printed form.
#include "ir/attr.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

[[noreturn]] void bad(std::string_view what, std::string_view text_given) {
  throw Error(Code::bad_input, text("'{}' is not {}", printable(text_given), what));
}

template <class T> T parse_number(std::string_view s, std::string_view what) {
  T value{};
  if (s.starts_with('+')) s.remove_prefix(1);
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size()) bad(what, s);
  return value;
}

double parse_double(std::string_view s) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (s == "inf") return infinity;
  if (s == "-inf") return -infinity;
  if (s == "nan") return std::numeric_limits<double>::quiet_NaN();
  return parse_number<double>(s, "a number");
}

// The items of "[a, b]"; commas inside quotes do not separate.
std::vector<std::string> items(std::string_view s) {
  if (s.size() < 2 || s.front() != '[' || s.back() != ']') return {std::string(s)};
  std::vector<std::string> parts;
  std::string part;
  bool quoted = false, any = false;
  for (char c : s.substr(1, s.size() - 2)) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) parts.emplace_back(trimmed(part)), part.clear();
    else part += c;
    any = any || c != ' ';
  }
  if (any) parts.emplace_back(trimmed(part));
  return parts;
}

std::string unquoted(std::string_view s) {
  if (s.size() < 2 || s.front() != '"' || s.back() != '"') return std::string(s);
  std::string plain;
  s = s.substr(1, s.size() - 2);
  for (std::size_t i = 0; i < s.size(); ++i) plain += s[i] == '\\' && i + 1 < s.size() ? s[++i] : s[i];
  return plain;
}

std::string quoted(std::string_view s) {
  std::string q = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') q += '\\';
    q += c;
  }
  return q + '"';
}

template <class T, class Parse> std::vector<T> each(std::string_view s, const Parse& parse) {
  std::vector<T> values;
  for (const std::string& item : items(s)) values.push_back(parse(item));
  return values;
}

std::string number_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  std::string shortest = text("{}", x);
  return shortest.find_first_of(".en") == std::string::npos ? shortest + ".0" : shortest;
}

bool is_whole(double x) { return std::trunc(x) == x && std::fabs(x) < 0x1p53; }

// The value as the kind that the definition wants, or nothing.
std::optional<AttrValue> as_kind(const AttrValue& given, AttrKind kind) {
  if (given.index() == static_cast<std::size_t>(kind)) return given;
  const auto* whole = std::get_if<std::int64_t>(&given);
  const auto* real = std::get_if<double>(&given);
  const auto* truth = std::get_if<bool>(&given);
  const auto* wholes = std::get_if<std::vector<std::int64_t>>(&given);
  const auto* reals = std::get_if<std::vector<double>>(&given);
  const auto* words = std::get_if<std::vector<std::string>>(&given);
  bool empty = (wholes && wholes->empty()) || (reals && reals->empty()) || (words && words->empty());
  switch (kind) {
    case AttrKind::number:
      if (whole) return static_cast<double>(*whole);
      if (truth) return *truth ? 1.0 : 0.0;
      break;
    case AttrKind::integer:
      if (truth) return std::int64_t{*truth};
      if (real && is_whole(*real)) return static_cast<std::int64_t>(*real);
      if (wholes && wholes->size() == 1) return wholes->front();
      break;
    case AttrKind::boolean:
      if (whole && (*whole == 0 || *whole == 1)) return *whole == 1;
      break;
    case AttrKind::integers:
      if (whole) return std::vector{*whole};
      if (empty) return std::vector<std::int64_t>{};
      if (reals && std::all_of(reals->begin(), reals->end(), is_whole))
        return std::vector<std::int64_t>(reals->begin(), reals->end());
      break;
    case AttrKind::numbers:
      if (whole) return std::vector{static_cast<double>(*whole)};
      if (real) return std::vector{*real};
      if (empty) return std::vector<double>{};
      if (wholes) return std::vector<double>(wholes->begin(), wholes->end());
      break;
    case AttrKind::words:
      if (const auto* word = std::get_if<std::string>(&given)) return std::vector{*word};
      if (empty) return std::vector<std::string>{};
      break;
    case AttrKind::word: break;
  }
  return std::nullopt;
}

constexpr std::string_view kind_names[] = {"true or false",  "an integer",         "a number",
                                           "a word",         "a list of integers", "a list of numbers",
                                           "a list of words"};

AttrValue checked(const AttrDef& def, const AttrValue& given) {
  std::optional<AttrValue> value = as_kind(given, def.kind);
  if (!value)
    throw Error(Code::bad_input,
                text("'{}' must be {}, not {}", def.name, kind_names[static_cast<std::size_t>(def.kind)],
                     printable(text_of(given))));
  if (def.kind == AttrKind::word && !def.choices.empty()) {
    std::vector<std::string_view> choices = split(def.choices, ' ');
    const std::string& word = std::get<std::string>(*value);
    if (std::find(choices.begin(), choices.end(), word) == choices.end())
      throw Error(Code::bad_input,
                  text("'{}' is '{}'; it may be {}", def.name, printable(word), def.choices));
  }
  return *value;
}

}  // namespace

const AttrValue* Attrs::find(std::string_view name) const {
  for (const auto& [key, value] : items_)
    if (key == name) return &value;
  return nullptr;
}

void Attrs::set(std::string_view name, AttrValue value) {
  for (auto& [key, old] : items_)
    if (key == name) return void(old = std::move(value));
  items_.emplace_back(name, std::move(value));
}

void Attrs::erase(std::string_view name) {
  std::erase_if(items_, [&](const auto& item) { return item.first == name; });
}

void Attrs::missing(std::string_view name) { throw Error(Code::bad_input, text("'{}' is missing", name)); }

std::vector<std::int64_t> Attrs::integers_or(std::string_view name, std::size_t n, std::int64_t each) const {
  if (!has(name)) return std::vector<std::int64_t>(n, each);
  std::vector<std::int64_t> values = integers(name);
  if (values.size() != n)
    throw Error(Code::bad_input, text("'{}' has {} values, {} are needed", name, values.size(), n));
  return values;
}

DType Attrs::dtype(std::string_view name) const {
  std::optional<DType> d = dtype_named(word(name));
  if (!d)
    throw Error(Code::bad_input, text("'{}' is '{}', which is no element type", name, printable(word(name))));
  return *d;
}

Attrs complete(std::span<const AttrDef> defs, const Attrs& given) {
  Attrs all;
  for (const AttrDef& def : defs) {
    if (const AttrValue* value = given.find(def.name)) all.set(def.name, checked(def, *value));
    else if (def.fallback == required) throw Error(Code::bad_input, text("'{}' is missing", def.name));
    else if (def.fallback != absent) all.set(def.name, parse_attr(def.kind, def.fallback));
  }
  if (all.size() >= given.size()) {
    bool known =
        std::all_of(given.begin(), given.end(), [&](const auto& item) { return all.has(item.first); });
    if (known) return all;
  }
  std::vector<std::string_view> names;
  for (const AttrDef& def : defs) names.push_back(def.name);
  for (const auto& [name, value] : given)
    if (!all.has(name))
      throw Error(Code::bad_input,
                  text("there is no attribute '{}'{}", printable(name), did_you_mean(name, names)));
  return all;
}

std::string text_of(const AttrValue& value) {
  return std::visit(
      []<class T>(const T& x) -> std::string {
        if constexpr (std::is_same_v<T, bool>) return x ? "true" : "false";
        else if constexpr (std::is_same_v<T, std::string>) return quoted(x);
        else if constexpr (std::is_same_v<T, double>) return number_text(x);
        else if constexpr (std::is_same_v<T, std::int64_t>) return text("{}", x);
        else {
          std::vector<std::string> parts;
          for (const auto& item : x) parts.push_back(text_of(AttrValue(item)));
          return "[" + join(parts, ", ") + "]";
        }
      },
      value);
}

AttrValue parse_attr(AttrKind kind, std::string_view given) {
  std::string_view s = trimmed(given);
  auto whole = [](std::string_view item) { return parse_number<std::int64_t>(item, "an integer"); };
  switch (kind) {
    case AttrKind::boolean:
      if (s != "true" && s != "false") bad("true or false", s);
      return s == "true";
    case AttrKind::integer: return whole(s);
    case AttrKind::number: return parse_double(s);
    case AttrKind::word: return unquoted(s);
    case AttrKind::integers: return each<std::int64_t>(s, whole);
    case AttrKind::numbers: return each<double>(s, parse_double);
    case AttrKind::words: return each<std::string>(s, unquoted);
  }
  TL_ASSERT(false);
}

}  // namespace tl
