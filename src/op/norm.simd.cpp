// SPDX-License-Identifier: Apache-2.0
// CPU kernels of normalisations: softmax, what standardises groups of elements (layer, instance, root mean
// square and L2 norms), what scales channels, and local response norm. Groups lie along rows or along
// columns.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/norm.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/parameter.h"
#include "op/reduce.h"
#include "op/scalar.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {

#include "simd/vector.inc"

#include "simd/math.inc"

#include "op/fold.inc"

constexpr std::int64_t norm_grain = 8192;  // elements a thread

// Calls row(i) for every group that is contiguous, or columns(i, first, n) for tiles of groups side by side.
template <class Row, class Columns>
HWY_INLINE void each_group(const Runs& r, const ThreadPool& pool, const Row& row, const Columns& columns) {
  std::int64_t tiles = (r.inner + column_tile - 1) / column_tile;
  std::int64_t grain = std::max<std::int64_t>(
      1, norm_grain / std::max<std::int64_t>(1, r.length * std::min(r.inner, column_tile)));
  pool.ranges(r.outer * tiles, grain, [&](std::int64_t from, std::int64_t to) HWY_ATTR {
    for (std::int64_t unit = from; unit < to; ++unit) {
      std::int64_t c = unit % tiles * column_tile;
      if (r.inner == 1) row(unit);
      else columns(unit / tiles, c, std::min(column_tile, r.inner - c));
    }
  });
}

struct AsIs {
  HWY_INLINE Real operator()(Real v) const { return v; }
  HWY_INLINE Real operator()(Real v, std::int64_t) const { return v; }
};

// ---- softmax

template <class T> class Softmax final : public Kernel {
 public:
  explicit Softmax(const Runs& r) : r_(r) {
    in_place = 0;
    flops = 10.0 * static_cast<double>(r.outer * r.length * r.inner);
  }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    each_group(
        r_, call.pool, [&](std::int64_t i) HWY_ATTR { row(x + i * r_.length, y + i * r_.length); },
        [&](std::int64_t i, std::int64_t c, std::int64_t n) HWY_ATTR {
          std::int64_t at = i * r_.length * r_.inner + c;
          columns(x + at, n, y + at);
        });
  }

 private:
  static constexpr std::int64_t buffered = 4096;

  void row(const T* x, T* y) const {
    Real top = fold_row<Max>(x, r_.length, AsIs());
    if (r_.length > buffered) return long_row(x, y, top);
    alignas(64) float e[buffered];
    Real sum = 0;
    each_vector(r_.length, [&](std::int64_t i, std::int64_t m) HWY_ATTR {
      Real v = exp(load_n(x + i, m) - top);
      store(v, e + i);
      sum = sum + (m == lanes ? v : select(first_lanes(m), v, Real(0)));
    });
    Real scale = 1 / across<Sum>(sum);
    each_vector(r_.length,
                [&](std::int64_t i, std::int64_t m) HWY_ATTR { store_n(load(e + i) * scale, y + i, m); });
  }
  void long_row(const T* x, T* y, Real top) const {
    Real scale = 1 / fold_row<Sum>(x, r_.length, [&](Real v) HWY_ATTR { return exp(v - top); });
    each_vector(r_.length, [&](std::int64_t i, std::int64_t m)
                               HWY_ATTR { store_n(exp(load_n(x + i, m) - top) * scale, y + i, m); });
  }
  void columns(const T* x, std::int64_t n, T* y) const {
    alignas(64) float top[column_tile], scale[column_tile];
    fold_columns<Max>(x, r_.length, r_.inner, n, top, AsIs());
    fold_columns<Sum>(x, r_.length, r_.inner, n, scale,
                      [&](Real v, std::int64_t c) HWY_ATTR { return exp(v - load(top + c)); });
    each_vector(n, [&](std::int64_t c, std::int64_t) HWY_ATTR { store(1 / load(scale + c), scale + c); });
    for (std::int64_t j = 0; j < r_.length; ++j)
      each_vector(n, [&](std::int64_t c, std::int64_t m) HWY_ATTR {
        store_n(exp(load_n(x + j * r_.inner + c, m) - load(top + c)) * load(scale + c), y + j * r_.inner + c,
                m);
      });
  }
  Runs r_;
};

// ---- groups scaled by their own size: y = (x - mean) / sqrt(size + epsilon) * gamma + beta

struct NormForm {
  bool centred = true;    // subtract the mean
  bool mean = true;       // the mean of squares, not the sum
  bool channels = false;  // gamma and beta belong to groups (their channel), not to places in a group
  double epsilon = 0;
};

