// SPDX-License-Identifier: Apache-2.0
// How values are printed: tensors as NumPy prints arrays (common width, long ones elided), the rest as it is
// written in the language.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"
#include "lang/stmt.h"

namespace tl::lang {

namespace {

constexpr std::int64_t threshold = 1000, edge = 3;
constexpr std::size_t line_width = 75;
constexpr int precision = 8;

// The digits that tell x from its neighbours in its own type: "d.ddde±xx".
std::string shortest(double x, DType dtype) {
  if (dtype == DType::f16 || dtype == DType::bf16) {
    for (int digits = 0; digits < 8; ++digits) {
      std::string s = fmt::format("{:.{}e}", x, digits);
      double back = std::strtod(s.c_str(), nullptr);
      bool same = dtype == DType::f16 ? to_half(back).bits == to_half(x).bits
                                      : to_bfloat(back).bits == to_bfloat(x).bits;
      if (same) return s;
    }
  }
  char buffer[40];
  auto* last = buffer + sizeof buffer;
  auto result = dtype == DType::f32
                    ? std::to_chars(buffer, last, static_cast<float>(x), std::chars_format::scientific)
                    : std::to_chars(buffer, last, x, std::chars_format::scientific);
  return std::string(buffer, result.ptr);
}

struct Decimal {
  std::string digits;  // without the point
  int exponent = 0;    // of the first digit
  bool negative = false;
};

Decimal decimal_of(const std::string& scientific) {
  Decimal d;
  d.negative = scientific[0] == '-';
  std::size_t e = scientific.find('e');
  for (char c : scientific.substr(d.negative, e - d.negative))
    if (c != '.') d.digits += c;
  d.exponent = std::atoi(scientific.c_str() + e + 1);
  while (d.digits.size() > 1 && d.digits.back() == '0') d.digits.pop_back();
  return d;
}

std::string trimmed(std::string s) {
  while (s.back() == '0') s.pop_back();
  return s;
}

// "12.5", "3.": at most eight digits after the point.
std::string positional(double x, DType dtype) {
  Decimal d = decimal_of(shortest(x, dtype));
  int fraction = static_cast<int>(d.digits.size()) - 1 - d.exponent;
  if (fraction > precision) return trimmed(fmt::format("{:.{}f}", x, precision));
  std::string s = d.digits;
  if (d.exponent < 0) s.insert(0, static_cast<std::size_t>(-d.exponent), '0');
  std::size_t whole = d.exponent < 0 ? 1 : static_cast<std::size_t>(d.exponent) + 1;
  if (s.size() < whole) s.append(whole - s.size(), '0');
  s.insert(whole, ".");
  return (d.negative ? "-" : "") + s;
}

std::string scientific(double x, DType dtype, int fraction) {
  if (fraction >= 0) return fmt::format("{:#.{}e}", x, fraction);
  Decimal d = decimal_of(shortest(x, dtype));
  int digits = std::min(static_cast<int>(d.digits.size()) - 1, precision);
  return fmt::format("{:#.{}e}", x, digits);
}

std::string special(double x) { return std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf"; }

// One format for all elements that are shown.
class Column {
 public:
  Column(std::span<const double> shown, DType dtype) : dtype_(dtype) {
    double largest = 0, smallest = INFINITY;
    for (double x : shown)
      if (std::isfinite(x) && x != 0)
        largest = std::max(largest, std::abs(x)), smallest = std::min(smallest, std::abs(x));
    exponent_ = largest >= 1e8 || (largest > 0 && (smallest < 1e-4 || largest / smallest > 1000));
    for (double x : shown) {
      if (!std::isfinite(x)) continue;
      std::string s = exponent_ ? scientific(x, dtype_, -1) : positional(x, dtype_);
      std::size_t point = s.find('.'), end = exponent_ ? s.find('e') : s.size();
      left_ = std::max(left_, point), right_ = std::max(right_, end - point - 1);
      if (exponent_) tail_ = std::max(tail_, s.size() - end);
    }
    for (double x : shown)
      if (!std::isfinite(x))
        left_ = std::max(left_, special(x).size() - std::min(special(x).size(), right_ + 1));
  }

  std::string operator()(double x) const {
    std::size_t width = left_ + right_ + 1 + tail_;
    if (!std::isfinite(x)) return fmt::format("{:>{}}", special(x), width);
    if (exponent_) return fmt::format("{:>{}}", scientific(x, dtype_, static_cast<int>(right_)), width);
    std::string s = positional(x, dtype_);
    std::size_t point = s.find('.');
    return std::string(left_ - point, ' ') + s + std::string(right_ - (s.size() - point - 1), ' ');
  }

 private:
  DType dtype_;
  bool exponent_ = false;
  std::size_t left_ = 0, right_ = 0, tail_ = 0;
};

// Walks the shown elements in order: first to collect them, then to write them.
class Printer {
 public:
  Printer(const Tensor& t) : tensor_(t), strides_(row_major(t.shape())), elide_(t.size() > threshold) {
    std::vector<std::int64_t> shown;
    visit(0, 0, shown);
    for (std::int64_t i : shown) texts_.push_back({i, ""});
    if (is_float(t.dtype())) format_floats(shown);
    else format_others(shown);
  }

  std::string run() { return tensor_.rank() == 0 ? bare() : block(0, 0, " ", line_width); }

 private:
  struct Shown {
    std::int64_t at;
    std::string text;
  };

  bool elided(std::size_t axis) const { return elide_ && tensor_.shape()[axis] > 2 * edge; }

  template <class Each> void each(std::size_t axis, const Each& body) const {
    std::int64_t n = tensor_.shape()[axis];
    for (std::int64_t i = 0; i < n; ++i) {
      if (elided(axis) && i == edge) i = n - edge;
      body(i);
    }
  }

  void visit(std::size_t axis, std::int64_t at, std::vector<std::int64_t>& to) const {
    if (axis == tensor_.rank()) return to.push_back(at);
    each(axis, [&](std::int64_t i) { visit(axis + 1, at + i * strides_[axis], to); });
  }

  std::vector<double> numbers(const std::vector<std::int64_t>& shown) const {
    std::vector<double> result;
    std::size_t width = bits_of(tensor_.dtype()) / 8;
    for (std::int64_t i : shown) {
      Tensor one(tensor_.dtype(), {}, tensor_.storage(),
                 tensor_.offset() + static_cast<std::size_t>(i) * width);
      result.push_back(to_doubles(one)[0]);
    }
    return result;
  }

  void format_floats(const std::vector<std::int64_t>& shown) {
    std::vector<double> values = is_packed(tensor_.dtype()) ? to_doubles(tensor_) : numbers(shown);
    if (tensor_.rank() == 0) return void(texts_[0].text = display(values[0], tensor_.dtype()));
    Column column(values, tensor_.dtype());
    for (std::size_t i = 0; i < values.size(); ++i) texts_[i].text = column(values[i]);
  }

  static std::string display(double x, DType dtype) {
    if (!std::isfinite(x)) return special(x);
    double size = std::abs(x);
    bool exponent = size != 0 && (size >= 1e16 || size < 1e-4);
    std::string s = exponent ? scientific(x, dtype, -1) : positional(x, dtype);
    std::size_t point = s.find('.');
    if (exponent && s[point + 1] == 'e') s.erase(point, 1);
    return s.ends_with('.') ? s + "0" : s;
  }

  void format_others(const std::vector<std::int64_t>& shown) {
    std::size_t width = 0;
    std::vector<std::int64_t> integers;
    if (tensor_.dtype() != DType::string) integers = to_integers(tensor_);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      auto at = static_cast<std::size_t>(shown[i]);
      if (tensor_.dtype() == DType::string)
        texts_[i].text = display_inside(Value(tensor_.as<std::string>()[at]));
      else if (tensor_.dtype() == DType::boolean) texts_[i].text = integers[at] ? "true" : "false";
      else texts_[i].text = std::to_string(integers[at]);
      width = std::max(width, texts_[i].text.size());
    }
    if (tensor_.rank() == 0) return;
    for (Shown& each : texts_) each.text = fmt::format("{:>{}}", each.text, width);
  }

  std::string bare() const { return texts_[0].text; }

  std::string block(std::size_t axis, std::int64_t at, const std::string& indent, std::size_t width) {
    std::string result = axis + 1 == tensor_.rank() ? row(axis, indent, width) : "";
    if (axis + 1 < tensor_.rank()) {
      std::string between(tensor_.rank() - axis - 1, '\n');
      bool first = true;
      each(axis, [&](std::int64_t i) {
        if (elided(axis) && i == tensor_.shape()[axis] - edge) result += between + indent + "...";
        if (!first) result += between;
        result += indent + block(axis + 1, at + i * strides_[axis], indent + " ", width - 1);
        first = false;
      });
    }
    return "[" + (result.size() > indent.size() ? result.substr(indent.size()) : "") + "]";
  }

  std::string row(std::size_t axis, const std::string& indent, std::size_t width) {
    std::string done, line = indent;
    auto extend = [&](const std::string& word) {
      if (line.size() > indent.size()) line += ' ';
      if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
        done += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
        line = indent;
      }
      line += word;
    };
    each(axis, [&](std::int64_t i) {
      if (elided(axis) && i == tensor_.shape()[axis] - edge) extend("...");
      extend(texts_[next_++].text);
    });
    return done + line;
  }

