// SPDX-License-Identifier: Apache-2.0
// linear and matmul by weights that stay compressed in memory (op/matmul_compressed.h). A few rows of x: dot
// products straight from the codes, as fast as memory gives them. More: a panel of the weight at a time is
// expanded for the tiles of simd/gemm.inc.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/matmul_compressed.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "op/fuse.h"
#include "op/kernels.h"
#include "op/matmul_compressed.h"
#include "op/ops.h"
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
#include "simd/finish.inc"

#include "op/codes_decode.inc"
// clang-format on
namespace {

constexpr std::int64_t unit = CompressedWeight::unit;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// ---- dot products: M rows of x by R rows of the weight

struct DotSizes {
  std::int64_t blocks, units;  // units of a block
  std::int64_t x_step;         // between rows of x, which are padded as the weight's are
  std::int64_t ahead;          // bytes to the codes of the rows that come next
  bool half;
};

template <class Code, int M, int R>
HWY_NOINLINE void dot(const CodeRow* rows, const DotSizes& s, const float* HWY_RESTRICT x,
                      float* HWY_RESTRICT c) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  V sum[R][M][2];
  HWY_UNROLL(4)
  for (auto& row : sum) HWY_UNROLL(4) for (auto& pair : row) pair[0] = pair[1] = hn::Zero(d);
  const std::uint8_t* codes[R];
  HWY_UNROLL(4) for (int r = 0; r < R; ++r) codes[r] = rows[r].codes;
  for (std::int64_t b = 0; b < s.blocks; ++b) {
    Code code[R];
    HWY_UNROLL(4) for (int r = 0; r < R; ++r) code[r].begin(rows[r], b, s.half);
    for (std::int64_t u = 0; u < s.units; ++u, x += unit)
      HWY_UNROLL(4) for (int p = 0; p < 16; p += gemm_lanes) {
        V low[M], high[M];
        HWY_UNROLL(4) for (int m = 0; m < M; ++m) {
          low[m] = hn::LoadU(d, x + m * s.x_step + p);
          high[m] = hn::LoadU(d, x + m * s.x_step + p + 16);
        }
        HWY_UNROLL(4) for (int r = 0; r < R; ++r) {
          V w[2];
          if (p == 0)
            __builtin_prefetch(codes[r] + s.ahead);  // rows are too short for the machine to see them coming
          code[r].get(codes[r] + p, w);
          HWY_UNROLL(4) for (int m = 0; m < M; ++m) {
            sum[r][m][0] = hn::MulAdd(w[0], low[m], sum[r][m][0]);
            sum[r][m][1] = hn::MulAdd(w[1], high[m], sum[r][m][1]);
          }
          if (p + gemm_lanes == 16) codes[r] += Code::unit_bytes;
        }
      }
  }
  for (int r = 0; r < R; ++r)
    for (int m = 0; m < M; ++m)
      c[m * tile_columns + r] = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum[r][m][0], sum[r][m][1])));
}

// Columns [first unit, first unit + units) of block b, expanded.
template <class Code>
HWY_NOINLINE void expand(const CodeRow& row, std::int64_t b, const std::uint8_t* codes, std::int64_t units,
                         bool half, float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  Code code;
  code.begin(row, b, half);
  for (std::int64_t u = 0; u < units; ++u, to += unit, codes += Code::unit_bytes)
    HWY_UNROLL(4) for (int p = 0; p < 16; p += gemm_lanes) {
      hn::Vec<decltype(d)> w[2];
      code.get(codes + p, w);
      hn::StoreU(w[0], d, to + p);
      hn::StoreU(w[1], d, to + p + 16);
    }
}

constexpr int most_dots = HWY_TARGET == HWY_AVX3 ? 4 : 2;  // rows of the weight at a time

using Dot = void(const CodeRow*, const DotSizes&, const float*, float*);
using Expand = void(const CodeRow&, std::int64_t, const std::uint8_t*, std::int64_t, bool, float*);
struct Functions {
  Dot *dots[3], *last[3];  // for 1, 2 and 4 rows of x; by many(M) rows of the weight, and by one
  Expand* expand;
  static constexpr int many(int log_m) { return std::max(1, most_dots >> log_m); }
};

template <class Code> Functions functions_of() {
  return {{dot<Code, 1, Functions::many(0)>, dot<Code, 2, Functions::many(1)>, dot<Code, 4, 1>},
          {dot<Code, 1, 1>, dot<Code, 2, 1>, dot<Code, 4, 1>},
          expand<Code>};
}
Functions functions_for(CompressedWeight::Form form) {
  switch (form) {
    case CompressedWeight::Form::nibble_scale: return functions_of<NibbleScale>();
    case CompressedWeight::Form::byte_scale: return functions_of<ByteScale>();
    case CompressedWeight::Form::nibble_table: return functions_of<NibbleTable>();
    default: return functions_of<ByteTable>();
  }
}

