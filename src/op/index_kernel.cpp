// SPDX-License-Identifier: Apache-2.0
// CPU kernels of gathers and scatters. Where indices must be checked there is none: the reference may throw.
#include <cstring>

#include "op/index.h"
#include "op/kernels.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::int64_t bytes_a_thread = 1 << 15;

template <class Runs> using RunsOf = Runs(const Shape&, const Shape&, const Attrs&);

struct Bytes {  // of elements that are copied as they are
  std::int64_t element, run;
};

template <class T> void copy_one(const std::byte* from, std::byte* to, std::int64_t at, std::int64_t r) {
  std::memcpy(to + r * static_cast<std::int64_t>(sizeof(T)), from + at * static_cast<std::int64_t>(sizeof(T)),
              sizeof(T));
}

template <class Runs, class Index>
void gather(const Runs& runs, const Index& index, const Bytes& b, const KernelCall& call) {
  const std::byte* x = call.in[0];
  std::byte* out = call.out[0];
  auto visit = [&](const auto& copy) {
    call.pool.ranges(
        runs.count(), bytes_a_thread / std::max<std::int64_t>(b.run, 1) + 1,
        [&](std::int64_t first, std::int64_t last) { runs.visit(index, first, last, clamped_place, copy); });
  };
  bool single = b.run == b.element;
  if (single && b.element == 1)
    return visit([=](std::int64_t at, std::int64_t r) { copy_one<std::uint8_t>(x, out, at, r); });
  if (single && b.element == 2)
    return visit([=](std::int64_t at, std::int64_t r) { copy_one<std::uint16_t>(x, out, at, r); });
  if (single && b.element == 4)
    return visit([=](std::int64_t at, std::int64_t r) { copy_one<std::uint32_t>(x, out, at, r); });
  auto run = static_cast<std::size_t>(b.run);
  visit([=, element = b.element](std::int64_t at, std::int64_t r) {
    std::memcpy(out + r * element, x + at * element, run);
  });
}

template <class Runs> class GatherKernel : public Kernel {
 public:
  GatherKernel(const KernelRequest& request, const Runs& runs)
      : runs_(runs), index_(request.in[1].dtype), indices_(volume(request.in[1].shape)) {
    auto element = static_cast<std::int64_t>(bytes_of(request.out[0].dtype, 1));
    bytes_ = {element, element * runs.run()};
  }
  void run(const KernelCall& call) const noexcept override {
    if (index_ == DType::i32) return gather(runs_, call.input<std::int32_t>(1), bytes_, call);
    gather(runs_, Numbers(index_, call.in[1], indices_), bytes_, call);
  }

 private:
  Runs runs_;
  DType index_;
  std::int64_t indices_;
  Bytes bytes_ = {};
};

bool indexable(const KernelRequest& request) {
  DType d = request.out[0].dtype;
  bool concrete = std::all_of(request.in.begin(), request.in.end(),
                              [](const Type& t) { return t.is_concrete() && t.rank() <= Move::most; });
  return concrete && request.post.empty() && !request.attrs.boolean("validate_indices") && !is_packed(d) &&
         d != DType::string;
}

template <class Runs, RunsOf<Runs>* runs> std::unique_ptr<Kernel> make_gather(const KernelRequest& request) {
  if (!indexable(request)) return nullptr;
  return std::make_unique<GatherKernel<Runs>>(request,
                                              runs(request.in[0].shape, request.in[1].shape, request.attrs));
}

// ---- scatters

template <class T> auto widened(T x) {
  if constexpr (std::is_same_v<T, Half>) return to_float(x);
  else if constexpr (std::is_same_v<T, float>) return x;
  else return static_cast<std::int64_t>(x);
}

template <class T, class Wide> T narrowed(Wide x) {
  if constexpr (std::is_same_v<T, Half>) return to_half(x);
  else return static_cast<T>(x);
}

template <class Wide> Wide combine(ScatterMode mode, Wide a, Wide b) {
  constexpr bool whole = std::is_integral_v<Wide>;
  switch (mode) {
    case ScatterMode::add: return a + b;
    case ScatterMode::sub: return a - b;
    case ScatterMode::mul: return a * b;
    case ScatterMode::div: return whole && b == 0 ? Wide{0} : a / b;
    case ScatterMode::max: return std::max(a, b);
    case ScatterMode::min: return std::min(a, b);
    default: return b;
  }
}

template <class Runs, class T> class ScatterKernel : public Kernel {
 public:
  ScatterKernel(const KernelRequest& request, const Runs& runs)
      : runs_(runs),
        mode_(scatter_mode(request.attrs)),
        index_(request.in[1].dtype),
        indices_(volume(request.in[1].shape)),
        bytes_(bytes_of(request.out[0].dtype, volume(request.out[0].shape))) {
    in_place = 0;
  }
  void run(const KernelCall& call) const noexcept override {
    if (call.in[0] != call.out[0]) std::memcpy(call.out[0], call.in[0], bytes_);
    const T* updates = call.input<T>(2);
    T* out = call.output<T>(0);
    runs_.visit(Numbers(index_, call.in[1], indices_), 0, runs_.count(), clamped_place,
                [&](std::int64_t at, std::int64_t from) {
                  if (mode_ == ScatterMode::update)
                    return void(std::memcpy(out + at, updates + from,
                                            static_cast<std::size_t>(runs_.run()) * sizeof(T)));
                  for (std::int64_t i = 0; i < runs_.run(); ++i)
                    out[at + i] =
                        narrowed<T>(combine(mode_, widened(out[at + i]), widened(updates[from + i])));
                });
  }

 private:
  Runs runs_;
  ScatterMode mode_;
  DType index_;
  std::int64_t indices_;
  std::size_t bytes_;
};

template <class Runs, RunsOf<Runs>* runs> std::unique_ptr<Kernel> make_scatter(const KernelRequest& request) {
  if (!indexable(request)) return nullptr;
  Runs r = runs(request.in[0].shape, request.in[1].shape, request.attrs);
  return with_element(request.out[0].dtype, [&]<class T>(T) -> std::unique_ptr<Kernel> {
    return std::make_unique<ScatterKernel<Runs, T>>(request, r);
  });
}

constexpr KernelRow rows[] = {
    {&ops::gather, "gather", make_gather<AxisRuns, axis_runs>},
    {&ops::gather_along_axis, "gather", make_gather<AlongRuns, along_runs>},
    {&ops::gather_nd, "gather", make_gather<TupleRuns, tuple_runs>},
    {&ops::scatter, "scatter", make_scatter<AxisRuns, axis_runs>},
    {&ops::scatter_along_axis, "scatter", make_scatter<AlongRuns, along_runs>},
    {&ops::scatter_nd, "scatter", make_scatter<TupleRuns, tuple_runs>},
};

}  // namespace

namespace kernels {
KernelTable index(Isa) { return rows; }
}  // namespace kernels

}  // namespace tl
