// SPDX-License-Identifier: Apache-2.0
// Quantised constants on the CPU, on the bytes as they are stored: small integers are unpacked a block at a
// time, tables are looked up, masks are counted first so that every thread knows where its elements begin.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/quant.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/quant.h"
#include "op/scalar.h"

#ifndef TL_QUANT_PLAN
#define TL_QUANT_PLAN
namespace tl {

inline constexpr std::int64_t chunk =
    1024;  // elements unpacked at once; a whole number of bytes for every width

// Small unsigned fields of `bits` each, one a byte. `first` is a multiple of 8.
inline void unpack(const std::byte* from, int bits, std::int64_t first, std::int64_t n, std::uint8_t* to) {
  from += first / 8 * bits;
  if (bits == 8) return void(std::memcpy(to, from, static_cast<std::size_t>(n)));
  for (std::int64_t i = 0; i < n; i += 8, from += bits) {
    auto count = std::min<std::int64_t>(8, n - i);
    std::uint64_t word = 0;
    for (std::int64_t b = 0; b < (count * bits + 7) / 8; ++b)
      word |= std::to_integer<std::uint64_t>(from[b]) << (8 * b);
    for (std::int64_t k = 0; k < count; ++k)
      to[i + k] = static_cast<std::uint8_t>(word >> (k * bits) & ((1u << bits) - 1));
  }
}

inline bool is_index(DType d) { return d == DType::u8 || (is_packed(d) && d != DType::i4); }

// The blocks of parameter i over the tensor of input `over`, by whichever rule the operation has.
inline Blocks blocks_of(const KernelRequest& request, std::size_t over, std::size_t i) {
  const Shape &x = request.in[over].shape, &p = request.in[i].shape;
  bool grid = &request.op == &ops::constexpr_blockwise_shift_scale ||
              &request.op == &ops::constexpr_sparse_blockwise_shift_scale;
  if (grid) return Blocks(x, p);
  std::optional<std::int64_t> axis;
  if (request.attrs.has("axis")) axis = request.attrs.integer("axis");
  return Blocks(x, axis_grid(x, p, axis));
}

}  // namespace tl
#endif

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
#include "simd/vector.inc"
namespace {

// ---- numbers as floats

template <class T> HWY_INLINE void widen_run(const T* from, std::int64_t n, float* to) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(load(from + i), to + i);
  if (i < n) store_some(load_some(from + i, n - i), to + i, n - i);
}

bool readable(DType d) {
  return is_packed(d) || d == DType::u8 || d == DType::i8 || d == DType::f16 || d == DType::f32 ||
         d == DType::i32;
}

// n <= chunk; `first` is a multiple of 8.
HWY_NOINLINE void read(const std::byte* from, DType d, std::int64_t first, std::int64_t n, float* to) {
  if (d == DType::i8) return widen_run(reinterpret_cast<const std::int8_t*>(from) + first, n, to);
  if (d == DType::u8) return widen_run(reinterpret_cast<const std::uint8_t*>(from) + first, n, to);
  if (d == DType::f16) return widen_run(reinterpret_cast<const Half*>(from) + first, n, to);
  if (d == DType::f32)
    return void(
        std::memcpy(to, reinterpret_cast<const float*>(from) + first, static_cast<std::size_t>(n) * 4));
  if (d == DType::i32) return widen_run(reinterpret_cast<const std::int32_t*>(from) + first, n, to);
  std::uint8_t small[chunk];
  unpack(from, bits_of(d), first, n, small);
  widen_run(small, n, to);
  for (std::int64_t i = 0; d == DType::i4 && i < n; ++i) to[i] = to[i] >= 8 ? to[i] - 16 : to[i];
}

void read_all(const std::byte* from, DType d, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; i += chunk) read(from, d, i, std::min(chunk, n - i), to + i);
}

// ---- scale and shift

struct Dequantised {
  static HWY_INLINE Real of(Real q, Real scale, Real offset) { return scale * (q - offset); }
};
struct Quantised {
  static HWY_INLINE Real of(Real x, Real scale, Real offset) { return round(x / scale) + offset; }
};

struct Parameters {  // one for all elements of a run, or each its own
  const float *scale, *offset;
  bool each;
};

// y = F(x, scale, offset) over n elements.
template <class F, class Out>
HWY_INLINE void scale_run(const float* x, const Parameters& p, std::int64_t n, Out* y) {
  Real one = static_cast<double>(*p.scale), zero = static_cast<double>(*p.offset);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Real s = p.each ? load(p.scale + i) : one, o = p.each ? load(p.offset + i) : zero;
    store(F::of(load(x + i), s, o), y + i);
  }
  if (i == n) return;
  Real s = p.each ? load_some(p.scale + i, n - i) : one, o = p.each ? load_some(p.offset + i, n - i) : zero;
  store_some(F::of(load_some(x + i, n - i), s, o), y + i, n - i);
}

