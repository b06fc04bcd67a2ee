// SPDX-License-Identifier: Apache-2.0
// CPU kernels of reductions: what rows and columns fold to (reduce_run.cpp splits the work), log_sum_exp, and
// where the largest and smallest are.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/reduce.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/reduce.h"
#include "op/scalar.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {

#include "simd/vector.inc"

#include "simd/math.inc"

#include "op/fold.inc"

HWY_INLINE void put(float* p, double x) { *p = static_cast<float>(x); }
HWY_INLINE void put(Half* p, double x) { *p = to_half(x); }
HWY_INLINE void put(std::int32_t* p, std::int32_t x) { *p = x; }

template <class Op, class T> void row(const void* x, std::int64_t n, void* total) {
  put(static_cast<Element<T>*>(total),
      fold_row<Op>(static_cast<const T*>(x), n, [](Vector<T> v) HWY_ATTR { return Op::take(v); }));
}
template <class Op, class T>
void columns(const void* x, std::int64_t rows, std::int64_t stride, std::int64_t n, void* totals) {
  fold_columns<Op>(static_cast<const T*>(x), rows, stride, n, static_cast<Element<T>*>(totals),
                   [](Vector<T> v, std::int64_t) HWY_ATTR { return Op::take(v); });
}
template <class Op, class T> void end(const void* totals, std::int64_t n, std::int64_t count, void* out) {
  for (std::int64_t i = 0; i < n; ++i)
    put(static_cast<T*>(out) + i, Op::end(wide_of(static_cast<const Element<T>*>(totals)[i]), count));
}
template <class Op, class T> constexpr Fold fold{row<Op, T>, columns<Op, T>, sizeof(T)};

template <class Op, class T>
constexpr Reduction reduction{fold<Op, T>, fold<typename Op::Join, Element<T>>, end<Op, T>};

template <class Op, bool integers> std::unique_ptr<Kernel> make(const KernelRequest& request) {
  Reduction how;
  if (request.in[0].dtype == DType::f16) how = reduction<Op, Half>;
  if (request.in[0].dtype == DType::f32) how = reduction<Op, float>;
  if constexpr (integers)
    if (request.in[0].dtype == DType::i32) how = reduction<Op, std::int32_t>;
  return reduce_kernel(request, how);
}

// ---- log_sum_exp: the largest first, then the sum of what is relative to it

template <class T> class LogSumExp final : public Kernel {
 public:
  explicit LogSumExp(const Runs& r) : r_(r) {
    flops = 10.0 * static_cast<double>(r.outer * r.length * r.inner);
  }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    std::int64_t tiles = (r_.inner + column_tile - 1) / column_tile;
    call.pool.ranges(r_.outer * tiles, std::max<std::int64_t>(1, 4096 / r_.length),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t unit = from; unit < to; ++unit) {
                         std::int64_t i = unit / tiles, c = unit % tiles * column_tile,
                                      n = std::min(column_tile, r_.inner - c);
                         if (r_.inner == 1) row(x + i * r_.length, y + i);
                         else columns(x + i * r_.length * r_.inner + c, n, y + i * r_.inner + c);
                       }
                     });
  }

 private:
  void row(const T* x, T* y) const {
    double top = fold_row<Max>(x, r_.length, [](Real v) HWY_ATTR { return v; });
    Real t = top;
    double sum =
        std::isinf(top) ? 1 : fold_row<Sum>(x, r_.length, [t](Real v) HWY_ATTR { return exp(v - t); });
    put(y, top + std::log(sum));
  }
  void columns(const T* x, std::int64_t n, T* y) const {
    alignas(64) float top[column_tile], sum[column_tile];
    fold_columns<Max>(x, r_.length, r_.inner, n, top, [](Real v, std::int64_t) HWY_ATTR { return v; });
    fold_columns<Sum>(x, r_.length, r_.inner, n, sum,
                      [&](Real v, std::int64_t c) HWY_ATTR { return exp(v - load(top + c)); });
    for (std::int64_t j = 0; j < n; ++j)
      put(y + j, std::isinf(top[j]) ? top[j] : top[j] + std::log(static_cast<double>(sum[j])));
  }
  Runs r_;
};

inline std::unique_ptr<Kernel> make_log_sum_exp(const KernelRequest& request) {
  const Shape& shape = request.in[0].shape;
  auto r = runs(shape, axes_of(request.attrs, shape.size()));
  if (!r || r->length == 0 || !request.post.empty()) return nullptr;
  if (request.in[0].dtype == DType::f16) return std::make_unique<LogSumExp<Half>>(*r);
  if (request.in[0].dtype == DType::f32) return std::make_unique<LogSumExp<float>>(*r);
  return nullptr;
}

// ---- where the largest and smallest are

template <class V, bool most> HWY_INLINE Truth better(V x, V best) {
  if constexpr (std::is_same_v<V, Int>) return most ? x > best : x < best;
  else return (best == best) && ((x != x) || (most ? x > best : x < best));
}

