// SPDX-License-Identifier: Apache-2.0
// CPU kernels of sorts, running sums, bands, one-hot codes and ranges.
#include <cstring>
#include <numeric>

#include "op/index.h"
#include "op/kernels.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::int64_t bytes_a_thread = 1 << 15;

double real(Half x) { return to_float(x); }
template <class T> double real(T x) { return static_cast<double>(x); }

bool plain(const KernelRequest& request) {
  auto fits = [](const Type& t) { return t.is_concrete(); };
  return request.post.empty() && std::all_of(request.in.begin(), request.in.end(), fits) &&
         std::all_of(request.out.begin(), request.out.end(), fits);
}

// ---- topk, argsort

template <class T> class OrderKernel : public Kernel {
 public:
  OrderKernel(const KernelRequest& request, bool values)
      : all_(axis_view(request.in[0].shape, request.attrs.integer("axis"))),
        kept_(axis_view(request.out[0].shape, request.attrs.integer("axis")).length),
        ascending_(request.attrs.boolean("ascending")),
        values_(values),
        indices_(values ? (request.out.size() > 1 ? 1 : -1) : 0) {
    if (indices_ >= 0) index_bytes_ = bytes_of(request.out[static_cast<std::size_t>(indices_)].dtype, 1);
    slots_ = request.machine.pool ? request.machine.pool->threads() : 1;
    slot_bytes_ =
        (static_cast<std::size_t>(all_.length) * (sizeof(double) + sizeof(std::int32_t)) + 63) / 64 * 64;
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
  }

  void run(const KernelCall& call) const noexcept override {
    std::int64_t lines = all_.outer * all_.inner;
    std::int64_t parts = std::clamp<std::int64_t>(
        lines * all_.length / 2048, 1, std::min<std::int64_t>(slots_, std::max<std::int64_t>(lines, 1)));
    call.pool.each(parts, [&](std::int64_t part) {
      auto* key = reinterpret_cast<double*>(call.scratch + static_cast<std::size_t>(part) * slot_bytes_);
      auto* order = reinterpret_cast<std::int32_t*>(key + all_.length);
      for (std::int64_t line = lines * part / parts; line < lines * (part + 1) / parts; ++line)
        one(call, line, key, order);
    });
  }

 private:
  void one(const KernelCall& call, std::int64_t line, double* key, std::int32_t* order) const {
    std::int64_t o = line / all_.inner, i = line % all_.inner, step = all_.inner, n = all_.length;
    const T* x = call.input<T>(0) + o * n * step + i;
    for (std::int64_t j = 0; j < n; ++j) key[j] = real(x[j * step]);
    std::iota(order, order + n, 0);
    Before before{key, ascending_};
    if (kept_ > 0 && kept_ < n) std::nth_element(order, order + kept_ - 1, order + n, before);
    std::sort(order, order + kept_, before);
    std::int64_t to = o * kept_ * step + i;
    for (std::int64_t j = 0; j < kept_; ++j, to += step) {
      if (values_) call.output<T>(0)[to] = x[order[j] * step];
      if (indices_ < 0) continue;
      auto index = static_cast<std::size_t>(indices_);
      if (index_bytes_ == 4) call.output<std::int32_t>(index)[to] = order[j];
      else call.output<std::uint16_t>(index)[to] = static_cast<std::uint16_t>(order[j]);
    }
  }

  AxisView all_;
  std::int64_t kept_;
  bool ascending_, values_;
  int indices_;  // the output that they go to, or -1
  std::size_t index_bytes_ = 4, slot_bytes_ = 0;
  int slots_ = 1;
};

template <bool values> std::unique_ptr<Kernel> make_order(const KernelRequest& request) {
  if (!plain(request) || volume(request.in[0].shape) >= std::int64_t{1} << 31) return nullptr;
  return with_element(request.in[0].dtype, [&]<class T>(T) -> std::unique_ptr<Kernel> {
    return std::make_unique<OrderKernel<T>>(request, values);
  });
}

// ---- cumsum

