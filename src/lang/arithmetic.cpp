// SPDX-License-Identifier: Apache-2.0
// Operators on values: plain numbers here, tensors by the operations of the op table. Small tensors, and
// element types that kernels do not have, are computed here too, in float64 and rounded once.
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

struct Operator {
  Tok token;
  std::string_view sign;
  std::string_view op;  // of the op table
  bool compares = false;
};

constexpr Operator operators[] = {{Tok::plus, "+", "add"},
                                  {Tok::minus, "-", "sub"},
                                  {Tok::star, "*", "mul"},
                                  {Tok::odot, "⊙", "mul"},
                                  {Tok::slash, "/", "real_div"},
                                  {Tok::percent, "%", "mod"},
                                  {Tok::power, "**", "pow"},
                                  {Tok::caret, "^", "pow"},
                                  {Tok::at, "@", "matmul"},
                                  {Tok::outer, "⊗", "mul"},
                                  {Tok::equal, "==", "equal", true},
                                  {Tok::unequal, "!=", "not_equal", true},
                                  {Tok::less, "<", "less", true},
                                  {Tok::less_equal, "<=", "less_equal", true},
                                  {Tok::greater, ">", "greater", true},
                                  {Tok::greater_equal, ">=", "greater_equal", true},
                                  {Tok::floor_slash, "/", "floor_div"},
                                  {Tok::close_to, "≈", "", true},
                                  {Tok::andand, "and", "logical_and", true},
                                  {Tok::oror, "or", "logical_or", true}};

const Operator& operator_of(Tok token) {
  if (token == Tok::kw_and) token = Tok::andand;
  if (token == Tok::kw_or) token = Tok::oror;
  for (const Operator& each : operators)
    if (each.token == token) return each;
  TL_ASSERT(false);
  return operators[0];
}

bool is_tensor(const Value& v) { return v.is(Kind::tensor); }
bool is_scalar_kind(const Value& v) { return v.is_plain_number() || v.is(Kind::boolean); }

double floor_mod(double a, double b) {
  double m = std::fmod(a, b);
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

// Within 1e-3 relative where a float16 is concerned, else 1e-6.
bool is_close(double a, double b, double tolerance) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

double compute(Tok token, double a, double b, double tolerance) {
  switch (token) {
    case Tok::plus: return a + b;
    case Tok::minus: return a - b;
    case Tok::star:
    case Tok::odot:
    case Tok::outer: return a * b;
    case Tok::slash: return a / b;
    case Tok::floor_slash: return std::floor(a / b);
    case Tok::percent: return floor_mod(a, b);
    case Tok::power:
    case Tok::caret: return std::pow(a, b);
    case Tok::equal: return a == b;
    case Tok::unequal: return a != b;
    case Tok::less: return a < b;
    case Tok::less_equal: return a <= b;
    case Tok::greater: return a > b;
    case Tok::greater_equal: return a >= b;
    case Tok::close_to: return is_close(a, b, tolerance);
    case Tok::andand: return a != 0 && b != 0;
    case Tok::oror: return a != 0 || b != 0;
    default: return NAN;
  }
}

// ---- plain numbers

std::int64_t whole_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    bool over = (exponent & 1) && __builtin_mul_overflow(result, base, &result);
    if (!over && exponent > 1) over = __builtin_mul_overflow(base, base, &base);
    if (over) throw Error(Code::bad_input, "the result does not fit an int of 64 bits; use float");
  }
  return result;
}

