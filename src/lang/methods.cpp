// SPDX-License-Identifier: Apache-2.0
// Methods of strings, lists and maps. Those with "&" change the variable they are called on.
#include <algorithm>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

Value number(std::size_t n) { return static_cast<std::int64_t>(n); }

// ---- strings

Value length(Args& args) {
  return args.interpreter.call(function_value(*find_builtin("len")), {{args[0]}, {}, args.place});
}

Value chars(Args& args) {
  std::vector<Value> result;
  const std::string& s = args.string(0);
  for (std::size_t at = 0; at < s.size();) {
    std::size_t next = at + 1;
    while (next < s.size() && (static_cast<unsigned char>(s[next]) & 0xc0) == 0x80) ++next;
    result.emplace_back(s.substr(at, next - at));
    at = next;
  }
  return Value(std::move(result));
}

Value upper(Args& args) {
  std::string s = args.string(0);
  for (char& c : s)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return Value(std::move(s));
}

Value lower(Args& args) {
  std::string s = args.string(0);
  for (char& c : s)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return Value(std::move(s));
}

std::string_view stripped(std::string_view s) {
  std::size_t first = s.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\r\n") - first + 1);
}

Value strip(Args& args) { return Value(stripped(args.string(0))); }

Value split_string(Args& args) {
  std::vector<Value> parts;
  std::string_view s = args.string(0);
  if (!args.has(1)) {  // words
    for (s = stripped(s); !s.empty(); s = stripped(s)) {
      std::size_t end = std::min(s.find_first_of(" \t\r\n"), s.size());
      parts.emplace_back(s.substr(0, end));
      s.remove_prefix(end);
    }
    return Value(std::move(parts));
  }
  const std::string& by = args.string(1);
  if (by.empty()) args.wrong(1, "a string that is not empty");
  while (true) {
    std::size_t end = s.find(by);
    parts.emplace_back(s.substr(0, end));
    if (end == std::string_view::npos) return Value(std::move(parts));
    s.remove_prefix(end + by.size());
  }
}

Value join_list(Args& args) {
  std::string result;
  const auto& items = args.list(1);
  for (std::size_t i = 0; i < items.size(); ++i) result += (i ? args.string(0) : "") + display(items[i]);
  return Value(std::move(result));
}

Value replace(Args& args) {
  const std::string &s = args.string(0), &from = args.string(1), &to = args.string(2);
  if (from.empty()) args.wrong(1, "a string that is not empty");
  std::string result;
  std::size_t at = 0;
  for (std::size_t found; (found = s.find(from, at)) != std::string::npos; at = found + from.size())
    result += s.substr(at, found - at) + to;
  return Value(result + s.substr(at));
}

Value starts_with(Args& args) { return Value(args.string(0).starts_with(args.string(1))); }
Value ends_with(Args& args) { return Value(args.string(0).ends_with(args.string(1))); }

Value string_contains(Args& args) { return Value(args.string(0).find(args.string(1)) != std::string::npos); }

Value repeat(Args& args) {
  std::int64_t n = args.integer(1);
  constexpr std::size_t most = std::size_t{1} << 30;
  if (n < 0 || (n > 0 && args.string(0).size() > most / static_cast<std::size_t>(n)))
    args.wrong(1, "a number of copies that fits memory");
  std::string result;
  for (std::int64_t i = 0; i < n; ++i) result += args.string(0);
  return Value(std::move(result));
}

// ---- lists

std::vector<Value>& own_list(Args& args) { return args.values[0].own<ListObject>().items; }

Value push(Args& args) {
  own_list(args).push_back(args[1]);
  return {};
}

Value pop(Args& args) {
  auto& items = own_list(args);
  if (items.empty()) throw Error(Code::bad_input, "'pop' of an empty list");
  auto at =
      items.begin() + wrap_index(args.integer_or(1, -1), static_cast<std::int64_t>(items.size()), "list");
  Value taken = std::move(*at);
  items.erase(at);
  return taken;
}

Value insert(Args& args) {
  auto& items = own_list(args);
  std::int64_t n = static_cast<std::int64_t>(items.size()), i = args.integer(1);
  items.insert(items.begin() + (i == n ? n : wrap_index(i, n, "list")), args[2]);
  return {};
}

Value extend(Args& args) {
  std::vector<Value> more = args.list(1);
  auto& items = own_list(args);
  items.insert(items.end(), more.begin(), more.end());
  return {};
}

Value clear_list(Args& args) {
  own_list(args).clear();
  return {};
}

Value reverse_list(Args& args) {
  auto& items = own_list(args);
  std::reverse(items.begin(), items.end());
  return {};
}

Value sort_list(Args& args) {
  Given given{{args[0]}, {}, args.place};
  if (args.has(1)) given.named.emplace_back("key", args[1]);
  if (args.has(2)) given.named.emplace_back("reverse", args[2]);
  args.values[0] = args.interpreter.call(function_value(*find_builtin("sorted")), std::move(given));
  return {};
}

