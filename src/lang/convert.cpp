// SPDX-License-Identifier: Apache-2.0
// From one kind of value to another: truth, numbers, tensors, casts; and the door to the op table.
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

std::string_view spell(DType dtype) {
  if (dtype == DType::f16) return "float16";
  if (dtype == DType::f32) return "float32";
  if (dtype == DType::f64) return "float64";
  if (dtype == DType::bf16) return "bfloat16";
  return name_of(dtype);
}

bool is_true(const Value& v) {
  switch (v.kind()) {
    case Kind::boolean: return v.boolean();
    case Kind::integer: return v.integer() != 0;
    case Kind::number: return v.number() != 0;
    case Kind::tensor:
      if (is_number_like(v)) return as_number(v) != 0;
      throw Error(Code::bad_input,
                  text("a tensor of shape {} is neither true nor false: use all(x) or any(x)",
                       spell(v.tensor().shape())));
    default:
      throw Error(Code::bad_input, text("a truth value is needed, not {}",
                                        v.is(Kind::none) ? "none" : text("{}", one(v.kind()))));
  }
}

bool is_number_like(const Value& v) {
  if (v.is(Kind::tensor)) return v.tensor().size() == 1 && v.tensor().dtype() != DType::string;
  return v.is_plain_number() || v.is(Kind::boolean);
}

double as_number(const Value& v) {
  if (v.is(Kind::tensor)) return to_doubles(v.tensor())[0];
  return v.is(Kind::boolean) ? v.boolean() : v.number();
}

std::optional<std::int64_t> as_whole(const Value& v) {
  if (v.is(Kind::integer)) return v.integer();
  bool whole = v.is(Kind::tensor) && is_number_like(v) && is_integer(v.tensor().dtype());
  if (whole) return to_integers(v.tensor())[0];
  return {};
}

namespace {

void collect(const Value& v, std::vector<Value>& to, Shape& shape, std::size_t depth) {
  constexpr std::size_t deepest = 32;
  if (depth > deepest) throw Error(Code::bad_input, "lists nested too deeply for a tensor");
  if (v.is(Kind::list)) {
    auto n = static_cast<Dim>(v.list().size());
    if (shape.size() == depth) shape.push_back(n);
    if (shape[depth] != n)
      throw Error(Code::bad_input, text("ragged rows: one has {} elements, the first {}", n, shape[depth]));
    for (const Value& each : v.list()) collect(each, to, shape, depth + 1);
    return;
  }
  if (!v.is_plain_number() && !v.is(Kind::boolean) && !v.is(Kind::tensor))
    throw Error(Code::bad_input, text("{} cannot be an element of a tensor", one(v.kind())));
  if (depth < shape.size() && !(v.is(Kind::tensor)))
    throw Error(Code::bad_input, "ragged rows: a number beside a list");
  to.push_back(v);
}

Tensor stacked(const std::vector<Value>& parts, Shape shape, std::optional<DType> dtype) {
  Value all = parts[0];
  for (const Value& part : parts) {
    if (part.tensor().shape() != parts[0].tensor().shape())
      throw Error(Code::bad_input, text("ragged rows: one has shape {}, the first {}",
                                        spell(part.tensor().shape()), spell(parts[0].tensor().shape())));
    if (!dtype) all = Value(scalar(0, common_type(all, part)));
  }
  DType to = dtype ? *dtype : all.tensor().dtype();
  std::vector<double> numbers;
  std::vector<std::int64_t> integers;
  bool whole = !is_float(to);
  for (const Value& part : parts) {
    if (whole) {
      std::vector<std::int64_t> some = to_integers(part.tensor());
      integers.insert(integers.end(), some.begin(), some.end());
    } else {
      std::vector<double> some = to_doubles(part.tensor());
      numbers.insert(numbers.end(), some.begin(), some.end());
    }
  }
  shape.insert(shape.end(), parts[0].tensor().shape().begin(), parts[0].tensor().shape().end());
  return whole ? from_integers(integers, to, shape) : from_doubles(numbers, to, shape);
}

}  // namespace