Value integer_result(Tok token, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool over = false;
  switch (token) {
    case Tok::plus: over = __builtin_add_overflow(a, b, &result); break;
    case Tok::minus: over = __builtin_sub_overflow(a, b, &result); break;
    case Tok::star:
    case Tok::odot: over = __builtin_mul_overflow(a, b, &result); break;
    case Tok::percent:
      if (b == 0) throw Error(Code::bad_input, "division by zero");
      if (b == -1) return 0;
      result = a % b;
      if (result != 0 && (result < 0) != (b < 0)) result += b;
      break;
    case Tok::slash:
      if (b == 0) throw Error(Code::bad_input, "division by zero");
      return static_cast<double>(a) / static_cast<double>(b);
    case Tok::floor_slash:
      if (b == 0) throw Error(Code::bad_input, "division by zero");
      if (b == -1) over = __builtin_sub_overflow(std::int64_t{0}, a, &result);
      else result = a / b - (a % b != 0 && (a < 0) != (b < 0));
      break;
    case Tok::equal: return a == b;
    case Tok::unequal: return a != b;
    case Tok::less: return a < b;
    case Tok::less_equal: return a <= b;
    case Tok::greater: return a > b;
    case Tok::greater_equal: return a >= b;
    default:
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      return whole_power(a, b);
  }
  if (over) throw Error(Code::bad_input, "the result does not fit an int of 64 bits; use float");
  return result;
}

std::int64_t integer_of(const Value& v) { return v.is(Kind::boolean) ? v.boolean() : v.integer(); }
double plain(const Value& v) { return v.is(Kind::boolean) ? v.boolean() : v.number(); }

Value plain_result(const Operator& op, const Value& a, const Value& b) {
  if (op.token == Tok::close_to) return is_close(plain(a), plain(b), 1e-6);
  if (!a.is(Kind::number) && !b.is(Kind::number))
    return integer_result(op.token, integer_of(a), integer_of(b));
  if (op.token == Tok::percent && plain(b) == 0) throw Error(Code::bad_input, "division by zero");
  double result = compute(op.token, plain(a), plain(b), 1e-6);
  return op.compares ? Value(result != 0) : Value(result);
}

// ---- everything that is no number

std::optional<Value> structured_result(const Operator& op, const Value& a, const Value& b) {
  if (op.token == Tok::plus && a.is(Kind::string) && b.is(Kind::string))
    return Value(a.string() + b.string());
  if (op.token == Tok::plus && a.is(Kind::list) && b.is(Kind::list)) {
    std::vector<Value> items = a.list();
    items.insert(items.end(), b.list().begin(), b.list().end());
    return Value(std::move(items));
  }
  if (op.token == Tok::equal) return Value(equal(a, b));
  if (op.token == Tok::unequal) return Value(!equal(a, b));
  if (!op.compares || !a.is(Kind::string) || !b.is(Kind::string) || op.token == Tok::close_to) return {};
  int order = a.string().compare(b.string());
  return Value(compute(op.token, order, 0, 0) != 0);
}

[[noreturn]] void no_operator(const Operator& op, const Value& a, const Value& b) {
  std::string hint = op.token == Tok::plus && (a.is(Kind::string) || b.is(Kind::string))
                         ? ": convert with string(x), or write f\"{x}\""
                         : "";
  throw Error(Code::bad_input,
              text("'{}' does not work on {} and {}{}", op.sign, name_of(a.kind()), name_of(b.kind()), hint));
}

// ---- tensors

bool has_kernels(DType d) {
  return d == DType::f16 || d == DType::f32 || d == DType::i32 || d == DType::boolean;
}

int rank_of_float(DType d) { return d == DType::f64 ? 3 : d == DType::f32 ? 2 : 1; }

DType common_float(DType a, DType b) {
  if (a == b) return a;
  if (rank_of_float(a) == 1 && rank_of_float(b) == 1) return DType::f32;  // float16 and bfloat16
  return rank_of_float(a) > rank_of_float(b) ? a : b;
}

bool is_unsigned(DType d) { return d >= DType::u8 && d <= DType::u64; }

DType common_integer(DType a, DType b) {
  if (a == b) return a;
  DType wider = bits_of(a) >= bits_of(b) ? a : b, other = wider == a ? b : a;
  if (is_unsigned(a) == is_unsigned(b) || (!is_unsigned(wider) && bits_of(wider) > bits_of(other)))
    return wider;
  int bits = bits_of(is_unsigned(a) ? a : b);
  return bits == 8 ? DType::i16 : bits == 16 ? DType::i32 : DType::i64;
}

