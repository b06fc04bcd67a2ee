// SPDX-License-Identifier: Apache-2.0
// Resizing images on the CPU: rows of a plane are resized along the width once, when they are first needed,
// and blended along the height; the nearest element is copied whatever its type.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/resize.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/resize.h"
#include "op/scalar.h"

#ifndef TL_RESIZE_PLAN
#define TL_RESIZE_PLAN
namespace tl {

struct ResizePlan {  // x as [planes, height, width]
  std::int64_t planes = 1, height = 1, width = 1, out_height = 1, out_width = 1, parts = 1;
  Taps rows = {};
  std::vector<std::int32_t> low = {}, high = {};  // per output column
  std::vector<float> part = {};
  bool linear = false;  // some tap lies between two elements
  bool same_width = true;

  // Rows are cut into as many runs as there are threads; each has its own three rows of floats.
  std::int64_t row_floats() const { return (std::max(width, out_width) + 31) / 16 * 16; }
  std::int64_t out_rows() const { return planes * out_height; }
};

inline bool fits(const KernelRequest& request) {
  return request.post.empty() && request.in[0].is_concrete() && request.out[0].is_concrete() &&
         volume(request.in[0].shape) > 0 && volume(request.out[0].shape) > 0 &&
         request.in[0].shape.back() < (1 << 30);
}

inline ResizePlan resize_plan(const KernelRequest& request) {
  const Shape &in = request.in[0].shape, &out = request.out[0].shape;
  std::vector<Taps> taps = resize_taps(request.op, request.attrs, in, out);
  ResizePlan plan;
  plan.width = in.back();
  plan.out_width = out.back();
  if (taps.size() == 2) {
    plan.height = in[in.size() - 2];
    plan.out_height = out[out.size() - 2];
    plan.rows = taps[0];
  } else {
    plan.rows = {ResizeTap{}};
  }
  plan.planes = volume(in) / (plan.height * plan.width);
  plan.same_width = plan.width == plan.out_width;
  for (const ResizeTap& tap : taps.back()) {
    plan.same_width =
        plan.same_width && tap.part == 0 && tap.low == static_cast<std::int64_t>(plan.low.size());
    plan.low.push_back(static_cast<std::int32_t>(tap.low));
    plan.high.push_back(static_cast<std::int32_t>(tap.high));
    plan.part.push_back(static_cast<float>(tap.part));
    plan.linear = plan.linear || tap.part != 0;
  }
  for (const ResizeTap& tap : plan.rows) plan.linear = plan.linear || tap.part != 0;
  std::int64_t threads = request.machine.pool ? request.machine.pool->threads() : 1;
  std::int64_t work = volume(out);
  plan.parts = std::clamp<std::int64_t>(std::min(plan.out_rows(), work / 16384), 1, threads);
  return plan;
}

}  // namespace tl
#endif

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
#include "simd/vector.inc"
namespace {

HWY_INLINE Real blend(Real a, Real b, Real part) {
  return select(part == 0, a,
                multiply_add(part, b, (1 - part) * a));  // an infinity beside a number stays one
}

// ---- linear

template <class T> class LinearResize final : public Kernel {
 public:
  explicit LinearResize(ResizePlan plan) : plan_(std::move(plan)) {
    scratch = static_cast<std::size_t>(plan_.parts * 3 * plan_.row_floats()) * sizeof(float);
    flops = static_cast<double>(plan_.out_rows() * plan_.out_width) * 4;
  }

  void run(const KernelCall& call) const noexcept override {
    auto* rows = reinterpret_cast<float*>(call.scratch);
    call.pool.each(plan_.parts, [&](std::int64_t k) {
      std::int64_t n = plan_.out_rows();
      some_rows(call, rows + k * 3 * plan_.row_floats(), n * k / plan_.parts, n * (k + 1) / plan_.parts);
    });
  }

 private:
  struct Cached {  // a row of the input, already resized along the width
    std::int64_t row = -1;
    float* data = nullptr;
  };

  void some_rows(const KernelCall& call, float* space, std::int64_t first, std::int64_t last) const {
    Cached low{-1, space}, high{-1, space + plan_.row_floats()};
    float* wide = space + 2 * plan_.row_floats();
    for (std::int64_t r = first; r < last; ++r) {
      const ResizeTap& tap = plan_.rows[static_cast<std::size_t>(r % plan_.out_height)];
      std::int64_t plane = r / plan_.out_height * plan_.height;
      if (low.row != plane + tap.low) {
        if (high.row == plane + tap.low) std::swap(low, high);
        else fill(call, low, plane + tap.low, wide);
      }
      T* to = call.output<T>(0) + r * plan_.out_width;
      if (tap.part == 0) {
        write(low.data, low.data, 0, to);
        continue;
      }
      if (high.row != plane + tap.high) fill(call, high, plane + tap.high, wide);
      write(low.data, high.data, static_cast<float>(tap.part), to);
    }
  }

  void fill(const KernelCall& call, Cached& cached, std::int64_t row, float* wide) const {
    const T* from = call.input<T>(0) + row * plan_.width;
    cached.row = row;
    float* target = plan_.same_width ? cached.data : wide;
    std::int64_t j = 0;
    for (; j + lanes <= plan_.width; j += lanes) store(load(from + j), target + j);
    if (j < plan_.width) store(load_some(from + j, plan_.width - j), target + j);  // rows are padded
    if (!plan_.same_width) gather(wide, cached.data);
  }

  void gather(const float* from, float* to) const {
    const std::int32_t *low = plan_.low.data(), *high = plan_.high.data();
    std::int64_t j = 0;
    for (; j + lanes <= plan_.out_width; j += lanes) {
      Real a = hn::GatherIndex(f32, from, hn::LoadU(i32, low + j)),
           b = hn::GatherIndex(f32, from, hn::LoadU(i32, high + j));
      store(blend(a, b, load(plan_.part.data() + j)), to + j);
    }
    for (; j < plan_.out_width; ++j) {
      float a = from[low[j]], p = plan_.part[static_cast<std::size_t>(j)];
      to[j] = p == 0 ? a : (1 - p) * a + p * from[high[j]];
    }
  }

  void write(const float* a, const float* b, float part, T* to) const {
    Real p = static_cast<double>(part);
    std::int64_t j = 0;
    for (; j + lanes <= plan_.out_width; j += lanes) store(blend(load(a + j), load(b + j), p), to + j);
    if (j < plan_.out_width) store_some(blend(load(a + j), load(b + j), p), to + j, plan_.out_width - j);
  }

  ResizePlan plan_;
};

// ---- nearest

template <class T>  // an unsigned integer of the element's size
class NearestResize final : public Kernel {
 public:
  explicit NearestResize(ResizePlan plan) : plan_(std::move(plan)) {}

