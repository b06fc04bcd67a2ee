// SPDX-License-Identifier: Apache-2.0
// CPU kernels of poolings. A window is folded first over its rows, column by column, into 32-bit floats, then
// along them; a window that is the whole image is folded as one row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/pool.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/pool.h"
#include "op/reduce.h"
#include "op/scalar.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {

#include "simd/vector.inc"

#include "simd/math.inc"

#include "op/fold.inc"

HWY_INLINE void put(float* p, double x) { *p = static_cast<float>(x); }
HWY_INLINE void put(Half* p, double x) { *p = to_half(x); }

constexpr std::int64_t pool_grain = 16384;  // input elements a thread

// The whole image is the window.
template <class Op, PoolKind kind, class T> class GlobalPool final : public Kernel {
 public:
  explicit GlobalPool(const PoolShape& p) : p_(p) { flops = static_cast<double>(p.planes * p.in_size()); }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    std::int64_t n = p_.in_size();
    call.pool.ranges(p_.planes, std::max<std::int64_t>(1, pool_grain / n),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t i = from; i < to; ++i) {
                         double total =
                             fold_row<Op>(x + i * n, n, [](Real v) HWY_ATTR { return Op::take(v); });
                         put(y + i, kind == PoolKind::avg  ? total / static_cast<double>(n)
                                    : kind == PoolKind::l2 ? std::sqrt(total)
                                                           : total);
                       }
                     });
  }

 private:
  PoolShape p_;
};