template <class F, class Out> class Scaling final : public Kernel {
 public:
  Scaling(const KernelRequest& request, Blocks blocks, bool offset)
      : blocks_(std::move(blocks)),
        size_(volume(request.in[0].shape)),
        in_(request.in[0].dtype),
        scale_(request.in[1].dtype) {
    if (offset) offset_ = request.in[2].dtype;
    has_offset_ = offset;
    scratch = static_cast<std::size_t>(2 * blocks_.count()) * sizeof(float);
    flops = 2.0 * static_cast<double>(size_);
  }

  void run(const KernelCall& call) const noexcept override {
    auto* scale = reinterpret_cast<float*>(call.scratch);
    float* offset = scale + blocks_.count();
    read_all(call.in[1], scale_, blocks_.count(), scale);
    if (has_offset_) read_all(call.in[2], offset_, blocks_.count(), offset);
    else std::fill_n(offset, blocks_.count(), 0.0f);
    call.pool.ranges((size_ + chunk - 1) / chunk, 16, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t k = first; k < last; ++k) one_chunk(call, scale, offset, k * chunk);
    });
  }

 private:
  HWY_NOINLINE void one_chunk(const KernelCall& call, const float* scale, const float* offset,
                              std::int64_t first) const {
    float x[chunk];
    std::int64_t n = std::min(chunk, size_ - first);
    read(call.in[0], in_, first, n, x);
    for (std::int64_t i = 0; i < n;) {
      std::int64_t block = blocks_.at(first + i), count = std::min(n - i, blocks_.run(first + i));
      scale_run<F>(x + i, {scale + block, offset + block, blocks_.each()}, count,
                   call.output<Out>(0) + first + i);
      i += count;
    }
  }

  Blocks blocks_;
  std::int64_t size_;
  DType in_, scale_, offset_ = DType::f32;
  bool has_offset_ = false;
};

template <class F> std::unique_ptr<Kernel> scaling(const KernelRequest& request, Blocks blocks, bool offset) {
  switch (request.out[0].dtype) {
    case DType::f32: return std::make_unique<Scaling<F, float>>(request, std::move(blocks), offset);
    case DType::f16: return std::make_unique<Scaling<F, Half>>(request, std::move(blocks), offset);
    case DType::i8: return std::make_unique<Scaling<F, std::int8_t>>(request, std::move(blocks), offset);
    case DType::u8: return std::make_unique<Scaling<F, std::uint8_t>>(request, std::move(blocks), offset);
    default: return nullptr;
  }
}

std::unique_ptr<Kernel> make_scaling(const KernelRequest& request) {
  if (!request.post.empty() || volume(request.in[0].shape) == 0) return nullptr;
  for (std::size_t i = 0; i < request.in.size(); ++i)
    if (request.has(i) && !readable(request.in[i].dtype)) return nullptr;
  Blocks blocks = blocks_of(request, 0, 1);
  // A zero point may be one number where the scales are a vector, or the other way round: not here.
  if (request.has(2) && volume(request.in[2].shape) != blocks.count()) return nullptr;
  return &request.op == &ops::quantize ? scaling<Quantised>(request, std::move(blocks), request.has(2))
                                       : scaling<Dequantised>(request, std::move(blocks), request.has(2));
}

// ---- tables

template <class T>  // an unsigned integer of the entries' size
class Lookup final : public Kernel {
 public:
  Lookup(const KernelRequest& request, Blocks blocks)
      : blocks_(std::move(blocks)), indices_(request.in[0].shape) {
    const Shape& lut = request.in[1].shape;
    size_ = volume(indices_);
    bits_ = bits_of(request.in[0].dtype);
    entries_ = lut[lut.size() - 2];
    vector_ = lut.back();
    if (vector_ == 1) return;
    for (auto d =
             static_cast<std::size_t>(wrap_axis(request.attrs.integer("vector_axis"), indices_.size())) + 1;
         d < indices_.size(); ++d)
      inner_ *= indices_[d];
  }

  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges((size_ + chunk - 1) / chunk, 16, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t k = first; k < last; ++k) one_chunk(call, k * chunk);
    });
  }

 private:
  void one_chunk(const KernelCall& call, std::int64_t first) const {
    std::uint8_t index[chunk];
    std::int64_t n = std::min(chunk, size_ - first);
    unpack(call.in[0], bits_, first, n, index);
    const T* lut = call.input<T>(1);
    for (std::int64_t i = 0; i < n;) {
      std::int64_t block = blocks_.at(first + i),
                   count = blocks_.each() ? 1 : std::min(n - i, blocks_.run(first + i));
      const T* table = lut + block * entries_ * vector_;
      if (vector_ == 1) one_table(table, index + i, count, call.output<T>(0) + first + i);
      else vectors(table, index + i, {first + i, count}, call.output<T>(0));
      i += count;
    }
  }

  void one_table(const T* table, const std::uint8_t* index, std::int64_t n, T* to) const {
    for (std::int64_t i = 0; i < n; ++i) to[i] = table[index[i]];
  }

  // A vector's elements lie inner_ apart.
  void vectors(const T* table, const std::uint8_t* index, std::pair<std::int64_t, std::int64_t> run,
               T* to) const {
    for (std::int64_t i = 0; i < run.second; ++i) {
      std::int64_t at = run.first + i, place = at / inner_ * vector_ * inner_ + at % inner_;
      for (std::int64_t e = 0; e < vector_; ++e) to[place + e * inner_] = table[index[i] * vector_ + e];
    }
  }

  Blocks blocks_;
  Shape indices_;
  std::int64_t size_ = 0, entries_ = 1, vector_ = 1, inner_ = 1;
  int bits_ = 8;
};