// ---- rows of the weight as the functions take them

std::int64_t wide_blocks(const CompressedWeight& w) { return w.blocks + pack_slack; }

// The numbers of one row, widened: one a block.
HWY_NOINLINE void widen_numbers(const WeightGrid& g, std::int64_t row, std::int64_t blocks, float* to) {
  auto widen = [&](auto* all) HWY_ATTR {
    auto* from = all + g.first_of(row);
    if (g.columns == 1) std::fill_n(to, blocks, widened(*from));
    else copy_row(from, all + g.count, static_cast<int>(blocks), to);
  };
  if (g.half) widen(reinterpret_cast<const Half*>(g.values->data()));
  else widen(reinterpret_cast<const float*>(g.values->data()));
}

float number(const WeightGrid& g, std::int64_t row, std::int64_t b) {
  std::size_t i = at(g.first_of(row) + (g.columns == 1 ? 0 : b));
  return g.half ? to_float(reinterpret_cast<const Half*>(g.values->data())[i])
                : reinterpret_cast<const float*>(g.values->data())[i];
}

// Makes rows one after another; `room` has place for the numbers of most_dots rows and one more.
class Rows {
 public:
  Rows(const CompressedWeight& w, float* room) : w_(w), room_(room) {
    if (!w.is_table() && w.offset.each == w.rows) widen_numbers(w.offset, 0, w.blocks, room_);
  }

  CodeRow row(std::int64_t n, int slot) const {
    CodeRow r;
    r.codes = reinterpret_cast<const std::uint8_t*>(w_.codes->data()) + n * w_.row_bytes();
    if (w_.is_table()) {
      r.table = reinterpret_cast<const float*>(w_.table.values->data()) + w_.table.first_of(n) * w_.entries();
      r.table_step = w_.table.columns == 1 ? 0 : w_.entries();
      return r;
    }
    float* scale = room_ + wide_blocks(w_) * (1 + 2 * slot);
    widen_numbers(w_.scale, n, w_.blocks, scale);
    r.scale = scale;
    r.offset = room_;
    if (w_.offset.each == w_.rows) return r;
    float* offset = scale + wide_blocks(w_);
    widen_numbers(w_.offset, n, w_.blocks, offset);
    r.offset = offset;
    return r;
  }

  // As if block b were the only one.
  CodeRow row_at(std::int64_t n, std::int64_t b) const {
    CodeRow r;
    r.codes = reinterpret_cast<const std::uint8_t*>(w_.codes->data()) + n * w_.row_bytes();
    if (w_.is_table()) {
      std::int64_t entry = w_.table.first_of(n) + (w_.table.columns == 1 ? 0 : b);
      r.table = reinterpret_cast<const float*>(w_.table.values->data()) + entry * w_.entries();
      return r;
    }
    float* numbers = room_ + wide_blocks(w_);
    numbers[0] = number(w_.scale, n, b), numbers[1] = number(w_.offset, n, b);
    r.scale = numbers, r.offset = numbers + 1;
    return r;
  }

  static std::size_t bytes(const CompressedWeight& w) {
    return aligned_bytes(wide_blocks(w) * (1 + 2 * most_dots) * 4);
  }

 private:
  const CompressedWeight& w_;
  float* room_;
};

// ---- the kernel

constexpr std::int64_t few = 8;         // rows of x that are taken straight
constexpr std::int64_t span_units = 8;  // units of a row that are expanded at once

