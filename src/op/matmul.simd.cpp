// SPDX-License-Identifier: Apache-2.0
// matmul, linear and einsum of two operands on the CPU: one kernel over packed panels, its indices tables of
// offsets (op/contraction.h). A constant operand is packed when the kernel is made.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/matmul.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "op/contraction.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/matmul.h"
#include "op/matmul_layout.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/gemm_rows.inc"
#include "simd/finish.inc"
#include "simd/quick.inc"
#include "simd/quick_finish.inc"
// clang-format on
namespace {

template <class T> const T* data_of(const std::byte* p) { return reinterpret_cast<const T*>(p); }
std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

constexpr Tile tile_shape{tile_rows, gemm_lanes};

std::int64_t panel_columns(const Layout& l, std::int64_t panel) {
  return std::min<std::int64_t>(tile_columns, l.c.n() - panel * tile_columns);
}

// ---- packing

// The rows of a tile: [group of terms][row][16].
template <class T>
HWY_NOINLINE void pack_rows(const Layout& l, Source<T> source, std::int64_t m, int rows, float* to) {
  auto [a, end] = source;
  const std::int64_t depth = l.c.depth(), *am = l.c.am.data() + m;
  const T* starts[std::max(tile_rows, row_group)];
  if (l.a_terms_run && depth > 0) {
    for (int r = 0; r < rows; ++r) starts[r] = a + l.c.ak[0] + am[r];
    return pack_run_rows(starts, end, rows, depth, to);
  }
  for (std::int64_t k = 0; k < depth; k += row_group, to += rows * row_group) {
    int n = static_cast<int>(std::min<std::int64_t>(row_group, depth - k));
    for (int i = 0; i < n; ++i) starts[i] = a + l.c.ak[at(k + i)];
    if (l.a_rows_run) {
      for (int i = 0; i < n; ++i) starts[i] += am[0];
      pack_run_terms(starts, end, rows, n, to);
      continue;
    }
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < n; ++i) to[r * row_group + i] = widened(starts[i][am[r]]);
  }
}

// A panel of B, `width` columns of which the last ones may be beyond the end and become zero.
template <class T, class TB>
HWY_NOINLINE void pack_panel(const Layout& l, const T* b, const T* end, std::int64_t panel, TB* to) {
  std::int64_t depth = l.c.depth(), first = panel * tile_columns, width = panel_width(l.c.n() - first);
  int columns = static_cast<int>(panel_columns(l, panel));
  const std::int64_t* bn = l.c.bn.data() + first;
  if constexpr (std::is_same_v<TB, float>) {
    if (l.b_step == 1 && depth > 1) {  // terms lie together: 4 by 4 elements are turned at a time
      const T* starts[tile_columns];
      for (int j = 0; j < width; ++j) starts[j] = b + l.c.bk[0] + bn[std::min(j, columns - 1)];
      return pack_turned(starts, static_cast<int>(width), depth, to);
    }
    if (l.b_run[at(panel)]) {
      for (std::int64_t k = 0; k < depth; ++k, to += width) {
        copy_row(b + l.c.bk[at(k)] + bn[0], end, columns, to);
        for (std::int64_t j = columns; j < width; ++j) to[j] = 0;
      }
      return;
    }
  }
  for (int j = 0; j < width; ++j)
    for (std::int64_t k = 0; k < depth; ++k) {
      TB& place = to[k * width + j];
      if (j >= columns) place = TB{};
      else if constexpr (std::is_same_v<T, TB>) place = b[l.c.bk[at(k)] + bn[j]];
      else put(widened(b[l.c.bk[at(k)] + bn[j]]), &place);
    }
}

// ---- the product

template <class T, class U, class TB> struct Product {
  const Layout& l;
  const T* a;  // the operand that is packed per block of rows
  const T* a_end;
  const U* b;  // the other, unless it is packed already
  const U* b_end;
  const TB* panels;  // packed; null: at run time
  const float* bias;
};

struct Place {
  std::int64_t batch = 0, tile = 0, m = 0, panel = 0;
  int rows = 0, columns = 0;
  const float* bias = nullptr;  // of all columns
};