Value list_contains(Args& args) {
  for (const Value& each : args.list(0))
    if (equal(each, args[1])) return Value(true);
  return Value(false);
}

Value index_of(Args& args) {
  const auto& items = args.list(0);
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(items[i], args[1])) return number(i);
  throw Error(Code::bad_input, text("the list has no {}", display_inside(args[1])));
}

Value count_of(Args& args) {
  const auto& items = args.list(0);
  return number(static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& v) { return equal(v, args[1]); })));
}

Value through(Args& args, std::string_view builtin) {
  return args.interpreter.call(function_value(*find_builtin(builtin)), {{args[1], args[0]}, {}, args.place});
}
Value map_list(Args& args) { return through(args, "map"); }
Value filter_list(Args& args) { return through(args, "filter"); }

Value fold(Args& args) {
  Value result = args[1];
  std::vector<Value> items = args.list(0);
  for (const Value& each : items) result = args.interpreter.call(args[2], {{result, each}, {}, args.place});
  return result;
}

Value join_items(Args& args) {
  std::string result, between = args.has(1) ? args.string(1) : "";
  for (const Value& each : args.list(0))
    result += (result.empty() && &each == args.list(0).data() ? "" : between) + display(each);
  return Value(std::move(result));
}

// ---- maps

const MapObject& map_of(Args& args) { return args[0].as<MapObject>(); }

Value keys(Args& args) {
  std::vector<Value> result;
  for (const auto& [key, value] : map_of(args).entries) result.push_back(key);
  return Value(std::move(result));
}

Value values(Args& args) {
  std::vector<Value> result;
  for (const auto& [key, value] : map_of(args).entries) result.push_back(value);
  return Value(std::move(result));
}

Value items(Args& args) {
  std::vector<Value> result;
  for (const auto& [key, value] : map_of(args).entries) result.emplace_back(std::vector<Value>{key, value});
  return Value(std::move(result));
}

Value map_contains(Args& args) { return Value(is_key(args[1]) && map_of(args).find(args[1])); }

Value get(Args& args) {
  const Value* found = is_key(args[1]) ? map_of(args).find(args[1]) : nullptr;
  return found ? *found : args.has(2) ? args[2] : Value();
}

Value remove(Args& args) {
  if (!is_key(args[1]) || !args.values[0].own<MapObject>().erase(args[1]))
    throw Error(Code::bad_input, text("there is no key {}", display_inside(args[1])));
  return {};
}

constexpr Builtin strings[] = {
    {"len", "s", "How many characters.", length},
    {"chars", "s", "The characters as a list.", chars},
    {"upper", "s", "In capital letters (of ASCII).", upper},
    {"lower", "s", "In small letters (of ASCII).", lower},
    {"strip", "s", "Without space at both ends.", strip},
    {"split", "s, by?", "The parts between separators; the words if none is given.", split_string},
    {"join", "s, list", "The elements with s between them.", join_list},
    {"replace", "s, old, new", "With every old replaced by new.", replace},
    {"starts_with", "s, start", "Whether it begins so.", starts_with},
    {"ends_with", "s, end", "Whether it ends so.", ends_with},
    {"contains", "s, part", "Whether it has the part.", string_contains},
    {"repeat", "s, n", "n copies in a row.", repeat},
};

constexpr Builtin lists[] = {
    {"len", "list", "How many elements.", length},
    {"push", "&list, value", "Adds an element at the end.", push},
    {"pop", "&list, index?", "Takes the last element, or the one at index, out.", pop},
    {"insert", "&list, index, value", "Adds an element before index.", insert},
    {"extend", "&list, more", "Adds all elements of another list.", extend},
    {"clear", "&list", "Takes all elements out.", clear_list},
    {"reverse", "&list", "Turns the order round.", reverse_list},
    {"sort", "&list, key?, reverse?", "Sorts in place.", sort_list},
    {"contains", "list, value", "Whether an element equals value.", list_contains},
    {"index", "list, value", "Where value is first.", index_of},
    {"count", "list, value", "How often value occurs.", count_of},
    {"map", "list, f", "The list of f(element).", map_list},
    {"filter", "list, f", "The elements for which f is true.", filter_list},
    {"fold", "list, start, f", "f(f(start, first), second) …", fold},
    {"join", "list, between?", "The elements as one string.", join_items},
};

constexpr Builtin maps[] = {
    {"len", "map", "How many entries.", length},
    {"keys", "map", "The keys as a list.", keys},
    {"values", "map", "The values as a list.", values},
    {"items", "map", "A list of (key, value).", items},
    {"contains", "map, key", "Whether there is such a key.", map_contains},
    {"get", "map, key, otherwise?", "The value of the key, or another.", get},
    {"remove", "&map, key", "Takes an entry out.", remove},
};

}  // namespace

std::span<const Builtin> string_methods() { return strings; }
std::span<const Builtin> list_methods() { return lists; }
std::span<const Builtin> map_methods() { return maps; }

}  // namespace tl::lang