template <class T> class MultiplyCompressed final : public Kernel {
 public:
  MultiplyCompressed(const KernelRequest& request, CompressedWeight w, Fused f, std::int64_t m)
      : w_(std::move(w)),
        f_(f),
        m_(m),
        panels_((w_.rows + tile_columns - 1) / tile_columns),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1),
        functions_(functions_for(w_.form)) {
    packed.assign(request.in.size(), false);
    packed[1] = true;
    bias_.assign(at(panels_ * tile_columns), 0);
    if (const Tensor* bias = request.constant(2)) take_bias(*bias);
    flops = 2.0 * static_cast<double>(m_) * static_cast<double>(w_.rows * w_.depth);
    slot_bytes_ = Rows::bytes(w_) + aligned_bytes(tile_rows_padded * tile_columns * 4);
    if (m_ <= few) {
      shared_bytes_ = aligned_bytes((m_ * x_step() + pack_slack) * 4);
    } else {
      std::int64_t tile = tile_floats() * 4, tiles = (m_ + tile_rows - 1) / tile_rows;
      tiles_ = std::min(tiles, std::max<std::int64_t>(4, (1 << 20) / tile));
      shared_bytes_ = aligned_bytes(tiles_ * tile);
      slot_bytes_ += aligned_bytes(tile_columns * w_.depth * 4) + aligned_bytes(span_bytes());
    }
    scratch = shared_bytes_ + slot_bytes_ * at(slots_);
  }

  void run(const KernelCall& call) const noexcept override {
    Finish<T> finish = finish_of<T>(f_, call);
    const T* x = call.input<T>(0);
    float* shared = reinterpret_cast<float*>(call.scratch);
    if (m_ <= few) {
      pad_rows(x, shared);
      bool small = m_ * w_.rows * w_.depth < (1 << 15);
      each_in_slots(call.pool, panels_, small ? 1 : slots_, [&](std::int64_t panel, int slot) {
        dot_panel(panel, shared, call.scratch + shared_bytes_ + slot_bytes_ * at(slot), finish);
      });
      return;
    }
    for (std::int64_t first = 0; first < m_; first += tiles_ * tile_rows) {
      std::int64_t rows = std::min(tiles_ * tile_rows, m_ - first);
      call.pool.each((rows + tile_rows - 1) / tile_rows, [&](std::int64_t tile) {
        pack_tile(x, first + tile * tile_rows, shared + tile * tile_floats());
      });
      each_in_slots(call.pool, panels_, slots_, [&](std::int64_t panel, int slot) {
        multiply_panel(panel, first, rows, shared, call.scratch + shared_bytes_ + slot_bytes_ * at(slot),
                       finish);
      });
    }
  }

 private:
  std::int64_t x_step() const { return w_.blocks * w_.padded_block(); }
  std::int64_t tile_floats() const {  // tiles are packed by several threads: what is past one is its own
    return static_cast<std::int64_t>(aligned_bytes((w_.depth * tile_rows + pack_slack) * 4) / 4);
  }
  static std::int64_t span_bytes() { return tile_columns * span_units * unit * 4; }

  void take_bias(const Tensor& bias) {
    packed[2] = true;
    for (std::int64_t i = 0; i < w_.rows; ++i) {
      std::size_t from = bias.size() == 1 ? 0 : at(i);
      bias_[at(i)] = bias.dtype() == DType::f16 ? to_float(bias.as<Half>()[from]) : bias.as<float>()[from];
    }
  }

  // Rows of x, widened, each block padded with zeros.
  HWY_NOINLINE void pad_rows(const T* x, float* to) const {
    const T* end = x + m_ * w_.depth;
    for (std::int64_t i = 0; i < m_ * w_.blocks; ++i, x += w_.block, to += w_.padded_block()) {
      copy_row(x, end, static_cast<int>(w_.block), to);
      std::fill(to + w_.block, to + w_.padded_block(), 0.0f);
    }
  }

  HWY_NOINLINE void store(std::int64_t m, std::int64_t panel, Finish<T> f, float* c) const {
    std::int64_t n = panel * tile_columns;
    int columns = static_cast<int>(std::min<std::int64_t>(tile_columns, w_.rows - n));
    const float* bias = bias_.data() + n;
    if (f.block) {
      apply_row<true>(c, bias, static_cast<int>(padded_columns(columns)), f);
      f = rest_of(f);
      bias = no_bias;
    }
    finish_run<gemm_lanes, true>(c, bias, columns, f, m * w_.rows + n);
  }

  HWY_NOINLINE void dot_panel(std::int64_t panel, const float* x, std::byte* room, const Finish<T>& f) const {
    Rows rows(w_, reinterpret_cast<float*>(room));
    float* c = reinterpret_cast<float*>(room + Rows::bytes(w_));
    std::int64_t first = panel * tile_columns, last = std::min(first + tile_columns, w_.rows);
    std::fill_n(c, m_ * tile_columns, 0.0f);
    DotSizes sizes{w_.blocks, w_.units, x_step(), most_dots * w_.row_bytes(), w_.half};
    for (std::int64_t n = first; n < last;) {
      std::int64_t have = std::min<std::int64_t>(most_dots, last - n);
      CodeRow group[most_dots];
      for (int r = 0; r < have; ++r) group[r] = rows.row(n + r, r);
      dot_group(group, static_cast<int>(have), sizes, x, c + (n - first));
      n += have;
    }
    for (std::int64_t m = 0; m < m_; ++m) store(m, panel, f, c + m * tile_columns);
  }

  // All rows of x by up to most_dots of the weight's.
  void dot_group(const CodeRow* group, int have, const DotSizes& s, const float* x, float* c) const {
    for (std::int64_t m = 0; m < m_;) {
      int log_m = m_ - m >= 4 ? 2 : m_ - m >= 2 ? 1 : 0, many = Functions::many(log_m);
      for (int r = 0; r < have;) {
        bool whole = r + many <= have;
        (whole ? functions_.dots : functions_.last)[log_m](group + r, s, x + m * s.x_step,
                                                           c + m * tile_columns + r);
        r += whole ? many : 1;
      }
      m += 1 << log_m;
    }
  }

  HWY_NOINLINE void pack_tile(const T* x, std::int64_t m, float* to) const {
    int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, m_ - m));
    const T* starts[tile_rows_padded];
    for (int r = 0; r < tile_rows_padded; ++r) starts[r] = x + (m + std::min(r, rows - 1)) * w_.depth;
    pack_turned(starts, rows, w_.depth, to);
  }

  // The panel as simd/gemm.inc wants it: [depth][width], columns beyond the end are those of the last one.
  HWY_NOINLINE void expand_panel(std::int64_t panel, std::int64_t width, const Rows& rows, float* span,
                                 float* to) const {
    std::int64_t unit_bytes = unit / (w_.is_nibble() ? 2 : 1), step = span_units * unit;
    const float* starts[tile_columns];
    for (int j = 0; j < tile_columns; ++j) starts[j] = span + j * step;
    for (std::int64_t b = 0; b < w_.blocks; ++b)
      for (std::int64_t u = 0; u < w_.units; u += span_units) {
        std::int64_t units = std::min(span_units, w_.units - u);
        std::int64_t terms = std::min(units * unit, w_.block - u * unit);
        for (std::int64_t j = 0; j < width; ++j) {
          CodeRow row = rows.row_at(std::min(panel * tile_columns + j, w_.rows - 1), b);
          functions_.expand(row, 0, row.codes + (b * w_.units + u) * unit_bytes, units, w_.half,
                            span + j * step);
        }
        pack_turned(starts, static_cast<int>(width), terms, to);
        to += terms * width;
      }
  }

  HWY_NOINLINE void multiply_panel(std::int64_t panel, std::int64_t first, std::int64_t count,
                                   const float* tiles, std::byte* room, const Finish<T>& f) const {
    float* c = reinterpret_cast<float*>(room + Rows::bytes(w_));
    float* b = c + tile_rows_padded * tile_columns;
    float* span = b + aligned_bytes(tile_columns * w_.depth * 4) / 4;
    std::int64_t width = panel_width(w_.rows - panel * tile_columns);
    expand_panel(panel, width, Rows(w_, reinterpret_cast<float*>(room)), span, b);
    for (std::int64_t m = 0; m < count; m += tile_rows) {
      int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, count - m));
      tile_function<float>(rows, width)(tiles + m / tile_rows * tile_floats(), b, w_.depth, width, c);
      for (int r = 0; r < rows; ++r) store(first + m + r, panel, f, c + r * tile_columns);
    }
  }

  CompressedWeight w_;
  Fused f_;
  std::int64_t m_, panels_, tiles_ = 0;
  int slots_;
  Functions functions_;
  std::size_t slot_bytes_ = 0, shared_bytes_ = 0;
  std::vector<float> bias_;
};

