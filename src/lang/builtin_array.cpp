// SPDX-License-Identifier: Apache-2.0
// Functions and methods that follow NumPy: reductions along an axis, sorting, shapes.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

// ---- reductions

std::vector<std::int64_t> axes_of(const Args& args, std::size_t i, std::size_t rank) {
  std::vector<std::int64_t> axes;
  if (!args.has(i)) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
    return axes;
  }
  for (std::int64_t axis : args.integers(i)) axes.push_back(wrap_axis(axis, rank));
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end())
    throw Error(Code::bad_input, "an axis is given twice");
  return axes;
}

// The elements in groups: one group per element of the result, each in order.
struct Groups {
  Shape shape = {};  // of the result
  std::vector<std::vector<double>> members = {};
};

Groups grouped(const Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  Groups g;
  Shape out_strides(x.rank()), strides = row_major(x.shape());
  Shape kept;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    bool reduced = std::binary_search(axes.begin(), axes.end(), static_cast<std::int64_t>(i));
    if (!reduced) kept.push_back(x.shape()[i]);
    if (!reduced || keep) g.shape.push_back(reduced ? 1 : x.shape()[i]);
  }
  Shape kept_strides = row_major(kept);
  for (std::size_t i = 0, k = 0; i < x.rank(); ++i)
    out_strides[i] =
        std::binary_search(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) ? 0 : kept_strides[k++];
  g.members.resize(static_cast<std::size_t>(volume(kept)));
  std::vector<double> all = to_doubles(x);
  for (std::size_t n = 0; n < all.size(); ++n) {
    std::int64_t rest = static_cast<std::int64_t>(n), to = 0;
    for (std::size_t i = 0; i < x.rank(); ++i) to += rest / strides[i] * out_strides[i], rest %= strides[i];
    g.members[static_cast<std::size_t>(to)].push_back(all[n]);
  }
  return g;
}

using Reduce = double(const std::vector<double>&);

double sum_of(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double mean_of(const std::vector<double>& v) {
  return v.empty() ? NAN : sum_of(v) / static_cast<double>(v.size());
}
double prod_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>());
}
double var_of(const std::vector<double>& v) {
  double mean = mean_of(v), sum = 0;
  for (double x : v) sum += (x - mean) * (x - mean);
  return v.empty() ? NAN : sum / static_cast<double>(v.size());
}
double std_of(const std::vector<double>& v) { return std::sqrt(var_of(v)); }
double extreme(const std::vector<double>& v, bool largest) {
  if (v.empty())
    throw Error(Code::bad_input,
                text("the {} of no elements is not defined", largest ? "maximum" : "minimum"));
  double best = v[0];
  for (double x : v) {
    if (std::isnan(x)) return x;
    if (largest ? x > best : x < best) best = x;
  }
  return best;
}
double max_of(const std::vector<double>& v) { return extreme(v, true); }
double min_of(const std::vector<double>& v) { return extreme(v, false); }
double any_of(const std::vector<double>& v) {
  return std::any_of(v.begin(), v.end(), [](double x) { return x != 0; });
}
double all_of(const std::vector<double>& v) {
  return std::all_of(v.begin(), v.end(), [](double x) { return x != 0; });
}

struct Reduction {
  Reduce* here;
  std::string_view op;  // of the op table, for large tensors
  enum Result { same, sums, fractional, truth } result;
};

DType result_type(const Reduction& r, DType in) {
  if (r.result == Reduction::truth) return DType::boolean;
  if (r.result == Reduction::fractional) return is_float(in) ? in : DType::f16;
  if (r.result == Reduction::sums && (in == DType::boolean || bits_of(in) < 32) && !is_float(in))
    return DType::i32;
  return in;
}