template <class T> class Normalize final : public Kernel {
 public:
  Normalize(const KernelRequest& request, const Runs& r, const NormForm& form)
      : r_(r), form_(form), gamma_(request, 1, *this), beta_(request, 2, *this) {
    in_place = 0;
    flops = 6.0 * static_cast<double>(r.outer * r.length * r.inner);
  }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    const float *gamma = gamma_.get(call), *beta = beta_.get(call);
    each_group(
        r_, call.pool,
        [&](std::int64_t i) HWY_ATTR {
          Moments m = moments(x + i * r_.length);
          if (!form_.channels) return row(x + i * r_.length, m, gamma, beta, y + i * r_.length);
          std::int64_t c = i % std::max<std::int64_t>({1, gamma_.size(), beta_.size()});
          if (gamma) m.scale = m.scale * static_cast<double>(gamma[c]);
          plain_row(x + i * r_.length, m, beta ? beta[c] : 0.0, y + i * r_.length);
        },
        [&](std::int64_t i, std::int64_t c, std::int64_t n) HWY_ATTR {
          std::int64_t at = i * r_.length * r_.inner + c;
          columns(x + at, n, gamma, beta, y + at);
        });
  }

 private:
  struct Moments {
    Real mean, scale;
  };
  double count() const { return form_.mean ? static_cast<double>(r_.length) : 1; }

  Moments moments(const T* x) const {
    double mean = form_.centred ? fold_row<Sum>(x, r_.length, AsIs()) / static_cast<double>(r_.length) : 0;
    Real m = mean;
    double square = fold_row<Sum>(x, r_.length, [m](Real v) HWY_ATTR { return (v - m) * (v - m); });
    return {m, 1 / std::sqrt(square / count() + form_.epsilon)};
  }
  void plain_row(const T* x, const Moments& m, Real shift, T* y) const {
    each_vector(r_.length, [&](std::int64_t i, std::int64_t k) HWY_ATTR {
      store_n((load_n(x + i, k) - m.mean) * m.scale + shift, y + i, k);
    });
  }
  void row(const T* x, const Moments& m, const float* gamma, const float* beta, T* y) const {
    if (!gamma && !beta) return plain_row(x, m, 0, y);
    each_vector(r_.length, [&](std::int64_t i, std::int64_t k) HWY_ATTR {
      Real v = (load_n(x + i, k) - m.mean) * m.scale;
      if (gamma) v = v * load_n(gamma + i, k);
      if (beta) v = v + load_n(beta + i, k);
      store_n(v, y + i, k);
    });
  }
  void columns(const T* x, std::int64_t n, const float* gamma, const float* beta, T* y) const {
    alignas(64) float mean[column_tile] = {}, scale[column_tile];
    Real over = 1 / static_cast<double>(r_.length), over_count = 1 / count(), epsilon = form_.epsilon;
    if (form_.centred) {
      fold_columns<Sum>(x, r_.length, r_.inner, n, mean, AsIs());
      each_vector(n, [&](std::int64_t c, std::int64_t) HWY_ATTR { store(load(mean + c) * over, mean + c); });
    }
    fold_columns<Sum>(x, r_.length, r_.inner, n, scale, [&](Real v, std::int64_t c) HWY_ATTR {
      Real d = v - load(mean + c);
      return d * d;
    });
    each_vector(n, [&](std::int64_t c, std::int64_t)
                       HWY_ATTR { store(1 / sqrt(load(scale + c) * over_count + epsilon), scale + c); });
    for (std::int64_t j = 0; j < r_.length; ++j) {
      Real g = gamma ? static_cast<double>(gamma[j]) : 1.0, b = beta ? static_cast<double>(beta[j]) : 0.0;
      each_vector(n, [&](std::int64_t c, std::int64_t m) HWY_ATTR {
        Real v = (load_n(x + j * r_.inner + c, m) - load(mean + c)) * load(scale + c);
        store_n(v * g + b, y + j * r_.inner + c, m);
      });
    }
  }
  Runs r_;
  NormForm form_;
  Parameter gamma_, beta_;
};

// ---- channels: y = f(x, one or two numbers of the channel)

struct Affine {
  static HWY_INLINE Real of(Real x, Real a, Real b) { return x * a + b; }
};
struct Prelu {
  static HWY_INLINE Real of(Real x, Real a, Real) { return select(x < 0, a * x, x); }
};
struct SoftplusParametric {
  static HWY_INLINE Real of(Real x, Real a, Real b) {
    Real u = b * x;
    return a * (maximum(u, 0) + log1p(exp(-abs(u))));
  }
};

struct Planes {
  std::int64_t batch = 1, channels = 1, inner = 1;
  std::int64_t size() const { return batch * channels * inner; }
};
inline Planes planes_of(const Shape& shape) {
  Planes p{shape[0], shape[1], 1};
  for (std::size_t d = 2; d < shape.size(); ++d) p.inner *= shape[d];
  return p;
}

