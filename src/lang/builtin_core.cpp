// SPDX-License-Identifier: Apache-2.0
// Functions every script uses: printing, conversion, checks, help, and what works on lists.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

// ---- printing

std::size_t count_braces(const std::string& form) {
  std::size_t n = 0;
  for (std::size_t at = form.find("{}"); at != std::string::npos; at = form.find("{}", at + 2)) ++n;
  return n;
}

std::string fill(const std::string& form, std::span<const Value> values) {
  std::string result;
  std::size_t from = 0;
  for (const Value& value : values) {
    std::size_t at = form.find("{}", from);
    result += form.substr(from, at - from) + display(value);
    from = at + 2;
  }
  return result + form.substr(from);
}

Value print(Args& args) {
  std::string line;
  std::size_t further = args.rest.empty() ? 0 : args.rest.size() - 1;
  if (further > 0 && args.rest[0].is(Kind::string) && count_braces(args.rest[0].string()) == further)
    line = fill(args.rest[0].string(), std::span(args.rest).subspan(1));
  else
    for (std::size_t i = 0; i < args.rest.size(); ++i) line += (i ? " " : "") + display(args.rest[i]);
  args.interpreter.host().print(line + "\n");
  return {};
}

Value help(Args& args) {
  args.interpreter.host().print(
      args.has(0) ? help_page(args[0])
                  : "help(conv2d) prints the page of a function; `tl ops` lists the operations\n");
  return {};
}

// ---- conversion

Value to_string(Args& args) { return Value(display(args[0])); }
Value to_int(Args& args) { return args.interpreter.cast(args[0], "int"); }
Value to_float(Args& args) { return args.interpreter.cast(args[0], "float"); }
Value to_bool(Args& args) { return Value(is_true(args[0])); }

Value type_of(Args& args) {
  const Value& v = args[0];
  if (v.is(Kind::tensor)) return text("{}{}", spell(v.tensor().dtype()), spell(v.tensor().shape()));
  if (v.is(Kind::record)) {
    std::string shown = display_inside(v);
    return shown.substr(0, shown.find(' '));
  }
  return std::string(name_of(v.kind()));
}

Value len(Args& args) {
  const Value& v = args[0];
  switch (v.kind()) {
    case Kind::string: {
      const std::string& s = v.string();
      return static_cast<std::int64_t>(std::count_if(
          s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    }
    case Kind::list: return static_cast<std::int64_t>(v.list().size());
    case Kind::map: return static_cast<std::int64_t>(v.as<MapObject>().entries.size());
    case Kind::range: return v.as<RangeObject>().size();
    case Kind::tensor:
      if (v.tensor().rank() > 0) return v.tensor().shape()[0];
      [[fallthrough]];
    default: args.wrong(0, "a string, list, map, range or tensor of rank 1 or more");
  }
}

// ---- checks

bool all_true(const Value& v) {
  if (!v.is(Kind::tensor)) return is_true(v);
  std::vector<double> numbers = to_doubles(v.tensor());
  return std::all_of(numbers.begin(), numbers.end(), [](double x) { return x != 0; });
}

Value check(Args& args) {
  if (all_true(args[0])) return {};
  throw Error(Code::bad_input, args.has(1) ? "assertion failed: " + display(args[1]) : "assertion failed");
}

std::string note_of(const Args& args, std::size_t i) { return args.has(i) ? display(args[i]) + ": " : ""; }

Value check_equal(Args& args) {
  if (equal(args[0], args[1])) return {};
  throw Error(Code::bad_input, text("assertion failed: {}{} is not {}", note_of(args, 2),
                                    display_inside(args[0]), display_inside(args[1])));
}

Value check_close(Args& args) {
  Tensor a = args.tensor(0), b = args.tensor(1);
  bool half = a.dtype() == DType::f16 || b.dtype() == DType::f16;
  double atol = args.number_or(2, half ? 1e-3 : 1e-6), rtol = args.number_or(3, half ? 1e-3 : 1e-6);
  if (a.shape() != b.shape() && a.rank() > 0 && b.rank() > 0)
    throw Error(Code::bad_input, text("assertion failed: {}shape {} is not {}", note_of(args, 4),
                                      spell(a.shape()), spell(b.shape())));
  std::vector<double> x = to_doubles(a), y = to_doubles(b);
  std::size_t n = std::max(x.size(), y.size());
  if (x.empty() || y.empty()) n = 0;
  double worst = -1;
  std::size_t where = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double p = x[x.size() == 1 ? 0 : i], q = y[y.size() == 1 ? 0 : i];
    bool close = p == q || (std::isnan(p) && std::isnan(q)) || std::abs(p - q) <= atol + rtol * std::abs(q);
    double off = std::isnan(p - q) ? INFINITY : std::abs(p - q);
    if (!close && off > worst) worst = off, where = i;
  }
  if (worst < 0) return {};
  double p = x[x.size() == 1 ? 0 : where], q = y[y.size() == 1 ? 0 : where];
  throw Error(Code::bad_input,
              text("assertion failed: {}element {} is {}, not {} (off by {}, allowed {})", note_of(args, 4),
                   where, display_inside(Value(p)), display_inside(Value(q)), display_inside(Value(worst)),
                   display_inside(Value(atol + rtol * std::abs(q)))));
}

Value panic(Args& args) {
  std::string line;
  for (std::size_t i = 0; i < args.rest.size(); ++i) line += (i ? " " : "") + display(args.rest[i]);
  throw Error(Code::bad_input, "panic: " + line);
}

Value check_numerics(Args& args) {
  args.interpreter.options().check_numerics = args.boolean_or(0, true);
  return {};
}

Value now(Args&) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Value seed(Args& args) {
  args.interpreter.options().seed = static_cast<std::uint64_t>(args.integer(0));
  return {};
}

// ---- numbers

Value idiv(Args& args) { return args.interpreter.arithmetic(Tok::floor_slash, args[0], args[1]); }

// ---- lists

std::vector<Value> items_of(Args& args, std::size_t i) {
  const Value& v = args[i];
  if (v.is(Kind::list)) return v.list();
  std::vector<Value> items;
  std::int64_t n = v.is(Kind::range)                             ? v.as<RangeObject>().size()
                   : v.is(Kind::tensor) && v.tensor().rank() > 0 ? v.tensor().shape()[0]
                                                                 : -1;
  constexpr std::int64_t most = 1 << 28;
  if (n > most) throw Error(Code::bad_input, "too many elements for a list");
  if (v.is(Kind::map))
    for (const auto& entry : v.as<MapObject>().entries) items.push_back(entry.first);
  else if (n < 0 && !v.is(Kind::string)) args.wrong(i, "a list, range, map or tensor");
  if (v.is(Kind::string)) n = len(args).integer();
  for (std::int64_t k = 0; k < n; ++k) items.push_back(args.interpreter.item(v, Value(k)));
  return items;
}

Value list(Args& args) { return args.has(0) ? Value(items_of(args, 0)) : Value(std::vector<Value>{}); }

Value enumerate(Args& args) {
  std::vector<Value> items = items_of(args, 0);
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i] = Value(std::vector<Value>{Value(static_cast<std::int64_t>(i)), std::move(items[i])});
  return Value(std::move(items));
}