Value reduce(Args& args, const Reduction& r) {
  bool plain = args[0].is(Kind::list) && !args.has(1);  // numbers of float64 are not squeezed into float16
  for (std::size_t i = 0; plain && i < args[0].list().size(); ++i)
    plain = args[0].list()[i].is_plain_number() || args[0].list()[i].is(Kind::boolean);
  if (plain) {
    std::vector<double> numbers;
    bool whole = r.result == Reduction::same || r.result == Reduction::sums;
    for (const Value& v : args[0].list()) numbers.push_back(as_number(v)), whole &= !v.is(Kind::number);
    double result = r.here(numbers);
    if (r.result == Reduction::truth) return Value(result != 0);
    return whole && std::abs(result) < 9e15 ? Value(static_cast<std::int64_t>(result)) : Value(result);
  }
  Tensor x = args.tensor(0);
  if (x.dtype() == DType::string) args.wrong(0, "a tensor of numbers");
  std::vector<std::int64_t> axes = axes_of(args, 1, x.rank());
  bool keep = args.boolean_or(2, false);
  DType dtype = result_type(r, x.dtype());
  constexpr std::int64_t small = 2048;
  bool kernel = x.dtype() == DType::f16 || x.dtype() == DType::f32;
  if (x.size() > small && kernel && !r.op.empty()) {
    Attrs attrs;
    attrs.set("axes", axes);
    attrs.set("keep_dims", keep);
    const Tensor inputs[] = {x};
    return Value(args.interpreter.evaluate_one(find_op(r.op), inputs, attrs));
  }
  Groups groups = grouped(x, axes, keep);
  std::vector<double> results;
  for (const auto& members : groups.members) results.push_back(r.here(members));
  Tensor result = from_doubles(results, dtype, groups.shape);
  const Tensor inputs[] = {x};
  args.interpreter.watch_numerics(args.self.name, inputs, result);
  return Value(std::move(result));
}

Value sum(Args& args) { return reduce(args, {sum_of, "reduce_sum", Reduction::sums}); }
Value mean(Args& args) { return reduce(args, {mean_of, "reduce_mean", Reduction::fractional}); }
Value prod(Args& args) { return reduce(args, {prod_of, "reduce_prod", Reduction::sums}); }
Value variance(Args& args) { return reduce(args, {var_of, "", Reduction::fractional}); }
Value deviation(Args& args) { return reduce(args, {std_of, "", Reduction::fractional}); }
Value any(Args& args) { return reduce(args, {any_of, "", Reduction::truth}); }
Value all(Args& args) { return reduce(args, {all_of, "", Reduction::truth}); }

// max(x, axis: 0) reduces; max(a, b) of numbers is the larger.
Value larger(Args& args, bool largest) {
  bool numbers = (args[0].is_plain_number() || args[0].is(Kind::boolean)) && args.has(1);
  if (!numbers)
    return reduce(args, {largest ? max_of : min_of, largest ? "reduce_max" : "reduce_min", Reduction::same});
  if (!is_number_like(args[1])) args.wrong(1, "a number");
  return (as_number(args[1]) > as_number(args[0])) == largest ? args[1] : args[0];
}
Value max(Args& args) { return larger(args, true); }
Value min(Args& args) { return larger(args, false); }

// ---- positions

Value arg_extreme(Args& args, bool largest) {
  Tensor x = args.tensor(0);
  bool flat = !args.has(1);
  std::vector<std::int64_t> axes = axes_of(args, 1, x.rank());
  if (!flat && axes.size() != 1) args.wrong(1, "one axis");
  Groups groups = grouped(x, axes, args.boolean_or(2, false));
  std::vector<std::int64_t> positions;
  for (const auto& members : groups.members) {
    double best = extreme(members, largest);
    auto is_best = [&](double v) { return v == best || (std::isnan(v) && std::isnan(best)); };
    positions.push_back(std::find_if(members.begin(), members.end(), is_best) - members.begin());
  }
  return Value(from_integers(positions, DType::i32, groups.shape));
}
Value argmax(Args& args) { return arg_extreme(args, true); }
Value argmin(Args& args) { return arg_extreme(args, false); }