// The tile c to where it belongs; `c` is followed by room for the turned tile.
template <class Out>
void store_tile(const Layout& l, float* c, const Place& place, const TileFinish<Out>& all) {
  auto [batch, tile, m, panel, rows, columns, bias] = place;
  std::int64_t base = l.c.batch_c[at(batch)], n = panel * tile_columns;
  const float* own = bias + n;
  if (l.c_run[at(panel)])
    return store_run_tile(all, c, own, columns, {l.c.cm.data() + m, base + l.c.cn[at(n)], rows});
  Finish<Out> f = all.common;
  if (f.block) {
    if (columns > gemm_lanes) apply_rows<true>(c, own, rows, tile_columns, f);
    else
      for (int r = 0; r < rows; ++r) apply_row<true>(c + r * tile_columns, own, gemm_lanes, f);
    f = rest_of(f);
    own = no_bias;
  }
  if (l.c_rows_run[at(tile)]) {
    float* turned = c + tile_rows_padded * tile_columns;
    turn_tile(c, rows, columns, turned);
    for (int j = 0; j < columns; ++j)
      finish_run<std::min(gemm_lanes, 8), false>(turned + j * tile_rows_padded, own + j, rows, f,
                                                 base + l.c.cm[at(m)] + l.c.cn[at(n + j)]);
    return;
  }
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < columns; ++j)
      finish_run<1, true>(c + r * tile_columns + j, own + j, 1, f,
                          base + l.c.cm[at(m + r)] + l.c.cn[at(n + j)]);
}

std::size_t rows_bytes(const Layout& l) {
  return aligned_bytes((l.rows_of_block * grouped(l.c.depth()) + pack_slack) * 4);
}
std::size_t panel_bytes(const Layout& l) {
  return aligned_bytes((tile_columns * l.c.depth() + pack_slack) * 4);
}
std::size_t slot_bytes(const Layout& l) {
  return rows_bytes(l) + panel_bytes(l) + aligned_bytes(tile_rows_padded * tile_columns * 8);
}

// A panel of B: packed (TB), or read where it is (U), or neither: then its copy in scratch is ready.
template <class U, class TB> struct Panel {
  const TB* ready = nullptr;
  const U* direct = nullptr;
  std::int64_t step = 0, width = 0;
};

template <class T, class U, class TB>
HWY_INLINE Panel<U, TB> panel_of(const Product<T, U, TB>& p, std::int64_t batch, std::int64_t panel,
                                 bool one_tile, float* own) {
  const Layout& l = p.l;
  std::int64_t column = panel * tile_columns, width = panel_width(l.c.n() - column);
  Panel<U, TB> result{nullptr, nullptr, width, width};
  if (p.panels) {
    result.ready = p.panels + (batch * padded_columns(l.c.n()) + column) * l.c.depth();
    return result;
  }
  const U* b = p.b + l.c.batch_b[at(batch)];
  bool whole = l.b_step && l.b_run[at(panel)] && panel_columns(l, panel) == width;
  if (whole && (one_tile || std::is_same_v<TB, Half>)) {
    result.direct = b + l.c.bk[0] + l.c.bn[at(column)];
    result.step = l.b_step;
  } else {
    pack_panel(l, b, p.b_end, panel, own);
  }
  return result;
}

// One tile. What the first of several reads as halves it leaves widened in `own`, for those that follow.
template <class U, class TB>
HWY_INLINE void multiply(Panel<U, TB>& b, const float* a, int rows, std::int64_t depth, bool last, float* c,
                         float* own) {
  bool keeps = std::is_same_v<TB, Half> && !last;
  if (b.ready) {
    if (keeps) rows_function<TB, std::is_same_v<TB, Half>>(rows, b.width)(a, b.ready, depth, b.step, c, own);
    else rows_function<TB>(rows, b.width)(a, b.ready, depth, b.step, c, nullptr);
  } else if (b.direct) {
    if (keeps) rows_function<U, std::is_same_v<U, Half>>(rows, b.width)(a, b.direct, depth, b.step, c, own);
    else rows_function<U>(rows, b.width)(a, b.direct, depth, b.step, c, nullptr);
  } else {
    rows_function<float>(rows, b.width)(a, own, depth, b.width, c, nullptr);
  }
  if (keeps) b.ready = nullptr, b.direct = nullptr;
}

