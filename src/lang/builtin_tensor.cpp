// SPDX-License-Identifier: Apache-2.0
// Functions that make tensors.
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

Value filled(const Shape& shape, DType dtype, double value) {
  std::vector<double> numbers(static_cast<std::size_t>(volume(shape)), value);
  return Value(from_doubles(numbers, dtype, shape));
}

Value zeros(Args& args) { return filled(args.shape(0), args.dtype_or(1, DType::f16), 0); }
Value ones(Args& args) { return filled(args.shape(0), args.dtype_or(1, DType::f16), 1); }

DType natural(const Value& v) {
  if (v.is(Kind::tensor)) return v.tensor().dtype();
  return v.is(Kind::integer) ? DType::i32 : v.is(Kind::boolean) ? DType::boolean : DType::f16;
}

Value full(Args& args) { return filled(args.shape(0), args.dtype_or(2, natural(args[1])), args.number(1)); }
Value zeros_like(Args& args) {
  return filled(args.tensor(0).shape(), args.dtype_or(1, args.tensor(0).dtype()), 0);
}
Value ones_like(Args& args) {
  return filled(args.tensor(0).shape(), args.dtype_or(1, args.tensor(0).dtype()), 1);
}

constexpr double most = 1e9;

// arange(stop), arange(start, stop), arange(start, stop, step)
Value arange(Args& args) {
  double start = args.has(1) ? args.number(0) : 0, stop = args.number(args.has(1) ? 1 : 0),
         step = args.number_or(2, 1);
  if (step == 0 || !std::isfinite(step)) throw Error(Code::bad_input, "the step of 'arange' must not be 0");
  bool whole =
      as_whole(args[0]) && (!args.has(1) || as_whole(args[1])) && (!args.has(2) || as_whole(args[2]));
  double n = std::max(0.0, std::ceil((stop - start) / step));
  if (!(n <= most)) throw Error(Code::bad_input, "too many elements for 'arange'");
  std::vector<double> numbers(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = start + static_cast<double>(i) * step;
  return Value(from_doubles(numbers, args.dtype_or(3, whole ? DType::i32 : DType::f16),
                            {static_cast<Dim>(numbers.size())}));
}

Value linspace(Args& args) {
  double start = args.number(0), stop = args.number(1);
  std::int64_t n = args.integer(2);
  if (n < 0 || static_cast<double>(n) > most)
    throw Error(Code::bad_input, text("'linspace' cannot make {} elements", n));
  std::vector<double> numbers(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    numbers[static_cast<std::size_t>(i)] =
        i + 1 == n && n > 1 ? stop
                            : start + (stop - start) * static_cast<double>(i) /
                                          static_cast<double>(std::max<std::int64_t>(n - 1, 1));
  return Value(from_doubles(numbers, args.dtype_or(3, DType::f16), {n}));
}

Value eye(Args& args) {
  std::int64_t rows = args.integer(0), columns = args.integer_or(1, rows);
  if (rows < 0 || columns < 0) throw Error(Code::bad_input, "'eye' takes sizes of at least 0");
  std::vector<double> numbers(static_cast<std::size_t>(volume(Shape{rows, columns})));
  for (std::int64_t i = 0; i < std::min(rows, columns); ++i)
    numbers[static_cast<std::size_t>(i * columns + i)] = 1;
  return Value(from_doubles(numbers, args.dtype_or(2, DType::f16), {rows, columns}));
}

// ---- random numbers: splitmix64, a new stream for every call

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double normal() {
    double radius = std::sqrt(-2 * std::log(1 - uniform())), angle = 6.283185307179586 * uniform();
    return radius * std::cos(angle);
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  std::uint64_t state_;
};

std::uint64_t seed_of(Args& args, std::size_t i) {
  if (args.has(i)) return static_cast<std::uint64_t>(args.integer(i)) ^ 0x5eed;
  return ++args.interpreter.options().seed * 0x2545f4914f6cdd1du;
}

template <class Draw> Value drawn(Args& args, std::size_t dtype, std::size_t seed, const Draw& draw) {
  Shape shape = args.shape(0);
  std::vector<double> numbers(static_cast<std::size_t>(volume(shape)));
  Random random(seed_of(args, seed));
  for (double& x : numbers) x = draw(random);
  return Value(from_doubles(numbers, args.dtype_or(dtype, DType::f16), shape));
}

Value rand(Args& args) {
  return drawn(args, 1, 2, [](Random& r) { return r.uniform(); });
}
Value randn(Args& args) {
  return drawn(args, 1, 2, [](Random& r) { return r.normal(); });
}

// Glorot's uniform: the last two dimensions are fan-out and fan-in, those after them the receptive field.
Value xavier(Args& args) {
  Shape shape = args.shape(0);
  double out = shape.empty() ? 1 : static_cast<double>(shape[0]),
         in = shape.size() < 2 ? out : static_cast<double>(shape[1]);
  double field = 1;
  for (std::size_t i = 2; i < shape.size(); ++i) field *= static_cast<double>(shape[i]);
  double bound = std::sqrt(6 / std::max(1.0, (in + out) * field));
  return drawn(args, 1, 2, [&](Random& r) { return bound * (2 * r.uniform() - 1); });
}

Value randint(Args& args) {
  std::int64_t low = args.integer(1), high = args.integer(2);
  if (high <= low) throw Error(Code::bad_input, text("'randint' needs low < high, not {} and {}", low, high));
  return drawn(args, 3, 4, [&](Random& r) {
    return std::floor(static_cast<double>(low) + r.uniform() * static_cast<double>(high - low));
  });
}

Value randint_default(Args& args) {
  if (!args.has(3)) args.values[3] = Value(Kind::type, new TypeObject(DType::i32));
  return randint(args);
}

Value stack(Args& args) {
  Tensor first = args.tensor(0);  // a list of equal shapes becomes one with the list as axis 0
  std::int64_t axis = wrap_axis(args.integer_or(1, 0), std::max<std::size_t>(first.rank(), 1));
  if (axis == 0) return Value(first);
  std::vector<Value> perm;
  for (std::int64_t i = 1; i <= axis; ++i) perm.emplace_back(i);
  perm.emplace_back(0);
  for (auto i = axis + 1; i < static_cast<std::int64_t>(first.rank()); ++i) perm.emplace_back(i);
  return args.interpreter.call(function_value(*find_method(Kind::tensor, "transpose")),
                               {{Value(first), Value(std::move(perm))}, {}, args.place});
}

constexpr Builtin table[] = {
    {"zeros", "shape, dtype?", "A tensor of zeros; float16 unless said otherwise.", zeros},
    {"ones", "shape, dtype?", "A tensor of ones.", ones},
    {"full", "shape, value, dtype?", "A tensor of one value.", full},
    {"zeros_like", "x, dtype?", "Zeros of the shape and type of x.", zeros_like},
    {"ones_like", "x, dtype?", "Ones of the shape and type of x.", ones_like},
    {"arange", "start, stop?, step?, dtype?", "start, start + step … below stop; arange(n) begins with 0.",
     arange},
    {"linspace", "start, stop, n, dtype?", "n numbers from start to stop, both included.", linspace},
    {"eye", "n, m?, dtype?", "Ones on the diagonal.", eye},
    {"rand", "shape, dtype?, seed?", "Random numbers, uniform from 0 to 1.", rand},
    {"randn", "shape, dtype?, seed?", "Random numbers, normal with mean 0 and variance 1.", randn},
    {"randint", "shape, low, high, dtype?, seed?", "Random integers from low to below high.",
     randint_default},
    {"xavier", "shape, dtype?, seed?", "Random weights whose layer keeps the variance of its input.", xavier},
    {"stack", "values, axis?", "A list of tensors of one shape, or of numbers, as a tensor with a new axis.",
     stack},
};

}  // namespace

std::span<const Builtin> tensor_builtins() { return table; }

}  // namespace tl::lang