  const Tensor& tensor_;
  Shape strides_;
  bool elide_;
  std::vector<Shown> texts_;
  std::size_t next_ = 0;
};

std::string display_number(double x) {
  if (!std::isfinite(x)) return special(x);
  std::string s = fmt::format("{}", x);
  bool whole = s.find_first_of(".en") == std::string::npos;
  return whole ? s + ".0" : s;
}

std::string quoted(const std::string& s) {
  std::string result = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') result += "\\n";
    else if (c == '\t') result += "\\t";
    else result += c;
  }
  return result + "\"";
}

thread_local int depth = 0;
struct Nest {
  Nest() { ++depth; }
  ~Nest() { --depth; }
};

std::string display_list(const std::vector<Value>& items) {
  std::string result = "[";
  for (std::size_t i = 0; i < items.size(); ++i) result += (i ? ", " : "") + display_inside(items[i]);
  return result + "]";
}

std::string display_map(const MapObject& map) {
  std::string result = "{";
  for (const auto& [key, value] : map.entries) {
    if (result.size() > 1) result += ", ";
    result += display_inside(key) + ": " + display_inside(value);
  }
  return result + "}";
}

std::string display_record(const RecordObject& record) {
  const auto& decl = *record.structure.as<StructureObject>().decl;
  std::string result = decl.variable.name + " {";
  for (std::size_t i = 0; i < decl.fields.size(); ++i)
    result += (i ? ", " : " ") + decl.fields[i].name + ": " + display_inside(record.fields[i]);
  return result + (decl.fields.empty() ? "}" : " }");
}

