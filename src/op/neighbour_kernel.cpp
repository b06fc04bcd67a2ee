// SPDX-License-Identifier: Apache-2.0
// CPU kernels of what meets rows with rows: squared_distance and nearest, and products of doubles, as classic
// models have them. Rows of x are divided among threads; sums are kept in eight parts that vectors hold.
#include <algorithm>

#include "op/kernels.h"
#include "op/ops.h"

namespace tl {
namespace {

// The sum of term(i) for i in [0, n).
template <class T, class Term> T summed(std::int64_t n, const Term& term) {
  constexpr std::int64_t parts = 8;
  T sum[parts] = {};
  std::int64_t i = 0;
  for (; i + parts <= n; i += parts)
    for (std::int64_t k = 0; k < parts; ++k) sum[k] += term(i + k);
  for (; i < n; ++i) sum[0] += term(i);
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

template <class T> T distance(const T* a, const T* b, std::int64_t n) {
  return summed<T>(n, [&](std::int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
}

struct Sizes {
  std::int64_t rows, samples, length;
  explicit Sizes(const KernelRequest& request)
      : rows(request.in[0].shape[0]), samples(request.in[1].shape[0]), length(request.in[0].shape[1]) {}
  std::int64_t grain() const {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, samples * length));
  }
};

template <class T> class Distance final : public Kernel {
 public:
  explicit Distance(const KernelRequest& request) : s_(request) {}
  void run(const KernelCall& call) const noexcept override {
    const T *x = call.input<T>(0), *y = call.input<T>(1);
    T* out = call.output<T>(0);
    call.pool.ranges(s_.rows, s_.grain(), [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i)
        for (std::int64_t k = 0; k < s_.samples; ++k)
          out[i * s_.samples + k] = distance(x + i * s_.length, y + k * s_.length, s_.length);
    });
  }

 private:
  Sizes s_;
};

template <class T> class Nearest final : public Kernel {
 public:
  explicit Nearest(const KernelRequest& request) : s_(request), k_(request.attrs.integer("k")) {}
  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges(s_.rows, s_.grain(), [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) run_row(call, i);
    });
  }

 private:
  // The outputs are kept in order while the samples pass, so that nothing else has to be remembered.
  void run_row(const KernelCall& call, std::int64_t i) const {
    const T *x = call.input<T>(0) + i * s_.length, *samples = call.input<T>(1);
    std::int32_t* index = call.output<std::int32_t>(0) + i * k_;
    T* nearest = call.output<T>(1) + i * k_;
    std::int64_t found = 0;
    for (std::int64_t s = 0; s < s_.samples; ++s) {
      T d = distance(x, samples + s * s_.length, s_.length);
      if (found == k_ && (k_ == 0 || !(d < nearest[k_ - 1]))) continue;
      std::int64_t at = found < k_ ? found++ : k_ - 1;
      for (; at > 0 && d < nearest[at - 1]; --at) nearest[at] = nearest[at - 1], index[at] = index[at - 1];
      nearest[at] = d, index[at] = static_cast<std::int32_t>(s);
    }
  }

  Sizes s_;
  std::int64_t k_;
};

// x times the transposed y, and a bias where there is one.
class Product final : public Kernel {
 public:
  explicit Product(const KernelRequest& request) : s_(request), biased_(request.has(2)) {}
  void run(const KernelCall& call) const noexcept override {
    const double *x = call.input<double>(0), *y = call.input<double>(1);
    const double* bias = biased_ ? call.input<double>(2) : nullptr;
    double* out = call.output<double>(0);
    call.pool.ranges(s_.rows, s_.grain(), [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i)
        for (std::int64_t k = 0; k < s_.samples; ++k) {
          const double *a = x + i * s_.length, *b = y + k * s_.length;
          double sum = summed<double>(s_.length, [&](std::int64_t j) { return a[j] * b[j]; });
          out[i * s_.samples + k] = sum + (bias ? bias[k] : 0);
        }
    });
  }

 private:
  Sizes s_;
  bool biased_;
};

std::unique_ptr<Kernel> make_product(const KernelRequest& request) {
  auto doubles = [&](std::size_t i) { return request.in[i].dtype == DType::f64; };
  bool matmul = &request.op == &ops::matmul;
  bool plain = request.post.empty() && doubles(0) && doubles(1) && (!request.has(2) || doubles(2)) &&
               request.in[0].rank() == 2 && request.in[1].rank() == 2;
  if (!plain) return nullptr;
  if (matmul && (!request.attrs.boolean("transpose_y") || request.attrs.boolean("transpose_x")))
    return nullptr;
  return std::make_unique<Product>(request);
}

template <template <class> class Of> std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!request.post.empty() || request.in[0].dtype != request.in[1].dtype) return nullptr;
  switch (request.in[0].dtype) {
    case DType::f32: return std::make_unique<Of<float>>(request);
    case DType::f64: return std::make_unique<Of<double>>(request);
    default: return nullptr;
  }
}

constexpr KernelRow rows[] = {{&ops::squared_distance, "rows", make<Distance>},
                              {&ops::nearest, "rows", make<Nearest>},
                              {&ops::linear, "rows", make_product},
                              {&ops::matmul, "rows", make_product}};

}  // namespace

namespace kernels {
KernelTable neighbour(Isa) { return rows; }
}  // namespace kernels

}  // namespace tl