// Task i: a block of rows and a part of the columns of one batch.
template <class T, class U, class TB, class Out>
HWY_NOINLINE void run_task(const Product<T, U, TB>& p, const TileFinish<Out>& f, std::int64_t i,
                           std::byte* scratch) {
  const Layout& l = p.l;
  std::int64_t part = i % l.parts, block = i / l.parts % l.blocks, batch = i / l.parts / l.blocks,
               depth = l.c.depth(), deep = grouped(depth);
  float* a = reinterpret_cast<float*>(scratch);
  float* own = reinterpret_cast<float*>(scratch + rows_bytes(l));
  float* c = reinterpret_cast<float*>(scratch + rows_bytes(l) + panel_bytes(l));
  std::int64_t first = l.block_begin(block), last = l.block_begin(block + 1), start = l.tile_begin(first);
  auto rows_of = [&](std::int64_t t) { return static_cast<int>(l.tile_begin(t + 1) - l.tile_begin(t)); };
  for (std::int64_t t = first; t < last; ++t)
    pack_rows(l, Source<T>{p.a + l.c.batch_a[at(batch)], p.a_end}, l.tile_begin(t), rows_of(t),
              a + (l.tile_begin(t) - start) * deep);
  for (std::int64_t panel = l.part_begin(part); panel < l.part_begin(part + 1); ++panel) {
    Panel<U, TB> b = panel_of(p, batch, panel, last - first == 1, own);
    int columns = static_cast<int>(panel_columns(l, panel));
    for (std::int64_t t = first; t < last; ++t) {
      std::int64_t m = l.tile_begin(t);
      multiply(b, a + (m - start) * deep, rows_of(t), depth, t + 1 == last, c, own);
      store_tile(l, c, {batch, t, m, panel, rows_of(t), columns, p.bias}, f);
    }
  }
}

// ---- the kernel: T and U are the types of A and B, TB that of packed panels