template <class T, bool most> class Arg final : public Kernel {
 public:
  Arg(const Runs& r, DType index) : r_(r), narrow_(index == DType::u16) {
    flops = static_cast<double>(r.outer * r.length * r.inner);
  }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    std::int64_t tiles = (r_.inner + lanes - 1) / lanes;
    call.pool.ranges(r_.outer * tiles,
                     std::max<std::int64_t>(1, fold_grain / (r_.length * std::min(lanes, r_.inner))),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t unit = from; unit < to; ++unit) {
                         std::int64_t i = unit / tiles, c = unit % tiles * lanes;
                         if (r_.inner == 1) give(call, i, row(x + i * r_.length));
                         else
                           columns(call, x + i * r_.length * r_.inner + c,
                                   std::min<std::int64_t>(lanes, r_.inner - c), i * r_.inner + c);
                       }
                     });
  }

 private:
  using V = Vector<T>;
  std::int64_t row(const T* x) const {
    std::int64_t n = r_.length, i = lanes;
    if (n < lanes) return narrow_row(x, n);
    V best = load(x);
    Int at = hn::Iota(i32, 0), now = at;
    for (; i + lanes <= n; i += lanes) step(load(x + i), now = now + Int(static_cast<int>(lanes)), best, at);
    if (i < n)
      step(load(x + n - lanes), Int(hn::Iota(i32, 0)) + Int(static_cast<int>(n - lanes)), best,
           at);  // some again
    alignas(64) Element<T> value[lanes];
    alignas(64) std::int32_t place[lanes];
    store(best, value);
    store(at, place);
    int k = 0;
    for (int j = 1; j < lanes; ++j)
      if (above(value[j], value[k]) || (!above(value[k], value[j]) && place[j] < place[k])) k = j;
    return place[k];
  }
  static HWY_INLINE void step(V x, Int now, V& best, Int& at) {
    Truth won = better<V, most>(x, best);
    best = select(won, x, best);
    at = select(won, now, at);
  }
  template <class S> static bool above(S a, S b) { return b == b && (a != a || (most ? a > b : a < b)); }
  static std::int64_t narrow_row(const T* x, std::int64_t n) {
    alignas(64) Element<T> value[lanes];
    store(load_some(x, n), value);
    std::int64_t k = 0;
    for (std::int64_t j = 1; j < n; ++j)
      if (above(value[j], value[k])) k = j;
    return k;
  }
  void columns(const KernelCall& call, const T* x, std::int64_t n, std::int64_t to) const {
    V best = load_n(x, n);
    Int at = 0;
    for (std::int64_t r = 1; r < r_.length; ++r)
      step(load_n(x + r * r_.inner, n), Int(static_cast<int>(r)), best, at);
    alignas(64) std::int32_t place[lanes];
    store(at, place);
    for (std::int64_t j = 0; j < n; ++j) give(call, to + j, place[j]);
  }
  void give(const KernelCall& call, std::int64_t at, std::int64_t place) const {
    if (narrow_) call.output<std::uint16_t>(0)[at] = static_cast<std::uint16_t>(place);
    else call.output<std::int32_t>(0)[at] = static_cast<std::int32_t>(place);
  }
  Runs r_;
  bool narrow_;
};

template <bool most> std::unique_ptr<Kernel> make_arg(const KernelRequest& request) {
  const Shape& shape = request.in[0].shape;
  std::int64_t axis[] = {wrap_axis(request.attrs.integer("axis"), shape.size())};
  Runs r = *runs(shape, axis);
  if (!request.post.empty() || r.length > std::numeric_limits<std::int32_t>::max()) return nullptr;
  switch (request.in[0].dtype) {
    case DType::f16: return std::make_unique<Arg<Half, most>>(r, request.out[0].dtype);
    case DType::f32: return std::make_unique<Arg<float, most>>(r, request.out[0].dtype);
    case DType::i32: return std::make_unique<Arg<std::int32_t, most>>(r, request.out[0].dtype);
    default: return nullptr;
  }
}

constexpr KernelRow rows[] = {
    {&ops::reduce_sum, "reduce", make<Sum, true>},
    {&ops::reduce_mean, "reduce", make<Mean, false>},
    {&ops::reduce_max, "reduce", make<Max, true>},
    {&ops::reduce_min, "reduce", make<Min, true>},
    {&ops::reduce_prod, "reduce", make<Product, true>},
    {&ops::reduce_sum_square, "reduce", make<SumSquare, true>},
    {&ops::reduce_l1_norm, "reduce", make<L1, true>},
    {&ops::reduce_l2_norm, "reduce", make<L2, false>},
    {&ops::reduce_log_sum, "reduce", make<LogSum, false>},
    {&ops::reduce_log_sum_exp, "log_sum_exp", make_log_sum_exp},
    {&ops::reduce_argmax, "argmax", make_arg<true>},
    {&ops::reduce_argmin, "argmin", make_arg<false>},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(reduce)