template <class T> class SumKernel : public Kernel {
 public:
  explicit SumKernel(const KernelRequest& request)
      : v_(axis_view(request.in[0].shape, request.attrs.integer("axis"))),
        exclusive_(request.attrs.boolean("exclusive")),
        reverse_(request.attrs.boolean("reverse")) {}

  void run(const KernelCall& call) const noexcept override {
    std::int64_t blocks = (v_.inner + width - 1) / width,
                 line = v_.length * std::min<std::int64_t>(v_.inner, width);
    call.pool.ranges(v_.outer * blocks, bytes_a_thread / std::max<std::int64_t>(1, line) + 1,
                     [&](std::int64_t first, std::int64_t last) {
                       for (std::int64_t b = first; b < last; ++b)
                         block(call, b / blocks, b % blocks * width);
                     });
  }

 private:
  static constexpr std::int64_t width = 64;
  using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t,
                                 std::conditional_t<std::is_same_v<T, Half>, float, double>>;

  static Sum wide(T x) {
    if constexpr (std::is_integral_v<T>) return static_cast<Sum>(static_cast<std::int64_t>(x));
    else return static_cast<Sum>(real(x));
  }
  static T narrow(Sum s) {
    if constexpr (std::is_same_v<T, Half>) return to_half(s);
    else return static_cast<T>(s);
  }

  void block(const KernelCall& call, std::int64_t o, std::int64_t column) const {
    Sum sums[width] = {};
    std::int64_t columns = std::min(width, v_.inner - column);
    for (std::int64_t j = 0; j < v_.length; ++j) {
      std::int64_t at = (o * v_.length + (reverse_ ? v_.length - 1 - j : j)) * v_.inner + column;
      const T* x = call.input<T>(0) + at;
      T* y = call.output<T>(0) + at;
      for (std::int64_t i = 0; i < columns; ++i) {
        Sum before = sums[i];
        sums[i] += wide(x[i]);
        y[i] = narrow(exclusive_ ? before : sums[i]);
      }
    }
  }

  AxisView v_;
  bool exclusive_, reverse_;
};

std::unique_ptr<Kernel> make_cumsum(const KernelRequest& request) {
  if (!plain(request)) return nullptr;
  auto kernel = with_element(request.in[0].dtype, [&]<class T>(T) -> std::unique_ptr<Kernel> {
    return std::make_unique<SumKernel<T>>(request);
  });
  if (kernel) kernel->in_place = 0;
  return kernel;
}

// ---- band_part

class BandKernel : public Kernel {
 public:
  explicit BandKernel(const KernelRequest& request)
      : rows_(request.in[0].shape[request.in[0].rank() - 2]),
        columns_(request.in[0].shape.back()),
        all_rows_(columns_ > 0 ? volume(request.in[0].shape) / columns_ : 0),
        lower_(request.attrs.integer("lower")),
        upper_(request.attrs.integer("upper")),
        element_(static_cast<std::int64_t>(bytes_of(request.in[0].dtype, 1))) {}

  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges(all_rows_, bytes_a_thread / std::max<std::int64_t>(1, columns_ * element_) + 1,
                     [&](std::int64_t first, std::int64_t last) {
                       for (std::int64_t r = first; r < last; ++r) row(call, r);
                     });
  }

 private:
  void row(const KernelCall& call, std::int64_t r) const {
    std::int64_t m = r % rows_;
    std::int64_t low = lower_ < 0 ? 0 : std::clamp<std::int64_t>(m - std::min(lower_, m), 0, columns_);
    std::int64_t high =
        upper_ < 0 || upper_ >= columns_ ? columns_ : std::clamp<std::int64_t>(m + upper_ + 1, 0, columns_);
    high = std::max(low, high);
    std::byte* to = call.out[0] + r * columns_ * element_;
    std::memset(to, 0, static_cast<std::size_t>(low * element_));
    std::memcpy(to + low * element_, call.in[0] + (r * columns_ + low) * element_,
                static_cast<std::size_t>((high - low) * element_));
    std::memset(to + high * element_, 0, static_cast<std::size_t>((columns_ - high) * element_));
  }

  std::int64_t rows_, columns_, all_rows_, lower_, upper_, element_;
};