std::string display_function(const FunctionObject& f) {
  if (f.form == Form::op) return text("fn {}", f.op->name);
  if (f.form == Form::builtin) return text("fn {}", f.builtin->name);
  std::vector<std::string> names;
  for (const Parameter& p : f.decl->parameters) names.push_back(p.name);
  if (f.decl->is_closure) return text("|{}| …", join(names, ", "));
  return text("fn {}({})", f.decl->name, join(names, ", "));
}

}  // namespace

std::string display(const Tensor& t) {
  if (t.size() == 0) return t.rank() < 2 ? "[]" : text("[] of shape {}", spell(t.shape()));
  return Printer(t).run();
}

std::string display(const Value& v) { return v.is(Kind::string) ? v.string() : display_inside(v); }

std::string display_inside(const Value& v) {
  constexpr int deepest = 100;
  Nest nest;
  if (depth > deepest) return "…";
  switch (v.kind()) {
    case Kind::none: return "none";
    case Kind::boolean: return v.boolean() ? "true" : "false";
    case Kind::integer: return std::to_string(v.integer());
    case Kind::number: return display_number(v.number());
    case Kind::string: return quoted(v.string());
    case Kind::list: return display_list(v.list());
    case Kind::map: return display_map(v.as<MapObject>());
    case Kind::tensor: return display(v.tensor());
    case Kind::range: return text("{}..{}", v.as<RangeObject>().first, v.as<RangeObject>().end);
    case Kind::record: return display_record(v.as<RecordObject>());
    case Kind::structure: return text("struct {}", v.as<StructureObject>().decl->variable.name);
    case Kind::function: return display_function(v.as<FunctionObject>());
    case Kind::type: return std::string(spell(v.as<TypeObject>().dtype));
    case Kind::model: return "model";
    case Kind::state: return "state";
    case Kind::cell: return display_inside(v.shared<CellObject>().value);
    case Kind::unset: return "nothing";
  }
  return "";
}

// "{x:.3f}": the formats of {fmt}, which are Python's.
std::string format_value(const Value& v, std::string_view format) {
  if (format.empty()) return display(v);
  int digits = 0;
  for (char c : format) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 4 || c == '{' || c == '}')
      throw Error(Code::bad_input, text("'{}' is not a format, as .3f or >10 is", printable(format)));
  }
  std::string form = "{:" + std::string(format) + "}";
  bool wants_integer = format.find_last_of("dxXbo") == format.size() - 1;
  bool wants_float = format.find_last_of("eEfFgG%") == format.size() - 1;
  bool percent = format.ends_with('%');
  if (percent) form = "{:" + std::string(format.substr(0, format.size() - 1)) + "f}%";
  try {
    if (is_number_like(v) && !v.is(Kind::boolean)) {
      std::optional<std::int64_t> whole = as_whole(v);
      if (whole && !wants_float) return fmt::format(fmt::runtime(form), *whole);
      if (wants_integer)
        throw Error(Code::bad_input, text("'{}' formats an int, not {}", format, display_inside(v)));
      if (wants_float || format.find('.') != std::string_view::npos)
        return fmt::format(fmt::runtime(form), as_number(v) * (percent ? 100 : 1));
    }
    bool padded = is_number_like(v) && format[0] >= '0' && format[0] <= '9';  // numbers stand on the right
    if (padded) form.insert(2, ">");
    return fmt::format(fmt::runtime(form), display(v));
  } catch (const fmt::format_error&) {
    throw Error(Code::bad_input, text("'{}' is not a format for {}", printable(format), one(v.kind())));
  }
}

}  // namespace tl::lang