template <class T, class U, class TB, class Out> class Multiply final : public Kernel {
 public:
  Multiply(const KernelRequest& request, Contraction c, Fused fused, std::size_t b_input)
      : fused_(fused),
        quick_(quick_of(request)),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1),
        b_(b_input),
        a_(1 - b_input),
        l_(lay_out(std::move(c), tile_shape, {}, slots_)) {
    slot_bytes_ = slot_bytes(l_);
    scratch = slot_bytes_ * at(slots_);
    a_size_ = volume(request.in[a_].shape);
    b_size_ = volume(request.in[b_].shape);
    packed.assign(request.in.size(), false);
    if (const Tensor* b = request.constant(b_)) pack(*b, request.machine);
    bias_.assign(at(padded_columns(l_.c.n())), 0);
    if (&request.op == &ops::linear && request.has(2)) take_bias(request);
    flops = 2.0 * static_cast<double>(l_.c.batch() * l_.c.m()) * static_cast<double>(l_.c.n() * l_.c.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const T* a = call.input<T>(a_);
    const U* b = panels_ ? nullptr : call.input<U>(b_);
    const float* bias = bias_.data();
    if (runtime_bias_) {
      float* to = reinterpret_cast<float*>(call.scratch + slot_bytes_ * at(slots_));
      widen_bias(bias_dtype_, bias_size_, call.in[2], to);
      bias = to;
    }
    TileFinish<Out> finish{finish_of<Out>(fused_, call), quick_};
    Product<T, U, TB> p{
        l_, a, a + a_size_, b, b + (b ? b_size_ : 0), panels_ ? data_of<TB>(panels_->data()) : nullptr, bias};
    each_in_slots(call.pool, l_.tasks(), slots_, [&](std::int64_t i, int slot) {
      run_task(p, finish, i, call.scratch + slot_bytes_ * at(slot));
    });
  }

 private:
  void pack(const Tensor& b, const Machine& machine) {
    std::int64_t each = padded_columns(l_.c.n()) * l_.c.depth();
    panels_ = packed_constant(machine, b, matrix_form(sizeof(TB) == 2 ? "gemm_half" : "gemm", l_.c),
                              at(l_.c.batch() * each + pack_slack) * sizeof(TB), [&](std::byte* to) {
                                pack_panels(data_of<U>(b.data()), reinterpret_cast<TB*>(to), machine.pool);
                              });
    packed[b_] = true;
  }

  void pack_panels(const U* b, TB* to, const ThreadPool* pool) const {
    std::int64_t each = padded_columns(l_.c.n()) * l_.c.depth();
    auto one = [&](std::int64_t i) {
      std::int64_t batch = i / l_.panels, panel = i % l_.panels;
      pack_whole_panel(l_, b + l_.c.batch_b[at(batch)], panel,
                       to + batch * each + panel * tile_columns * l_.c.depth());
    };
    if (pool) pool->each(l_.c.batch() * l_.panels, one);
    else
      for (std::int64_t i = 0; i < l_.c.batch() * l_.panels; ++i) one(i);
  }

  // Panels of several threads lie together: nothing may be written past one.
  static void pack_whole_panel(const Layout& l, const U* b, std::int64_t panel, TB* to) {
    std::int64_t depth = l.c.depth(), first = panel * tile_columns, width = panel_width(l.c.n() - first);
    std::int64_t columns = panel_columns(l, panel);
    for (std::int64_t j = 0; j < width; ++j)
      for (std::int64_t k = 0; k < depth; ++k) {
        TB& place = to[k * width + j];
        if (j >= columns) place = TB{};
        else if constexpr (std::is_same_v<U, TB>) place = b[l.c.bk[at(k)] + l.c.bn[at(first + j)]];
        else put(widened(b[l.c.bk[at(k)] + l.c.bn[at(first + j)]]), &place);
      }
  }

  void take_bias(const KernelRequest& request) {
    bias_dtype_ = request.in[2].dtype;
    bias_size_ = request.in[2].shape[0];
    if (const Tensor* bias = request.constant(2)) {
      widen_bias(bias_dtype_, bias_size_, bias->data(), bias_.data());
      packed[2] = true;
    } else {
      runtime_bias_ = true;
      scratch += aligned_bytes(static_cast<std::int64_t>(bias_.size()) * 4);
    }
  }

  void widen_bias(DType dtype, std::int64_t size, const std::byte* bias, float* to) const {
    for (std::size_t i = 0; i < bias_.size(); ++i) {
      std::size_t from = size == 1 ? 0 : std::min(i, at(size - 1));
      to[i] = dtype == DType::f16 ? to_float(data_of<Half>(bias)[from]) : data_of<float>(bias)[from];
    }
  }

  Fused fused_;
  Quick quick_ = Quick::none;
  int slots_;
  std::size_t b_, a_;
  Layout l_;
  std::size_t slot_bytes_ = 0;
  std::int64_t a_size_ = 0, b_size_ = 0, bias_size_ = 0;
  DType bias_dtype_ = DType::f32;
  bool runtime_bias_ = false;
  StoragePtr panels_;
  std::vector<float> bias_;  // one per column
};

template <class T, class U, class Out>
std::unique_ptr<Kernel> make(const KernelRequest& request, Contraction c, Fused f, std::size_t b) {
  if constexpr (HWY_TARGET != HWY_SSE4 && std::is_same_v<U, Half>)
    return std::make_unique<Multiply<T, U, Half, Out>>(request, std::move(c), f, b);
  else return std::make_unique<Multiply<T, U, float, Out>>(request, std::move(c), f, b);
}

bool is_real(DType d) { return d == DType::f16 || d == DType::f32; }