// Sorts along one axis; gives positions or the elements themselves.
Value sort_along(Args& args, bool positions) {
  Tensor x = args.tensor(0);
  if (x.rank() == 0) args.wrong(0, "a tensor of rank 1 or more");
  auto axis = static_cast<std::size_t>(wrap_axis(args.integer_or(1, -1), x.rank()));
  std::int64_t n = x.shape()[axis], inner = row_major(x.shape())[axis],
               outer = x.size() ? x.size() / (n * inner) : 0;
  std::vector<double> all = to_doubles(x), sorted = all;
  std::vector<std::int64_t> order(all.size()), one(static_cast<std::size_t>(n));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      auto at = [&](std::int64_t k) { return static_cast<std::size_t>((o * n + k) * inner + i); };
      std::iota(one.begin(), one.end(), 0);
      std::stable_sort(one.begin(), one.end(), [&](std::int64_t a, std::int64_t b) {
        double p = all[at(a)], q = all[at(b)];
        return std::isnan(q) ? !std::isnan(p) : p < q;
      });
      for (std::int64_t k = 0; k < n; ++k)
        order[at(k)] = one[static_cast<std::size_t>(k)],
        sorted[at(k)] = all[at(one[static_cast<std::size_t>(k)])];
    }
  }
  return positions ? Value(from_integers(order, DType::i32, x.shape()))
                   : Value(from_doubles(sorted, x.dtype(), x.shape()));
}
Value argsort(Args& args) { return sort_along(args, true); }
Value sort(Args& args) { return sort_along(args, false); }

// ---- shapes

std::vector<std::int64_t> rest_integers(Args& args) {
  if (args.rest.size() == 1 && !as_whole(args.rest[0])) args.values.push_back(args.rest[0]);
  else args.values.push_back(Value(args.rest));
  std::vector<std::int64_t> result;
  if (args.values.back().is(Kind::list))
    for (const Value& v : args.values.back().list()) {
      std::optional<std::int64_t> n = as_whole(v);
      if (!n)
        throw Error(Code::bad_input, text("'{}' takes ints, not {}", args.self.name, display_inside(v)));
      result.push_back(*n);
    }
  else result = to_integers(as_tensor(args.values.back()));
  return result;
}

Value reshape(Args& args) {
  Tensor x = args.tensor(0);
  Shape shape = rest_integers(args);
  std::int64_t known = 1, unknowns = 0;
  for (Dim d : shape) {
    if (d == -1) ++unknowns;
    else if (d < 0) throw Error(Code::bad_input, text("a shape has no negative lengths: {}", spell(shape)));
    else known *= d;
  }
  bool fits = unknowns == 0 ? known == x.size() : unknowns == 1 && known > 0 && x.size() % known == 0;
  if (!fits)
    throw Error(Code::bad_input,
                text("a tensor of shape {} cannot become {}", spell(x.shape()), spell(shape)));
  for (Dim& d : shape)
    if (d == -1) d = x.size() / known;
  return Value(x.reshaped(shape));
}

Value flatten(Args& args) { return Value(args.tensor(0).reshaped({args.tensor(0).size()})); }

Value transpose(Args& args) {
  Tensor x = args.tensor(0);
  std::vector<std::int64_t> perm = args.rest.empty() ? std::vector<std::int64_t>{} : rest_integers(args);
  if (perm.empty())
    for (std::size_t i = x.rank(); i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
  Shape shape;
  std::vector<bool> used(x.rank());
  for (std::int64_t& p : perm) {
    p = wrap_axis(p, x.rank());
    if (used[static_cast<std::size_t>(p)]) throw Error(Code::bad_input, "an axis is given twice");
    used[static_cast<std::size_t>(p)] = true;
    shape.push_back(x.shape()[static_cast<std::size_t>(p)]);
  }
  if (perm.size() != x.rank())
    throw Error(Code::bad_input, text("{} axes for a tensor of rank {}", perm.size(), x.rank()));
  if (is_packed(x.dtype()) || x.dtype() == DType::string)
    throw Error(Code::unsupported, text("a {} tensor cannot be transposed", spell(x.dtype())));
  Tensor result(x.dtype(), shape);
  if (x.size() == 0) return Value(result);
  Shape strides = row_major(x.shape()), index(shape.size());
  std::size_t width = bytes_of(x.dtype(), 1);
  std::byte* to = result.writable_data();
  std::int64_t from = 0;
  for (std::int64_t n = 0; n < x.size(); ++n, to += width) {
    std::memcpy(to, x.data() + static_cast<std::size_t>(from) * width, width);
    for (std::size_t i = shape.size(); i-- > 0;) {
      std::int64_t step = strides[static_cast<std::size_t>(perm[i])];
      from += step;
      if (++index[i] < shape[i]) break;
      from -= step * shape[i];
      index[i] = 0;
    }
  }
  return Value(std::move(result));
}

Value squeeze(Args& args) {
  Tensor x = args.tensor(0);
  std::vector<std::int64_t> axes = axes_of(args, 1, x.rank());
  Shape shape;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    bool named = std::binary_search(axes.begin(), axes.end(), static_cast<std::int64_t>(i));
    if (named && args.has(1) && x.shape()[i] != 1)
      throw Error(Code::bad_input, text("dimension {} has length {}, not 1", i, x.shape()[i]));
    if (!named || x.shape()[i] != 1) shape.push_back(x.shape()[i]);
  }
  return Value(x.reshaped(shape));
}

