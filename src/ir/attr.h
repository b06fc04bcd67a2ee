// SPDX-License-Identifier: Apache-2.0
// Attributes as data: the constant parameters of an operation, checked against its definition.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/type.h"

namespace tl {

enum class AttrKind : std::uint8_t { boolean, integer, number, word, integers, numbers, words };

using AttrValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
                 std::vector<std::string>>;  // in the order of AttrKind

// Defaults are written as they print: "-1", "1e-5", "true", "valid", "[1, 1]".
inline constexpr std::string_view required = "!";  // must be given
inline constexpr std::string_view absent = "";     // may be left out, and is then not there

struct AttrDef {
  std::string_view name = {};
  AttrKind kind = AttrKind::integer;
  std::string_view fallback = absent;
  std::string_view choices = {};  // of a word: the ones it may be, separated by spaces
};

// The attributes of one node, in the order of the definition, defaults filled in.
class Attrs {
 public:
  Attrs() = default;

  bool has(std::string_view name) const { return find(name) != nullptr; }
  bool boolean(std::string_view name) const { return get<bool>(name); }
  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  const std::string& word(std::string_view name) const { return get<std::string>(name); }
  const std::vector<std::int64_t>& integers(std::string_view name) const {
    return get<std::vector<std::int64_t>>(name);
  }
  const std::vector<double>& numbers(std::string_view name) const { return get<std::vector<double>>(name); }
  const std::vector<std::string>& words(std::string_view name) const {
    return get<std::vector<std::string>>(name);
  }
  // The integers, or n copies of `each` where the attribute is absent: strides, dilations, pads.
  std::vector<std::int64_t> integers_or(std::string_view name, std::size_t n, std::int64_t each) const;
  DType dtype(std::string_view name) const;  // a word that names an element type

  const AttrValue* find(std::string_view name) const;
  void set(std::string_view name, AttrValue value);  // replaces or appends
  void erase(std::string_view name);
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }
  bool operator==(const Attrs&) const = default;

 private:
  template <class T> const T& get(std::string_view name) const {
    const AttrValue* value = find(name);
    if (!value || !std::holds_alternative<T>(*value)) missing(name);
    return std::get<T>(*value);
  }
  [[noreturn]] static void missing(std::string_view name);

  std::vector<std::pair<std::string, AttrValue>> items_;
};

// Checks what was given against the definition (names, kinds, choices), converts between integer, number and
// boolean where nothing is lost and a scalar to a list of one, and fills in the defaults. Throws Error naming
// the attribute.
Attrs complete(std::span<const AttrDef> defs, const Attrs& given);

std::string text_of(const AttrValue&);  // -1, 1e-05, true, "valid", [1, 2], ["a", "b"]
AttrValue parse_attr(AttrKind kind,
                     std::string_view text);  // of what text_of gives; words also without quotes

}  // namespace tl