std::unique_ptr<Kernel> make_band_part(const KernelRequest& request) {
  DType d = request.in[0].dtype;
  if (!plain(request) || is_packed(d) || d == DType::string) return nullptr;
  return std::make_unique<BandKernel>(request);
}

// ---- one_hot

template <class T> class OneHotKernel : public Kernel {
 public:
  explicit OneHotKernel(const KernelRequest& request)
      : v_(axis_view(request.out[0].shape, request.attrs.integer("axis"))), index_(request.in[0].dtype) {
    DType d = request.out[0].dtype;
    Tensor on = scalar(request.attrs.number("on_value"), d),
           off = scalar(request.attrs.number("off_value"), d);
    std::memcpy(&on_, on.data(), sizeof(T));
    std::memcpy(&off_, off.data(), sizeof(T));
  }
  void run(const KernelCall& call) const noexcept override {
    Numbers index(index_, call.in[0], v_.outer * v_.inner);
    T* out = call.output<T>(0);
    std::int64_t block = v_.length * v_.inner;
    call.pool.ranges(v_.outer, bytes_a_thread / std::max<std::int64_t>(1, block) + 1,
                     [&](std::int64_t first, std::int64_t last) {
                       std::fill(out + first * block, out + last * block, off_);
                       for (std::int64_t line = first * v_.inner; line < last * v_.inner; ++line) {
                         std::int64_t hot = index[line];
                         if (hot >= 0 && hot < v_.length)
                           out[(line / v_.inner * v_.length + hot) * v_.inner + line % v_.inner] = on_;
                       }
                     });
  }

 private:
  AxisView v_;
  DType index_;
  T on_ = {}, off_ = {};
};

std::unique_ptr<Kernel> make_one_hot(const KernelRequest& request) {
  if (!plain(request) || is_packed(request.out[0].dtype)) return nullptr;
  switch (bytes_of(request.out[0].dtype, 1)) {
    case 1: return std::make_unique<OneHotKernel<std::uint8_t>>(request);
    case 2: return std::make_unique<OneHotKernel<std::uint16_t>>(request);
    case 4: return std::make_unique<OneHotKernel<std::uint32_t>>(request);
    default: return nullptr;
  }
}

// ---- range_1d

template <class T> class RangeKernel : public Kernel {
 public:
  explicit RangeKernel(const KernelRequest& request) : count_(request.out[0].shape[0]) {}
  void run(const KernelCall& call) const noexcept override {
    double start = real(*call.input<T>(1)), step = real(*call.input<T>(2));
    for (std::int64_t i = 0; i < count_; ++i) {
      double x = start + static_cast<double>(i) * step;
      if constexpr (std::is_same_v<T, Half>) call.output<T>(0)[i] = to_half(x);
      else call.output<T>(0)[i] = static_cast<T>(x);
    }
  }

 private:
  std::int64_t count_;
};

std::unique_ptr<Kernel> make_range(const KernelRequest& request) {
  if (!plain(request)) return nullptr;
  switch (request.out[0].dtype) {
    case DType::f16: return std::make_unique<RangeKernel<Half>>(request);
    case DType::f32: return std::make_unique<RangeKernel<float>>(request);
    case DType::i32: return std::make_unique<RangeKernel<std::int32_t>>(request);
    default: return nullptr;
  }
}

constexpr KernelRow rows[] = {
    {&ops::topk, "topk", make_order<true>},   {&ops::argsort, "sort", make_order<false>},
    {&ops::cumsum, "cumsum", make_cumsum},    {&ops::band_part, "band_part", make_band_part},
    {&ops::one_hot, "one_hot", make_one_hot}, {&ops::range_1d, "range", make_range},
};

}  // namespace

namespace kernels {
KernelTable order(Isa) { return rows; }
}  // namespace kernels

}  // namespace tl