Value astype(Args& args) { return Value(as_tensor(args[0], args.dtype_or(1, DType::f16))); }

Value to_device(Args& args) {
  std::vector<std::string> all = args.interpreter.host().devices();
  const std::string& device = args.string(1);
  if (device != "auto" && std::find(all.begin(), all.end(), device) == all.end())
    throw Error(Code::bad_input, text("there is no device '{}' here, only: {}", device, join(all, ", ")));
  return args[0];
}

Value plain_item(const Tensor& x, std::size_t i) {
  if (x.dtype() == DType::string) return Value(x.as<std::string>()[i]);
  if (x.dtype() == DType::boolean) return Value(to_integers(x)[i] != 0);
  return is_float(x.dtype()) ? Value(to_doubles(x)[i]) : Value(to_integers(x)[i]);
}

Value item(Args& args) {
  if (args.tensor(0).size() != 1)
    throw Error(Code::bad_input,
                text("'item' needs one element, and the shape is {}", spell(args.tensor(0).shape())));
  return plain_item(args.tensor(0), 0);
}

Value tolist(Args& args) {
  Tensor x = args.tensor(0);
  if (x.rank() == 0) return plain_item(x, 0);
  std::vector<Value> items;
  for (std::int64_t i = 0; i < x.shape()[0]; ++i) {
    Args inner{args.interpreter, args.self, {args.interpreter.item(Value(x), Value(i))}};
    items.push_back(inner[0].is(Kind::tensor) ? tolist(inner) : inner[0]);
  }
  return Value(std::move(items));
}

Value dot(Args& args) { return args.interpreter.arithmetic(Tok::at, args[0], args[1]); }

constexpr Builtin rows[] = {
    // methods of a tensor; the first ones are functions too
    {"sum", "x, axis?, keepdims?", "The sum of all elements, or along axes.", sum},
    {"mean", "x, axis?, keepdims?", "The mean of all elements, or along axes.", mean},
    {"prod", "x, axis?, keepdims?", "The product of all elements, or along axes.", prod},
    {"max", "x, axis?, keepdims?", "The largest element, or the largest along axes; max(a, b) of numbers.",
     max},
    {"min", "x, axis?, keepdims?", "The smallest element, or the smallest along axes; min(a, b) of numbers.",
     min},
    {"argmax", "x, axis?, keepdims?", "Where the largest element is.", argmax},
    {"argmin", "x, axis?, keepdims?", "Where the smallest element is.", argmin},
    {"argsort", "x, axis?", "The positions that sort x along an axis, ascending.", argsort},
    {"sort", "x, axis?", "x sorted along an axis, ascending.", sort},
    {"any", "x, axis?, keepdims?", "Whether an element is true.", any},
    {"all", "x, axis?, keepdims?", "Whether all elements are true.", all},
    {"std", "x, axis?, keepdims?", "The standard deviation.", deviation},
    {"var", "x, axis?, keepdims?", "The variance.", variance},
    {"reshape", "x, *shape", "The same elements in another shape; -1 is what is left.", reshape},
    {"flatten", "x", "The same elements with rank 1.", flatten},
    {"transpose", "x, *axes", "The axes in another order; reversed if none is given.", transpose},
    {"squeeze", "x, axis?", "Without the axes of length 1.", squeeze},
    {"astype", "x, dtype", "The same values in another element type.", astype},
    {"to", "x, device", "The tensor on a device.", to_device},
    {"item", "x", "The one element as a plain number.", item},
    {"tolist", "x", "The elements as lists of plain numbers.", tolist},
    {"dot", "x, y", "The matrix product.", dot},
};
constexpr std::size_t functions = 11;

}  // namespace

std::span<const Builtin> array_builtins() { return std::span(rows).first(functions); }
std::span<const Builtin> tensor_methods() { return rows; }

}  // namespace tl::lang