std::unique_ptr<Kernel> make_compressed(const KernelRequest& request) {
  const Compressed* how = request.compressed_constant(1);
  if (!how || !request.has(1) || request.in[1].shape.size() != 2) return nullptr;
  const Type &x = request.in[0], &out = request.out[0];
  bool linear = &request.op == &ops::linear;
  if (x.dtype != out.dtype || (x.dtype != DType::f16 && x.dtype != DType::f32)) return nullptr;
  if (!linear && request.attrs.boolean("transpose_x") && x.shape.size() > 1) return nullptr;
  if (linear && request.has(2)) {
    const Tensor* bias = request.constant(2);
    if (!bias || (bias->dtype() != DType::f16 && bias->dtype() != DType::f32)) return nullptr;
  }
  std::optional<Fused> f = fused(request);
  if (!f) return nullptr;
  bool turned = !linear && !request.attrs.boolean("transpose_y");
  std::optional<CompressedWeight> w = pack_compressed(*how, request.in[1], turned, request.machine);
  if (!w) return nullptr;
  std::int64_t m = volume(x.shape) / w->depth;
  if (x.dtype == DType::f16) return std::make_unique<MultiplyCompressed<Half>>(request, std::move(*w), *f, m);
  return std::make_unique<MultiplyCompressed<float>>(request, std::move(*w), *f, m);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::linear, "compressed", make_compressed},
    {&ops::matmul, "compressed", make_compressed},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(matmul_compressed)