template <class Op, PoolKind kind, class T> class WindowPool final : public Kernel {
 public:
  explicit WindowPool(const PoolShape& p) : p_(p) {
    flops = static_cast<double>(p.planes * p.out_size() * p.window[0].kernel * p.window[1].kernel *
                                p.window[2].kernel);
    const Window& w = p_.window[2];
    for (std::int64_t o = 0; o < w.out; ++o) {
      Reach r = reach(w, o);
      divide_.push_back(1 / static_cast<float>(p.exclude_padding ? r.last - r.first : r.covered));
    }
  }

  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    std::int64_t lines = p_.window[0].out * p_.window[1].out;
    std::int64_t work = p_.window[0].kernel * p_.window[1].kernel * p_.window[2].in;
    call.pool.ranges(p_.planes * lines, std::max<std::int64_t>(1, pool_grain / work),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t unit = from; unit < to; ++unit) {
                         std::int64_t line = unit % lines;
                         Reach depth = reach(p_.window[0], line / p_.window[1].out),
                               height = reach(p_.window[1], line % p_.window[1].out);
                         one_line(x + unit / lines * p_.in_size(), depth, height,
                                  y + unit * p_.window[2].out);
                       }
                     });
  }

  static constexpr std::int64_t longest = 4096;  // columns folded at a time
  static bool fits(const PoolShape& p) { return p.window[2].kernel + p.window[2].stride <= longest / 2; }

 private:
  // An output line: in pieces whose columns fit the buffer.
  void one_line(const T* image, const Reach& depth, const Reach& height, T* y) const {
    const Window& w = p_.window[2];
    std::int64_t step = (longest - w.kernel - 2 * lanes) / w.stride + 1;
    auto counted = [&](const Reach& r) {
      return static_cast<float>(p_.exclude_padding ? r.last - r.first : r.covered);
    };
    float divide = 1 / (counted(depth) * counted(height));
    for (std::int64_t first = 0; first < w.out; first += step) {
      std::int64_t n = std::min(step, w.out - first);
      alignas(64) float column[longest + 64];
      fold_lines(image, depth, height, first * w.stride - w.before, (n - 1) * w.stride + w.kernel, column);
      fold_along(column, first, n, divide, y + first);
    }
  }

  // Columns [start, start + n) of the input, folded over depth and height; what lies outside is the fold of
  // nothing.
  void fold_lines(const T* image, const Reach& depth, const Reach& height, std::int64_t start, std::int64_t n,
                  float* column) const {
    const Window& w = p_.window[2];
    std::int64_t from = std::clamp<std::int64_t>(-start, 0, n),
                 to = std::clamp<std::int64_t>(w.in - start, from, n);
    for (std::int64_t c = 0; c < n + 2 * lanes; c += lanes) store(Op::template begin<Real>(), column + c);
    for (std::int64_t d = depth.first; d < depth.last; ++d)
      for (std::int64_t h = height.first; h < height.last; ++h) {
        const T* line = image + (d * p_.window[1].in + h) * w.in + start;
        std::int64_t c = from;
        for (; c + lanes <= to; c += lanes)
          store(Op::join(load(column + c), Op::take(load(line + c))), column + c);
        if (c == to) continue;
        Real v =
            select(first_lanes(to - c), Op::take(load_some(line + c, to - c)), Op::template begin<Real>());
        store(Op::join(load(column + c), v), column + c);
      }
  }

  HWY_INLINE Real every(const float* column,
                        std::int64_t k) const {  // outputs side by side, element k of their windows
    std::int64_t stride = p_.window[2].stride;
    if (stride == 1) return load(column + k);
    if (stride == 2) {
      hn::Vec<F32> even, odd;
      hn::LoadInterleaved2(f32, column + (k & ~std::int64_t{1}), even, odd);
      return k & 1 ? odd : even;
    }
    alignas(64) float picked[lanes];
    for (std::int64_t i = 0; i < lanes; ++i) picked[i] = column[i * stride + k];
    return load(picked);
  }

  void fold_along(const float* column, std::int64_t first, std::int64_t n, float divide, T* y) const {
    const Window& w = p_.window[2];
    each_vector(n, [&](std::int64_t o, std::int64_t m) HWY_ATTR {
      Real total = Op::template begin<Real>();
      if (m == lanes ||
          w.stride <= 2) {  // what a last vector reads too much is within the buffer, and not kept
        for (std::int64_t k = 0; k < w.kernel; ++k) total = Op::join(total, every(column + o * w.stride, k));
      } else {
        total = last_few(column, o, m);
      }
      if (kind == PoolKind::avg)
        total = total * load_n(divide_.data() + first + o, m) * static_cast<double>(divide);
      if (kind == PoolKind::l2) total = sqrt(total);
      store_n(total, y + o, m);
    });
  }

  Real last_few(const float* column, std::int64_t o,
                std::int64_t m) const {  // reads no further than the windows reach
    const Window& w = p_.window[2];
    alignas(64) float few[lanes] = {};
    const double nothing = across<Op>(Op::template begin<Real>());
    for (std::int64_t j = 0; j < m; ++j) {
      double total = nothing;
      for (std::int64_t k = 0; k < w.kernel; ++k)
        total = Op::one(total, static_cast<double>(column[(o + j) * w.stride + k]));
      few[j] = static_cast<float>(total);
    }
    return load(few);
  }

  PoolShape p_;
  std::vector<float> divide_;
};

template <class Op, PoolKind kind, class T> std::unique_ptr<Kernel> make_of(const PoolShape& p) {
  bool whole = p.in_size() > 0;
  for (const Window& w : p.window)
    whole = whole && w.out == 1 && w.before == 0 && w.after == 0 && w.kernel == w.in;
  if (whole) return std::make_unique<GlobalPool<Op, kind, T>>(p);
  if (p.in_size() == 0 || !WindowPool<Op, kind, T>::fits(p)) return nullptr;
  return std::make_unique<WindowPool<Op, kind, T>>(p);
}

template <class Op, PoolKind kind> std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!request.post.empty()) return nullptr;
  PoolShape p = pool_shape(request.in[0].shape, request.attrs);
  if (request.in[0].dtype == DType::f16) return make_of<Op, kind, Half>(p);
  if (request.in[0].dtype == DType::f32) return make_of<Op, kind, float>(p);
  return nullptr;
}

constexpr KernelRow rows[] = {
    {&ops::max_pool, "pool", make<Max, PoolKind::max>},
    {&ops::avg_pool, "pool", make<Sum, PoolKind::avg>},
    {&ops::l2_pool, "pool", make<SumSquare, PoolKind::l2>},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(pool)