std::unique_ptr<Kernel> make_product(const KernelRequest& request) {
  std::optional<Fused> f = fused(request);
  bool einsum = &request.op == &ops::einsum;
  if (!f || (einsum && (request.in.size() != 2 || !request.post.empty()))) return nullptr;
  if (!is_real(request.in[0].dtype) || !is_real(request.in[1].dtype) || !is_real(request.out[0].dtype))
    return nullptr;
  if (&request.op == &ops::linear && request.has(2) && !is_real(request.in[2].dtype)) return nullptr;
  const Shape &x = request.in[0].shape, &y = request.in[1].shape;
  Equation eq = equation_of(request.op, request.attrs, std::vector{x.size(), y.size()});
  bool linear = &request.op == &ops::linear;
  int constant = linear || request.constant(1) ? 1 : request.constant(0) ? 0 : -1;
  Contraction c = plan_contraction(eq, x, y, request.out[0].shape, constant);
  std::size_t b = c.swapped ? 0 : 1;
  bool a_half = request.in[1 - b].dtype == DType::f16, b_half = request.in[b].dtype == DType::f16;
  bool out_half = request.out[0].dtype == DType::f16;
  if (a_half && b_half && out_half) return make<Half, Half, Half>(request, std::move(c), *f, b);
  if (!a_half && !b_half && !out_half) return make<float, float, float>(request, std::move(c), *f, b);
  if (a_half && !b_half && out_half) return make<Half, float, Half>(request, std::move(c), *f, b);
  if (!a_half && b_half && !out_half) return make<float, Half, float>(request, std::move(c), *f, b);
  return nullptr;
}

// ---- integers wrap

class MultiplyIntegers final : public Kernel {
 public:
  MultiplyIntegers(Contraction c, bool bias, bool one_bias)
      : c_(std::move(c)), bias_(bias), one_bias_(one_bias) {
    flops = 2.0 * static_cast<double>(c_.batch() * c_.m()) * static_cast<double>(c_.n() * c_.depth());
  }
  void run(const KernelCall& call) const noexcept override {
    auto a = call.input<std::uint32_t>(0), b = call.input<std::uint32_t>(1);
    auto bias = bias_ ? call.input<std::uint32_t>(2) : nullptr;
    auto out = call.output<std::uint32_t>(0);
    call.pool.ranges(c_.batch() * c_.m(), 1 + 16384 / (1 + c_.n() * c_.depth()),
                     [&](std::int64_t first, std::int64_t last) {
                       for (std::int64_t i = first; i < last; ++i) {
                         std::size_t batch = at(i / c_.m()), m = at(i % c_.m());
                         for (std::size_t n = 0; n < c_.bn.size(); ++n) {
                           std::uint32_t sum = bias ? bias[one_bias_ ? 0 : n] : 0;
                           const std::uint32_t *x = a + c_.batch_a[batch] + c_.am[m],
                                               *y = b + c_.batch_b[batch] + c_.bn[n];
                           for (std::size_t k = 0; k < c_.ak.size(); ++k) sum += x[c_.ak[k]] * y[c_.bk[k]];
                           out[c_.batch_c[batch] + c_.cm[m] + c_.cn[n]] = sum;
                         }
                       }
                     });
  }

 private:
  Contraction c_;
  bool bias_, one_bias_;
};

std::unique_ptr<Kernel> make_integers(const KernelRequest& request) {
  bool einsum = &request.op == &ops::einsum, bias = &request.op == &ops::linear && request.has(2);
  if (!request.post.empty() || (einsum && request.in.size() != 2)) return nullptr;
  for (std::size_t i = 0; i < (bias ? 3u : 2u); ++i)
    if (request.in[i].dtype != DType::i32) return nullptr;
  const Shape &x = request.in[0].shape, &y = request.in[1].shape;
  Equation eq = equation_of(request.op, request.attrs, std::vector{x.size(), y.size()});
  return std::make_unique<MultiplyIntegers>(plan_contraction(eq, x, y, request.out[0].shape, 1), bias,
                                            bias && request.in[2].shape[0] == 1);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::matmul, "gemm", make_product},      {&ops::linear, "gemm", make_product},
    {&ops::einsum, "gemm", make_product},      {&ops::matmul, "integers", make_integers},
    {&ops::linear, "integers", make_integers}, {&ops::einsum, "integers", make_integers},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(matmul)