template <template <class> class K, class... A> std::unique_ptr<Kernel> by_size(DType d, A&&... a) {
  if (is_packed(d) || d == DType::string) return nullptr;
  switch (bits_of(d)) {
    case 8: return std::make_unique<K<std::uint8_t>>(std::forward<A>(a)...);
    case 16: return std::make_unique<K<std::uint16_t>>(std::forward<A>(a)...);
    case 32: return std::make_unique<K<std::uint32_t>>(std::forward<A>(a)...);
    default: return nullptr;
  }
}

std::unique_ptr<Kernel> make_lookup(const KernelRequest& request) {
  const Shape &indices = request.in[0].shape, &lut = request.in[1].shape;
  DType index = request.in[0].dtype;
  if (!request.post.empty() || !is_index(index) || lut.size() != indices.size() + 2 || volume(indices) == 0)
    return nullptr;
  if (lut[lut.size() - 2] < std::int64_t{1} << bits_of(index)) return nullptr;  // an index might be outside
  return by_size<Lookup>(request.in[1].dtype, request, Blocks(indices, std::span(lut).first(indices.size())));
}

// ---- masks

template <class T> class Spread final : public Kernel {  // elements to where a mask of bits says
 public:
  explicit Spread(const KernelRequest& request)
      : size_(volume(request.in[1].shape)), present_(volume(request.in[0].shape)) {
    scratch = static_cast<std::size_t>(pieces()) * sizeof(std::int64_t);
  }

  void run(const KernelCall& call) const noexcept override {
    auto* before = reinterpret_cast<std::int64_t*>(call.scratch);
    const std::byte* mask = call.in[1];
    std::int64_t count = 0;
    for (std::int64_t p = 0; p < pieces(); ++p) {
      before[p] = count;
      for (std::int64_t b = p * piece / 8; b < std::min((p + 1) * piece, size_) / 8; ++b)
        count += std::popcount(std::to_integer<std::uint8_t>(mask[b]));
    }
    call.pool.ranges(pieces(), 4, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t p = first; p < last; ++p) one_piece(call, p, before[p]);
    });
  }

 private:
  static constexpr std::int64_t piece = 8192;
  std::int64_t pieces() const { return (size_ + piece - 1) / piece; }

  void one_piece(const KernelCall& call, std::int64_t p, std::int64_t next) const {
    const T* present = call.input<T>(0);
    T* to = call.output<T>(0);
    for (std::int64_t i = p * piece; i < std::min((p + 1) * piece, size_); ++i) {
      bool there = std::to_integer<int>(call.in[1][i / 8]) >> (i % 8) & 1;
      to[i] = there && next < present_ ? present[next] : T{};
      next += there;
    }
  }

  std::int64_t size_, present_;
};

std::unique_ptr<Kernel> make_spread(const KernelRequest& request) {
  if (!request.post.empty() || request.in[1].dtype != DType::u1) return nullptr;
  if (const Tensor* mask = request.constant(1)) {  // a mask that does not fit is the reference's to refuse
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < mask->size(); ++i)
      count += std::to_integer<int>(mask->data()[i / 8]) >> (i % 8) & 1;
    if (count != volume(request.in[0].shape)) return nullptr;
  }
  return by_size<Spread>(request.in[0].dtype, request);
}

constexpr KernelRow rows[] = {
    {&ops::quantize, "quantize", make_scaling},
    {&ops::dequantize, "dequantize", make_scaling},
    {&ops::constexpr_affine_dequantize, "dequantize", make_scaling},
    {&ops::constexpr_blockwise_shift_scale, "dequantize_blocks", make_scaling},
    {&ops::constexpr_lut_to_dense, "look_up", make_lookup},
    {&ops::constexpr_sparse_to_dense, "spread", make_spread},
};

}  // namespace
}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(quant)