Value zip(Args& args) {
  std::vector<Value> a = items_of(args, 0), b = items_of(args, 1), pairs;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    pairs.emplace_back(std::vector<Value>{a[i], b[i]});
  return Value(std::move(pairs));
}

Value map(Args& args) {
  std::vector<Value> items = items_of(args, 1);
  for (Value& item : items) item = args.interpreter.call(args[0], {{item}, {}, args.place});
  return Value(std::move(items));
}

Value filter(Args& args) {
  std::vector<Value> kept;
  for (Value& item : items_of(args, 1))
    if (is_true(args.interpreter.call(args[0], {{item}, {}, args.place}))) kept.push_back(std::move(item));
  return Value(std::move(kept));
}

Value sorted(Args& args) {
  std::vector<Value> items = items_of(args, 0), keys = items;
  if (args.has(1))
    for (Value& key : keys) key = args.interpreter.call(args[1], {{key}, {}, args.place});
  bool reverse = args.boolean_or(2, false);
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  bool strings = !keys.empty() && keys[0].is(Kind::string);
  for (const Value& key : keys)
    if (strings ? !key.is(Kind::string) : !is_number_like(key))
      throw Error(Code::bad_input, "only numbers or strings can be sorted");
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (reverse) std::swap(a, b);
    return strings ? keys[a].string() < keys[b].string() : as_number(keys[a]) < as_number(keys[b]);
  });
  std::vector<Value> result;
  for (std::size_t i : order) result.push_back(items[i]);
  return Value(std::move(result));
}

Value reversed(Args& args) {
  std::vector<Value> items = items_of(args, 0);
  std::reverse(items.begin(), items.end());
  return Value(std::move(items));
}

constexpr Builtin table[] = {
    {"print", "*values", "Prints its values with spaces; print(\"{} of {}\", a, b) fills in the braces.",
     print},
    {"help", "what?", "Prints the page of a function, operation or struct.", help},
    {"string", "x", "x as print shows it.", to_string},
    {"int", "x", "x as an int: fractions are cut off.", to_int},
    {"float", "x", "x as a float of 64 bits.", to_float},
    {"bool", "x", "Whether x is true or not zero.", to_bool},
    {"type", "x", "The type of x, as text.", type_of},
    {"len", "x", "How many characters, elements, entries or rows x has.", len},
    {"assert", "condition, message?", "Stops with an error unless the condition holds everywhere.", check},
    {"assert_eq", "a, b, message?", "Stops with an error unless a equals b.", check_equal},
    {"assert_close", "a, b, atol?, rtol?, message?",
     "Stops with an error unless a is within atol + rtol |b| of b.", check_close},
    {"panic", "*values", "Stops the program with a message.", panic},
    {"check_numerics", "on?", "From now on an operation that gives inf or nan is an error.", check_numerics},
    {"time", "", "Seconds since some moment, for measuring.", now},
    {"seed", "n", "Where random numbers begin.", seed},
    {"idiv", "a, b", "The quotient, rounded down.", idiv},
    {"list", "x?", "The elements of x as a list.", list},
    {"enumerate", "x", "A list of (position, element).", enumerate},
    {"zip", "a, b", "A list of (element of a, element of b), as long as the shorter.", zip},
    {"map", "f, x", "The list of f(element).", map},
    {"filter", "f, x", "The list of the elements for which f is true.", filter},
    {"sorted", "x, key?, reverse?", "A sorted list.", sorted},
    {"reversed", "x", "The elements as a list, last first.", reversed},
};

}  // namespace

std::span<const Builtin> core_builtins() { return table; }

}  // namespace tl::lang