Tensor as_tensor(const Value& v, std::optional<DType> dtype) {
  if (v.is(Kind::tensor))
    return !dtype || v.tensor().dtype() == *dtype ? v.tensor() : converted(v.tensor(), *dtype);
  if (v.is(Kind::range)) {
    const auto& range = v.as<RangeObject>();
    constexpr std::int64_t most = std::int64_t{1} << 32;
    if (range.size() > most) throw Error(Code::bad_input, "a range too long for a tensor");
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(range.size()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = range.first + static_cast<std::int64_t>(i);
    return from_integers(numbers, dtype.value_or(DType::i32), {range.size()});
  }
  std::vector<Value> leaves;
  Shape shape;
  collect(v, leaves, shape, 0);
  bool tensors = false, fractional = false, truth = !leaves.empty();
  for (const Value& leaf : leaves) {
    tensors |= leaf.is(Kind::tensor);
    fractional |= leaf.is(Kind::number);
    truth &= leaf.is(Kind::boolean);
  }
  DType to = dtype ? *dtype : leaves.empty() || fractional ? DType::f16 : truth ? DType::boolean : DType::i32;
  if (tensors) {
    for (Value& leaf : leaves)
      if (!leaf.is(Kind::tensor)) leaf = Value(scalar(as_number(leaf), to));
    return stacked(leaves, shape, dtype);
  }
  std::vector<double> numbers;
  for (const Value& leaf : leaves) numbers.push_back(as_number(leaf));
  return from_doubles(numbers, to, shape);
}

// ---- as

namespace {

Value to_int(const Value& v) {
  if (v.is(Kind::string)) {
    std::int64_t n = 0;
    const std::string& s = v.string();
    auto parsed = std::from_chars(s.data(), s.data() + s.size(), n);
    if (parsed.ec != std::errc() || parsed.ptr != s.data() + s.size() || s.empty())
      throw Error(Code::bad_input, text("\"{}\" is not an int", printable(s)));
    return n;
  }
  if (std::optional<std::int64_t> n = as_whole(v)) return *n;
  if (!is_number_like(v)) throw Error(Code::bad_input, text("{} cannot become an int", one(v.kind())));
  double x = as_number(v);
  if (!(std::abs(x) < 9.2e18))
    throw Error(Code::bad_input, text("{} cannot become an int", display_inside(Value(x))));
  return static_cast<std::int64_t>(x);
}

Value to_float(const Value& v) {
  if (v.is(Kind::string)) {
    double x = 0;
    const std::string& s = v.string();
    auto parsed = std::from_chars(s.data(), s.data() + s.size(), x);
    if (parsed.ec != std::errc() || parsed.ptr != s.data() + s.size() || s.empty())
      throw Error(Code::bad_input, text("\"{}\" is not a number", printable(s)));
    return x;
  }
  if (!is_number_like(v)) throw Error(Code::bad_input, text("{} cannot become a float", one(v.kind())));
  return as_number(v);
}

}  // namespace

Value Interpreter::cast(const Value& v, const std::string& type) {
  bool many = v.is(Kind::tensor) && v.tensor().rank() > 0;
  if (type == "string") return Value(display(v));
  if (type == "int" && !many) return to_int(v);
  if (type == "float" && !many) return to_float(v);
  if (type == "bool" && v.is(Kind::list)) return Value(as_tensor(v, DType::boolean));
  if (type == "bool" && !many) return Value(is_true(v));
  if (type == "tensor") return Value(as_tensor(v));
  if (type == "list") {
    if (v.is(Kind::list)) return v;
    if (const Builtin* to_list = find_method(v.kind(), "tolist"))
      return call_value(function_value(*to_list), {{v}, {}, place_});
  }
  if (type == "int") throw Error(Code::bad_input, "a tensor becomes one of integers with 'as int32'");
  if (type == "float")
    throw Error(Code::bad_input, "a tensor becomes one of floats with 'as float16' or 'as float32'");
  std::optional<DType> dtype = dtype_named(type);
  if (!dtype || *dtype == DType::string)
    throw Error(Code::bad_input, text("{} cannot become {}", one(v.kind()), type));
  return Value(as_tensor(v, *dtype));
}

// ---- operations

Tensor Interpreter::evaluate_one(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  return evaluate(op, inputs, complete(op.attrs, attrs)).at(0);
}

namespace {

bool is_finite(const Tensor& t) {
  if (!t || !is_float(t.dtype())) return true;
  for (double x : to_doubles(t))
    if (!std::isfinite(x)) return false;
  return true;
}

}  // namespace

void Interpreter::watch_numerics(std::string_view op, std::span<const Tensor> inputs, const Tensor& output) {
  if (!options_.check_numerics || is_finite(output)) return;
  for (const Tensor& input : inputs)
    if (!is_finite(input)) return;  // it was there before
  bool nan = false;
  for (double x : to_doubles(output)) nan |= std::isnan(x);
  throw Error(Code::bad_input, text("'{}' gives {} in {}", op, nan ? "nan" : "inf", spell(output.dtype())));
}

}  // namespace tl::lang