DType common_of_tensors(DType a, DType b) {
  if (is_float(a) && is_float(b)) return common_float(a, b);
  if (is_float(a) || is_float(b)) return is_float(a) ? a : b;
  if (a == DType::boolean || b == DType::boolean)
    return a == b ? DType::boolean : a == DType::boolean ? b : a;
  return common_integer(a, b);
}

Tensor adapted(const Value& v, DType dtype) {
  if (!is_tensor(v)) return scalar(plain(v), dtype);
  return v.tensor().dtype() == dtype ? v.tensor() : converted(v.tensor(), dtype);
}

// Positions of a broadcast operand while the output is walked in order.
class Walk {
 public:
  Walk(const Shape& from, const Shape& to) : to_(to), step_(to.size()), at_(to.size()) {
    Shape strides = row_major(from);
    std::size_t lead = to.size() - from.size();
    for (std::size_t i = 0; i < from.size(); ++i) step_[lead + i] = from[i] == 1 ? 0 : strides[i];
  }
  std::size_t position() const { return static_cast<std::size_t>(position_); }
  void next() {
    for (std::size_t i = to_.size(); i-- > 0;) {
      position_ += step_[i];
      if (++at_[i] < to_[i]) return;
      position_ -= step_[i] * to_[i];
      at_[i] = 0;
    }
  }

 private:
  const Shape& to_;
  Shape step_, at_;
  std::int64_t position_ = 0;
};

Tensor compute_here(Tok token, const Tensor& a, const Tensor& b, DType out, double tolerance) {
  Shape shape = broadcast(a.shape(), b.shape());
  std::vector<double> x = to_doubles(a), y = to_doubles(b), result(static_cast<std::size_t>(volume(shape)));
  bool division = !is_float(a.dtype()) && (token == Tok::percent || token == Tok::floor_slash);
  Walk at_x(a.shape(), shape), at_y(b.shape(), shape);
  for (double& r : result) {
    double divisor = y[at_y.position()];
    if (division && divisor == 0) throw Error(Code::bad_input, "division by zero");
    r = compute(token, x[at_x.position()], divisor, tolerance);
    at_x.next(), at_y.next();
  }
  return from_doubles(result, out, shape);
}

// 64-bit integers do not pass through double.
Tensor compute_integers(Tok token, const Tensor& a, const Tensor& b, DType out) {
  Shape shape = broadcast(a.shape(), b.shape());
  std::vector<std::int64_t> x = to_integers(a), y = to_integers(b),
                            result(static_cast<std::size_t>(volume(shape)));
  Walk at_x(a.shape(), shape), at_y(b.shape(), shape);
  for (std::int64_t& r : result) {
    auto i = static_cast<std::uint64_t>(x[at_x.position()]),
         k = static_cast<std::uint64_t>(y[at_y.position()]);
    r = static_cast<std::int64_t>(token == Tok::plus ? i + k : token == Tok::minus ? i - k : i * k);
    at_x.next(), at_y.next();
  }
  return from_integers(result, out, shape);
}

constexpr std::int64_t small = 2048;  // below, a loop here costs less than carrying out an operation

Shape outer_shape(const Tensor& a, std::size_t rank) {
  Shape shape = a.shape();
  shape.resize(shape.size() + rank, 1);
  return shape;
}

}  // namespace

DType common_type(const Value& a, const Value& b) {
  if (is_tensor(a) && is_tensor(b)) return common_of_tensors(a.tensor().dtype(), b.tensor().dtype());
  const Value &t = is_tensor(a) ? a : b, &n = is_tensor(a) ? b : a;
  DType dtype = t.tensor().dtype();
  if (n.is(Kind::number)) return is_float(dtype) ? dtype : DType::f16;
  if (n.is(Kind::integer) && dtype == DType::boolean) return DType::i32;
  return dtype;
}

