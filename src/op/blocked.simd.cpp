// SPDX-License-Identifier: Apache-2.0
// Images in blocks of channels: conversions from planes and back, poolings, the mean of each channel.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/blocked.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "op/blocked.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/scalar.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {

#include "simd/vector.inc"

#include "simd/math.inc"

constexpr std::int64_t grain = 16384;  // elements a thread

bool is_half(const KernelRequest& request) {
  return HWY_TARGET != HWY_SSE4 && request.post.empty() && request.in[0].dtype == DType::f16 &&
         volume(request.in[0].shape) > 0;
}

// ---- conversions: 16 channels of a block at a time

class Convert final : public Kernel {
 public:
  Convert(std::span<const Dim> plain, bool back)
      : batch_(plain[0]), channels_(plain[1]), plane_(plain[2] * plain[3]), back_(back) {}

  void run(const KernelCall& call) const noexcept override {
    std::int64_t blocks = blocks_of(channels_);
    call.pool.ranges(
        batch_ * blocks, 1 + grain / (plane_ * channel_block), [&](std::int64_t from, std::int64_t to) {
          for (std::int64_t i = from; i < to; ++i) {
            std::int64_t first = i % blocks * channel_block, n = std::min(channel_block, channels_ - first);
            std::int64_t planes = (i / blocks * channels_ + first) * plane_,
                         block = i * plane_ * channel_block;
            if (back_) to_planes(call.input<Half>(0) + block, n, call.output<Half>(0) + planes);
            else to_block(call.input<Half>(0) + planes, n, call.output<Half>(0) + block);
          }
        });
  }

 private:
  void to_planes(const Half* from, std::int64_t n, Half* to) const {
    for (std::int64_t c = 0; c < n; ++c)
      for (std::int64_t p = 0; p < plane_; ++p) to[c * plane_ + p] = from[p * channel_block + c];
  }
  void to_block(const Half* from, std::int64_t n, Half* to) const {
    for (std::int64_t p = 0; p < plane_; ++p)
      for (std::int64_t c = 0; c < channel_block; ++c)
        to[p * channel_block + c] = c < n ? from[c * plane_ + p] : Half{};
  }
  std::int64_t batch_, channels_, plane_;
  bool back_;
};

std::unique_ptr<Kernel> make_to_blocks(const KernelRequest& request) {
  if (!is_half(request)) return nullptr;
  return std::make_unique<Convert>(request.in[0].shape, false);
}
std::unique_ptr<Kernel> make_from_blocks(const KernelRequest& request) {
  if (!is_half(request)) return nullptr;
  return std::make_unique<Convert>(request.out[0].shape, true);
}

// ---- poolings

template <PoolKind kind> class BlockedPool final : public Kernel {
 public:
  explicit BlockedPool(const PoolShape& p) : p_(p) {
    flops = static_cast<double>(p.planes * p.out_size() * p.window[1].kernel * p.window[2].kernel);
  }

  void run(const KernelCall& call) const noexcept override {
    std::int64_t lines = p_.window[1].out,
                 work = p_.window[1].kernel * p_.window[2].kernel * p_.window[2].out;
    std::int64_t blocks = p_.planes / channel_block, each = work * channel_block;
    // by lines first, so that threads keep to their part of the image
    call.pool.ranges(blocks * lines, 1 + grain / each, [&](std::int64_t from, std::int64_t to) HWY_ATTR {
      for (std::int64_t i = from; i < to; ++i) {
        std::int64_t block = i % blocks, y = i / blocks;
        one_line(call.input<Half>(0) + block * p_.in_size() * channel_block, y,
                 call.output<Half>(0) + (block * p_.out_size() + y * p_.window[2].out) * channel_block);
      }
    });
  }

 private:
  void one_line(const Half* x, std::int64_t line, Half* y) const {
    const Window &high = p_.window[1], &wide = p_.window[2];
    Reach h = reach(high, line);
    for (std::int64_t o = 0; o < wide.out; ++o, y += channel_block) {
      Reach w = reach(wide, o);
      Real divide = 1.0;
      if (kind == PoolKind::avg)
        divide = p_.exclude_padding ? 1.0 / static_cast<double>((h.last - h.first) * (w.last - w.first))
                                    : 1.0 / static_cast<double>(h.covered * w.covered);
      for (std::int64_t v = 0; v < channel_block; v += lanes) {
        Real total = kind == PoolKind::max ? -INF : 0.0;
        for (std::int64_t r = h.first; r < h.last; ++r) {
          const Half* at = x + (r * wide.in + w.first) * channel_block + v;
          for (std::int64_t c = w.first; c < w.last; ++c, at += channel_block)
            total = kind == PoolKind::max ? maximum(total, load(at)) : total + load(at);
        }
        store(kind == PoolKind::avg ? total * divide : total, y + v);
      }
    }
  }

  PoolShape p_;
};

template <PoolKind kind> std::unique_ptr<Kernel> make_pool(const KernelRequest& request) {
  if (!is_half(request)) return nullptr;
  const Shape& x = request.in[0].shape;
  return std::make_unique<BlockedPool<kind>>(pool_shape(plain_shape(x, x[1] * channel_block), request.attrs));
}

// ---- the mean of each channel

class BlockedMean final : public Kernel {
 public:
  explicit BlockedMean(std::span<const Dim> x) : blocks_(x[0] * x[1]), plane_(x[2] * x[3]) {
    flops = static_cast<double>(blocks_ * plane_ * channel_block);
  }

  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges(blocks_, 1 + grain / (plane_ * channel_block),
                     [&](std::int64_t from, std::int64_t to) HWY_ATTR {
                       for (std::int64_t i = from; i < to; ++i)
                         for (std::int64_t v = 0; v < channel_block; v += lanes)
                           store(mean(call.input<Half>(0) + i * plane_ * channel_block + v),
                                 call.output<Half>(0) + i * channel_block + v);
                     });
  }

 private:
  // In runs, so that no sum takes too many.
  Real mean(const Half* x) const {
    constexpr std::int64_t run = 256;
    Real total = 0.0;
    for (std::int64_t first = 0; first < plane_; first += run) {
      std::int64_t p = first, last = std::min(plane_, first + run);
      Real a = 0.0, b = 0.0, c = 0.0, d = 0.0;
      for (; p + 4 <= last; p += 4) {
        const Half* at = x + p * channel_block;
        a = a + load(at), b = b + load(at + channel_block);
        c = c + load(at + 2 * channel_block), d = d + load(at + 3 * channel_block);
      }
      for (; p < last; ++p) a = a + load(x + p * channel_block);
      total = total + ((a + b) + (c + d));
    }
    return total / Real(static_cast<double>(plane_));
  }

  std::int64_t blocks_, plane_;
};

std::unique_ptr<Kernel> make_mean(const KernelRequest& request) {
  const Shape& x = request.in[0].shape;
  if (!is_half(request) || x.size() != 5 || x[4] != channel_block || request.out[0].dtype != DType::f16)
    return nullptr;
  if (!is_over_planes(request.attrs)) return nullptr;
  return std::make_unique<BlockedMean>(x);
}

constexpr KernelRow rows[] = {
    {&ops::to_blocks, "to_blocks", make_to_blocks},
    {&ops::from_blocks, "from_blocks", make_from_blocks},
    {&ops::max_pool_blocked, "pool_blocked", make_pool<PoolKind::max>},
    {&ops::avg_pool_blocked, "pool_blocked", make_pool<PoolKind::avg>},
    {&ops::reduce_mean, "mean_blocked", make_mean},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(blocked)