  void run(const KernelCall& call) const noexcept override {
    call.pool.each(plan_.parts, [&](std::int64_t k) {
      std::int64_t n = plan_.out_rows(), first = n * k / plan_.parts, last = n * (k + 1) / plan_.parts,
                   before = -1;
      for (std::int64_t r = first; r < last; ++r) {
        std::int64_t row = r / plan_.out_height * plan_.height +
                           plan_.rows[static_cast<std::size_t>(r % plan_.out_height)].low;
        one_row(call.input<T>(0) + row * plan_.width, call.output<T>(0) + r * plan_.out_width, row == before);
        before = row;
      }
    });
  }

 private:
  void one_row(const T* from, T* to, bool again) const {
    auto n = static_cast<std::size_t>(plan_.out_width);
    if (again || plan_.same_width) return void(std::memcpy(to, again ? to - n : from, n * sizeof(T)));
    for (std::size_t j = 0; j < n; ++j) to[j] = from[plan_.low[j]];
  }

  ResizePlan plan_;
};

std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!fits(request)) return nullptr;
  if (request.op.attrs.size() && request.attrs.has("resized_dims") &&
      request.attrs.integer("resized_dims") > 2)
    return nullptr;
  ResizePlan plan = resize_plan(request);
  DType dtype = request.in[0].dtype;
  if (!plan.linear) {
    switch (is_packed(dtype) || dtype == DType::string ? 0 : bits_of(dtype)) {
      case 8: return std::make_unique<NearestResize<std::uint8_t>>(std::move(plan));
      case 16: return std::make_unique<NearestResize<std::uint16_t>>(std::move(plan));
      case 32: return std::make_unique<NearestResize<std::uint32_t>>(std::move(plan));
      default: return nullptr;
    }
  }
  if (dtype == DType::f32) return std::make_unique<LinearResize<float>>(std::move(plan));
  if (dtype == DType::f16) return std::make_unique<LinearResize<Half>>(std::move(plan));
  return nullptr;
}

constexpr KernelRow rows[] = {
    {&ops::resize, "resize", make},
    {&ops::resize_bilinear, "resize", make},
    {&ops::resize_nearest_neighbor, "resize_nearest", make},
    {&ops::upsample_bilinear, "resize", make},
    {&ops::upsample_nearest_neighbor, "resize_nearest", make},
};

}  // namespace
}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(resize)