template <class F, class T>
void channelwise(const Planes& p, const KernelCall& call, const float* a, const float* b) {
  const T* x = call.input<T>(0);
  T* y = call.output<T>(0);
  if (p.inner == 1) {  // the numbers lie along rows
    call.pool.ranges(p.batch, std::max<std::int64_t>(1, norm_grain / p.channels),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t at = from * p.channels; at < to * p.channels; at += p.channels)
                         each_vector(p.channels, [&](std::int64_t c, std::int64_t m) HWY_ATTR {
                           store_n(F::of(load_n(x + at + c, m), load_n(a + c, m), load_n(b + c, m)),
                                   y + at + c, m);
                         });
                     });
    return;
  }
  call.pool.ranges(p.batch * p.channels, std::max<std::int64_t>(1, 4 * norm_grain / p.inner),
                   [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                     for (std::int64_t plane = from; plane < to; ++plane) {
                       Real p0 = static_cast<double>(a[plane % p.channels]),
                            p1 = static_cast<double>(b[plane % p.channels]);
                       std::int64_t at = plane * p.inner;
                       each_vector(p.inner, [&](std::int64_t i, std::int64_t m) HWY_ATTR {
                         store_n(F::of(load_n(x + at + i, m), p0, p1), y + at + i, m);
                       });
                     }
                   });
}

// Inputs a and, where the function has two numbers, b.
template <class F, class T> class Channelwise final : public Kernel {
 public:
  explicit Channelwise(const KernelRequest& request)
      : p_(planes_of(request.in[0].shape)), a_(request, 1, *this), b_(request, 2, *this) {
    in_place = 0;
    flops = static_cast<double>(p_.size());
  }
  void run(const KernelCall& call) const noexcept override {
    const float *a = a_.get(call), *b = b_.get(call);
    channelwise<F, T>(p_, call, a, b ? b : a);
  }

 private:
  Planes p_;
  Parameter a_, b_;
};

// Mean, variance, gamma and beta become one scale and one shift: when the kernel is made, if they are known
// then.
template <class T> class BatchNorm final : public Kernel {
 public:
  explicit BatchNorm(const KernelRequest& request)
      : p_(planes_of(request.in[0].shape)),
        epsilon_(request.attrs.number("epsilon")),
        mean_(request, 1, *this),
        variance_(request, 2, *this),
        gamma_(request, 3, *this),
        beta_(request, 4, *this) {
    in_place = 0;
    flops = 2.0 * static_cast<double>(p_.size());
    known_ = mean_.is_constant() && variance_.is_constant() && (!gamma_ || gamma_.is_constant()) &&
             (!beta_ || beta_.is_constant());
    offset_ = known_ ? 0 : take_scratch(*this, 2 * p_.channels);
    if (!known_) return;
    ready_.resize(static_cast<std::size_t>(2 * p_.channels));
    combine({nullptr, nullptr, nullptr, *request.machine.pool}, ready_.data());
  }
  void run(const KernelCall& call) const noexcept override {
    const float* scale = ready_.data();
    if (!known_) {
      auto* room = reinterpret_cast<float*>(call.scratch + offset_);
      combine(call, room);
      scale = room;
    }
    channelwise<Affine, T>(p_, call, scale, scale + p_.channels);
  }

 private:
  void combine(const KernelCall& call, float* to) const {
    const float *mean = mean_.get(call), *variance = variance_.get(call), *gamma = gamma_.get(call),
                *beta = beta_.get(call);
    for (std::int64_t c = 0; c < p_.channels; ++c) {
      double scale = (gamma ? gamma[c] : 1) / std::sqrt(variance[c] + epsilon_);
      to[c] = static_cast<float>(scale);
      to[c + p_.channels] = static_cast<float>((beta ? beta[c] : 0) - mean[c] * scale);
    }
  }
  Planes p_;
  double epsilon_;
  Parameter mean_, variance_, gamma_, beta_;
  bool known_ = false;
  std::size_t offset_ = 0;
  std::vector<float> ready_;
};

// ---- local response norm