Value Interpreter::arithmetic(Tok token, const Value& a, const Value& b) {
  const Operator& op = operator_of(token);
  if (is_scalar_kind(a) && is_scalar_kind(b)) return plain_result(op, a, b);
  bool tensors = (is_tensor(a) || is_tensor(b)) && (is_tensor(a) || is_scalar_kind(a) || a.is(Kind::list)) &&
                 (is_tensor(b) || is_scalar_kind(b) || b.is(Kind::list));
  if (!tensors) {
    if (std::optional<Value> result = structured_result(op, a, b)) return *result;
    no_operator(op, a, b);
  }
  if (a.is(Kind::list)) return arithmetic(token, Value(as_tensor(a)), b);
  if (b.is(Kind::list)) return arithmetic(token, a, Value(as_tensor(b)));
  for (const Value* v : {&a, &b})
    if (is_tensor(*v) && v->tensor().dtype() == DType::string)
      throw Error(Code::bad_input, text("'{}' does not work on a tensor of strings", op.sign));
  DType dtype = common_type(a, b);
  bool logic = op.token == Tok::andand || op.token == Tok::oror;
  if (logic) dtype = DType::boolean;
  else if (!op.compares && dtype == DType::boolean) dtype = DType::i32;
  if (op.token == Tok::slash && !is_float(dtype)) dtype = DType::f16;
  // A comparison with a plain number is made with the number as it is, not as the tensor's type would round
  // it.
  bool exact = op.compares && !logic && (!is_tensor(a) || !is_tensor(b));
  return tensor_arithmetic(token, adapted(a, exact && !is_tensor(a) ? DType::f64 : dtype),
                           adapted(b, exact && !is_tensor(b) ? DType::f64 : dtype), dtype);
}

Value Interpreter::tensor_arithmetic(Tok token, const Tensor& x, const Tensor& y, DType dtype) {
  const Operator& op = operator_of(token);
  if (op.token == Tok::at) {
    if (x.rank() == 0 || y.rank() == 0)
      throw Error(Code::bad_input, "'@' needs tensors of rank 1 or more; '*' multiplies by a number");
    const Tensor inputs[] = {x, y};
    return Value(evaluate_one(find_op("matmul"), inputs));
  }
  if (op.token == Tok::outer)
    return tensor_arithmetic(Tok::star, x.reshaped(outer_shape(x, y.rank())), y, dtype);
  DType out = op.compares ? DType::boolean : dtype;
  std::int64_t size = volume(broadcast(x.shape(), y.shape()));
  bool here = size <= small || !has_kernels(x.dtype()) || x.dtype() != y.dtype() || op.op.empty() ||
              ((token == Tok::andand || token == Tok::oror) && dtype != DType::boolean);
  if (!here) {
    const Tensor inputs[] = {x, y};
    return Value(evaluate_one(find_op(op.op), inputs));
  }
  bool whole = is_integer(dtype) && bits_of(dtype) == 64;
  if (whole && (token == Tok::plus || token == Tok::minus || token == Tok::star))
    return Value(compute_integers(token, x, y, out));
  Tensor result = compute_here(token, x, y, out, dtype == DType::f16 ? 1e-3 : 1e-6);
  const Tensor inputs[] = {x, y};
  watch_numerics(op.op, inputs, result);
  return Value(std::move(result));
}

Value Interpreter::negative(const Value& v) {
  if (v.is(Kind::integer)) return integer_result(Tok::minus, 0, v.integer());
  if (v.is(Kind::number)) return Value(-v.number());
  if (v.is(Kind::tensor) && v.tensor().dtype() != DType::string) return arithmetic(Tok::star, v, Value(-1));
  throw Error(Code::bad_input, text("'-' does not work on {}", name_of(v.kind())));
}

}  // namespace tl::lang