template <class T> class LocalResponse final : public Kernel {
 public:
  explicit LocalResponse(const KernelRequest& request)
      : p_(planes_of(request.in[0].shape)), size_(request.attrs.integer("size")) {
    alpha_ = request.attrs.number("alpha") / static_cast<double>(size_);
    beta_ = -request.attrs.number("beta");
    k_ = request.attrs.number("k");
    flops = static_cast<double>(p_.size() * (2 * size_ + 20));
  }
  void run(const KernelCall& call) const noexcept override {
    const T* x = call.input<T>(0);
    T* y = call.output<T>(0);
    call.pool.ranges(p_.batch * p_.channels, std::max<std::int64_t>(1, norm_grain / (p_.inner * 8)),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t plane = from; plane < to; ++plane) {
                         std::int64_t c = plane % p_.channels,
                                      first = std::max<std::int64_t>(0, c - size_ / 2),
                                      last = std::min(p_.channels - 1, c + (size_ - 1) / 2);
                         const T* image = x + (plane - c) * p_.inner;
                         each_vector(p_.inner, [&](std::int64_t i, std::int64_t m) HWY_ATTR {
                           Real square = 0;
                           for (std::int64_t j = first; j <= last; ++j) {
                             Real v = load_n(image + j * p_.inner + i, m);
                             square = square + v * v;
                           }
                           Real v = load_n(image + c * p_.inner + i, m);
                           store_n(v * pow(square * alpha_ + k_, beta_), y + plane * p_.inner + i, m);
                         });
                       }
                     });
  }

 private:
  Planes p_;
  std::int64_t size_;
  double alpha_ = 0, beta_ = 0, k_ = 1;
};

// ---- making them

template <template <class> class K, class... A>
std::unique_ptr<Kernel> of_type(const KernelRequest& request, const A&... arguments) {
  if (!request.post.empty()) return nullptr;
  if (request.in[0].dtype == DType::f16) return std::make_unique<K<Half>>(arguments...);
  if (request.in[0].dtype == DType::f32) return std::make_unique<K<float>>(arguments...);
  return nullptr;
}

inline std::unique_ptr<Kernel> make_softmax(const KernelRequest& request) {
  const Shape& shape = request.in[0].shape;
  std::int64_t axis[] = {wrap_axis(request.attrs.integer("axis"), shape.size())};
  return of_type<Softmax>(request, *runs(shape, axis));
}

inline std::unique_ptr<Kernel> make_norm(const KernelRequest& request, std::span<const std::int64_t> axes,
                                         NormForm form) {
  form.epsilon = request.attrs.number("epsilon");
  auto r = runs(request.in[0].shape, axes);
  return r && r->length > 0 ? of_type<Normalize>(request, request, *r, form) : nullptr;
}
inline std::unique_ptr<Kernel> make_layer_norm(const KernelRequest& request) {
  return make_norm(request, axes_of(request.attrs, request.in[0].rank()), {});
}
inline std::unique_ptr<Kernel> make_rms_norm(const KernelRequest& request) {
  return make_norm(request, axes_of(request.attrs, request.in[0].rank()), {.centred = false});
}
inline std::unique_ptr<Kernel> make_l2_norm(const KernelRequest& request) {
  auto rank = static_cast<std::int64_t>(request.in[0].rank());
  std::int64_t axes[] = {rank - 3, rank - 2, rank - 1};
  return make_norm(request, axes, {.centred = false, .mean = false});
}
inline std::unique_ptr<Kernel> make_instance_norm(const KernelRequest& request) {
  Planes p = planes_of(request.in[0].shape);
  NormForm form{.channels = true, .epsilon = request.attrs.number("epsilon")};
  return p.inner > 0 ? of_type<Normalize>(request, request, Runs{p.batch * p.channels, p.inner, 1}, form)
                     : nullptr;
}

template <class T> using PreluOf = Channelwise<Prelu, T>;
template <class T> using SoftplusOf = Channelwise<SoftplusParametric, T>;
inline std::unique_ptr<Kernel> make_prelu(const KernelRequest& request) {
  return of_type<PreluOf>(request, request);
}
inline std::unique_ptr<Kernel> make_softplus(const KernelRequest& request) {
  return of_type<SoftplusOf>(request, request);
}
inline std::unique_ptr<Kernel> make_batch_norm(const KernelRequest& request) {
  return of_type<BatchNorm>(request, request);
}
inline std::unique_ptr<Kernel> make_local_response(const KernelRequest& request) {
  return of_type<LocalResponse>(request, request);
}

constexpr KernelRow rows[] = {
    {&ops::softmax, "softmax", make_softmax},
    {&ops::layer_norm, "layer_norm", make_layer_norm},
    {&ops::rms_norm, "rms_norm", make_rms_norm},
    {&ops::l2_norm, "l2_norm", make_l2_norm},
    {&ops::instance_norm, "instance_norm", make_instance_norm},
    {&ops::batch_norm, "batch_norm", make_batch_norm},
    {&ops::local_response_norm, "local_response_norm", make_local_response},
    {&ops::prelu, "prelu", make_prelu},
    {&ops::softplus_parametric, "softplus_parametric", make_softplus},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(norm)
