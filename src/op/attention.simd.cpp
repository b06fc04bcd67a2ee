// SPDX-License-Identifier: Apache-2.0
// scaled_dot_product_attention on the CPU: blocks of queries against all keys, the scores of a block in cache
// and in fp32 from the products to the softmax and back. No matrix of all scores is ever made.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/attention.simd.cpp"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "op/fuse.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/scalar.h"
#include "op/slots.h"
#include "op/view.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/vector.inc"
#include "simd/math.inc"
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/gemm_rows.inc"
#include "simd/finish.inc"
// clang-format on
namespace {

// Where the matrices of an operand are: one start per batch, steps between rows; columns lie together.
struct Matrices {
  std::vector<std::int64_t> starts = {};
  std::int64_t step = 0;
  std::int64_t end = 0;  // past the last element of all
};

struct Attention {
  std::int64_t batch = 0, queries = 0, keys = 0, width = 0, out_width = 0;  // width: of a query and a key
  Matrices q = {}, k = {}, v = {}, out = {};
  std::int64_t tiles = 1, blocks = 1;    // of queries: in a batch
  std::vector<std::int64_t> mask_batch;  // where the mask of a batch begins
  std::int64_t mask_query = 0, mask_key = 0, mask_end = 0;
  DType mask = DType::f32;
  bool masked = false;
  std::int64_t tile_begin(std::int64_t t) const { return queries * t / tiles; }
  std::int64_t block_begin(std::int64_t b) const { return tiles * b / blocks; }
};

// Scratch of one slot, in floats.
struct Room {
  std::int64_t queries = 0, panel = 0, scores = 0, sums = 0, tile = 0, whole = 0;
};

std::int64_t rows_of_block(const Attention& a) {
  std::int64_t most = 0;
  for (std::int64_t b = 0; b < a.blocks; ++b)
    most = std::max(most, a.tile_begin(a.block_begin(b + 1)) - a.tile_begin(a.block_begin(b)));
  return most;
}

Room room_of(const Attention& a) {
  auto rounded = [](std::int64_t n) { return (n + pack_slack + 15) / 16 * 16; };
  std::int64_t rows = rows_of_block(a);
  Room r;
  r.panel = r.queries + rounded(rows * grouped(a.width));
  r.scores = r.panel + rounded(tile_columns * std::max(a.width, a.keys));
  r.sums = r.scores + rounded(rows * (grouped(a.keys) + row_group));
  r.tile = r.sums + rounded(rows);
  r.whole = r.tile + rounded(tile_rows_padded * tile_columns);
  return r;
}

template <class T> struct AttentionRun {
  const Attention& a;
  const Room& room;
  const T *q, *k, *v;
  const std::byte* mask;
  T* out;
};

struct TileRange {  // the tiles of a block
  std::int64_t first = 0, last = 0, start = 0;
};

inline constexpr int piece = std::min(row_group, tile_columns);  // of a row of scores that is placed at once

// x[n] += the mask from `at` on.
template <class M>
HWY_INLINE void add_mask(const Attention& a, const M* mask, std::int64_t at, int n, float* x) {
  const M* m = mask + at;
  if constexpr (!std::is_same_v<M, bool>) {
    if (n == piece && a.mask_key == 1 && a.mask_end - at >= piece) {
      for (int i = 0; i < piece; i += lanes) store(load(x + i) + load(m + i), x + i);
      return;
    }
  }
  for (int i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<M, bool>)
      x[i] = m[i * a.mask_key] ? x[i] : -std::numeric_limits<float>::infinity();
    else x[i] += widened(m[i * a.mask_key]);
  }
}

void add_mask(const Attention& a, const std::byte* mask, std::int64_t at, int n, float* x) {
  if (a.mask == DType::boolean) add_mask(a, reinterpret_cast<const bool*>(mask), at, n, x);
  else if (a.mask == DType::f16) add_mask(a, reinterpret_cast<const Half*>(mask), at, n, x);
  else add_mask(a, reinterpret_cast<const float*>(mask), at, n, x);
}

struct Spot {  // of a tile of scores
  std::int64_t batch = 0, query = 0, key = 0;
  int rows = 0, columns = 0;
};

// c[rows][tile_columns] to scores[group][rows][16]. What is beyond the last key in its group is -infinity,
// whose exponential is 0.
template <class T>
HWY_INLINE void place_scores(const AttentionRun<T>& r, const float* c, const Spot& s, float* scores) {
  const Attention& a = r.a;
  for (int column = 0; column < s.columns; column += piece) {
    int n = std::min(s.columns - column, piece);
    std::int64_t key = s.key + column;
    float* to = scores + key / row_group * s.rows * row_group + key % row_group;
    for (int row = 0; row < s.rows; ++row, to += row_group) {
      const float* from = c + row * tile_columns + column;
      for (int i = 0; i < piece; i += lanes) store(load(from + i), to + i);
      if (a.masked)
        add_mask(a, r.mask,
                 a.mask_batch[static_cast<std::size_t>(s.batch)] + (s.query + row) * a.mask_query +
                     key * a.mask_key,
                 n, to);
      if (key + n == a.keys)
        for (std::int64_t i = n; i < row_group - key % row_group; ++i)
          to[i] = -std::numeric_limits<float>::infinity();
    }
  }
}

// e^x for x <= 0: as exactly as the products of halves that follow need, off by 2^-17 of it.
template <class T> HWY_INLINE Real weight_of(Real x) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (std::is_same_v<T, Half>) {
    const F32 d;
    auto t = hn::Max(hn::Set(d, -150), hn::Mul(x.v, hn::Set(d, 1.44269504F)));
    hn::Vec<F32> f{_mm512_reduce_ps(t.raw, 0x9)};  // less its floor
    auto p = hn::MulAdd(f, hn::Set(d, 0.013534166F), hn::Set(d, 0.052011467F));
    p = hn::MulAdd(f, p, hn::Set(d, 0.24144275F));
    p = hn::MulAdd(f, p, hn::Set(d, 0.69300383F));
    p = hn::MulAdd(f, p, hn::Set(d, 1));
    return hn::Vec<F32>{_mm512_scalef_ps(p.raw, t.raw)};
  }
#endif
  return exp(x);
}

// scores[group][rows][16] become exp(score - largest of the row) where they are; sums per row.
template <class T> HWY_NOINLINE void exponentials(float* scores, std::int64_t keys, int rows, float* sums) {
  std::int64_t groups = grouped(keys) / row_group, step = static_cast<std::int64_t>(rows) * row_group;
  for (int r = 0; r < rows; ++r) {
    float* row = scores + r * row_group;
    auto top = hn::Set(f32, -std::numeric_limits<float>::infinity());
    for (std::int64_t g = 0; g < groups; ++g)
      for (int i = 0; i < row_group; i += lanes) top = hn::Max(load(row + g * step + i).v, top);
    Real most = hn::MaxOfLanes(f32, top), sum = 0;
    for (std::int64_t g = 0; g < groups; ++g)
      for (int i = 0; i < row_group; i += lanes) {
        Real e = weight_of<T>(load(row + g * step + i) - most);
        store(e, row + g * step + i);
        sum = sum + e;
      }
    sums[r] = hn::GetLane(hn::SumOfLanes(f32, sum.v));
  }
}

template <class T>
HWY_NOINLINE void pack_queries(const AttentionRun<T>& r, std::int64_t batch, TileRange t, float* to) {
  const Attention& a = r.a;
  Real scale = 1 / std::sqrt(static_cast<double>(a.width));
  const T* q = r.q + a.q.starts[static_cast<std::size_t>(batch)];
  for (std::int64_t tile = t.first; tile < t.last; ++tile) {
    std::int64_t m = a.tile_begin(tile), rows = a.tile_begin(tile + 1) - m;
    const T* starts[tile_rows];
    for (int i = 0; i < rows; ++i) starts[i] = q + (m + i) * a.q.step;
    pack_run_rows(starts, r.q + a.q.end, static_cast<int>(rows), a.width, to);
    for (std::int64_t e = 0; e < rows * grouped(a.width); e += lanes) store(load(to + e) * scale, to + e);
    to += rows * grouped(a.width);
  }
}

// Scores of all tiles of a block: [tile][group of keys][row][16].
template <class T>
HWY_NOINLINE void score(const AttentionRun<T>& r, std::int64_t batch, TileRange t, float* base) {
  const Attention& a = r.a;
  float *packed = base + r.room.panel, *c = base + r.room.tile;
  const T* k = r.k + a.k.starts[static_cast<std::size_t>(batch)];
  for (std::int64_t key = 0; key < a.keys; key += tile_columns) {
    std::int64_t left = a.keys - key, width = panel_width(left);
    int columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
    const T* starts[tile_columns];
    for (int j = 0; j < width; ++j) starts[j] = k + (key + std::min(j, columns - 1)) * a.k.step;
    pack_turned(starts, static_cast<int>(width), a.width, packed);
    for (std::int64_t tile = t.first; tile < t.last; ++tile) {
      std::int64_t m = a.tile_begin(tile), at = m - t.start;
      int rows = static_cast<int>(a.tile_begin(tile + 1) - m);
      rows_function<float>(rows, width)(base + r.room.queries + at * grouped(a.width), packed, a.width, width,
                                        c, nullptr);
      place_scores(r, c, {batch, m, key, rows, columns}, base + r.room.scores + at * grouped(a.keys));
    }
  }
}

// values[keys][columns from `column`] as a panel in scratch.
template <class T>
HWY_NOINLINE void pack_values(const AttentionRun<T>& r, std::int64_t batch, std::int64_t column, float* to) {
  const Attention& a = r.a;
  std::int64_t width = panel_width(a.out_width - column);
  int columns = static_cast<int>(std::min(width, a.out_width - column));
  const T* v = r.v + a.v.starts[static_cast<std::size_t>(batch)] + column;
  for (std::int64_t s = 0; s < a.keys; ++s, to += width) {
    copy_row(v + s * a.v.step, r.v + a.v.end, columns, to);
    for (std::int64_t j = columns; j < width; ++j) to[j] = 0;
  }
}

// A block of queries of one batch.
template <class T> HWY_NOINLINE void attend(const AttentionRun<T>& r, std::int64_t i, float* base) {
  const Attention& a = r.a;
  std::int64_t batch = i / a.blocks, block = i % a.blocks;
  TileRange t{a.block_begin(block), a.block_begin(block + 1), a.tile_begin(a.block_begin(block))};
  pack_queries(r, batch, t, base + r.room.queries);
  score(r, batch, t, base);
  float *c = base + r.room.tile, *sums = base + r.room.sums, *scores = base + r.room.scores;
  auto rows_of = [&](std::int64_t tile) {
    return static_cast<int>(a.tile_begin(tile + 1) - a.tile_begin(tile));
  };
  for (std::int64_t tile = t.first; tile < t.last; ++tile) {
    std::int64_t at = a.tile_begin(tile) - t.start;
    exponentials<T>(scores + at * grouped(a.keys), a.keys, rows_of(tile), sums + at);
  }
  for (std::int64_t column = 0; column < a.out_width; column += tile_columns) {
    std::int64_t left = a.out_width - column, width = panel_width(left);
    pack_values(r, batch, column, base + r.room.panel);
    for (std::int64_t tile = t.first; tile < t.last; ++tile) {
      std::int64_t m = a.tile_begin(tile), at = m - t.start;
      int rows = rows_of(tile), columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
      rows_function<float>(rows, width)(scores + at * grouped(a.keys), base + r.room.panel, a.keys, width, c,
                                        nullptr);
      for (int row = 0; row < rows; ++row) {
        float* from = c + row * tile_columns;
        Real inverse = 1 / static_cast<double>(sums[at + row]);
        for (std::int64_t j = 0; j < width; j += lanes) store(load(from + j) * inverse, from + j);
        finish_run<gemm_lanes, true>(
            from, no_bias, columns, Finish<T>{.out = r.out},
            a.out.starts[static_cast<std::size_t>(batch)] + (m + row) * a.out.step + column);
      }
    }
  }
}

// Blocks whose scores stay in the second cache, and as many as give each slot the same work.
void cut_queries(Attention& a, int slots) {
  constexpr std::int64_t cache = 448 << 10;
  a.tiles = std::max<std::int64_t>(1, (a.queries + tile_rows - 1) / tile_rows);
  std::int64_t fit = std::max<std::int64_t>(1, cache / (4 * tile_rows * (a.keys + a.width)));
  std::int64_t least = (a.tiles + fit - 1) / fit;
  double best = 0;
  for (std::int64_t blocks = least; blocks <= std::min(a.tiles, least + 4 * slots); ++blocks) {
    double tiles = static_cast<double>((a.tiles + blocks - 1) / blocks);
    double rounds = static_cast<double>((a.batch * blocks + slots - 1) / slots);
    double cost = rounds * (tiles * 30 + 16);  // packing keys and values costs half a tile
    if (best == 0 || cost < best) best = cost, a.blocks = blocks;
  }
}

template <class T> class AttentionKernel final : public Kernel {
 public:
  AttentionKernel(const KernelRequest& request, Attention a)
      : a_(std::move(a)), slots_(request.machine.pool ? request.machine.pool->threads() : 1) {
    cut_queries(a_, slots_);
    room_ = room_of(a_);
    slot_bytes_ = aligned_bytes(room_.whole * 4);
    scratch = slot_bytes_ * static_cast<std::size_t>(slots_);
    flops = 2.0 * static_cast<double>(a_.batch * a_.queries) *
            static_cast<double>(a_.keys * (a_.width + a_.out_width));
  }

  void run(const KernelCall& call) const noexcept override {
    AttentionRun<T> r{a_,
                      room_,
                      call.input<T>(0),
                      call.input<T>(1),
                      call.input<T>(2),
                      a_.masked ? call.in[3] : nullptr,
                      call.output<T>(0)};
    each_in_slots(
        call.pool, a_.queries > 0 ? a_.batch * a_.blocks : 0, slots_, [&](std::int64_t i, int slot) {
          attend(r, i, reinterpret_cast<float*>(call.scratch + slot_bytes_ * static_cast<std::size_t>(slot)));
        });
  }

 private:
  Attention a_;
  Room room_ = {};
  int slots_;
  std::size_t slot_bytes_ = 0;
};

// Steps of the mask over the dimensions of the scores; 0 where it broadcasts.
void place_mask(Attention& a, const Type& mask, std::span<const Dim> scores) {
  a.masked = true, a.mask = mask.dtype;
  Shape own = row_major(mask.shape), steps(scores.size(), 0);
  std::size_t skip = scores.size() - mask.shape.size();
  for (std::size_t d = 0; d < own.size(); ++d)
    if (mask.shape[d] != 1) steps[d + skip] = own[d];
  a.mask_query = steps[scores.size() - 2], a.mask_key = steps[scores.size() - 1];
  a.mask_end = volume(mask.shape);
  for (std::int64_t b = 0; b < a.batch; ++b) {
    std::int64_t at = 0, left = b;
    for (std::size_t d = scores.size() - 2; d-- > 0;) at += left % scores[d] * steps[d], left /= scores[d];
    a.mask_batch.push_back(at);
  }
}

// False where columns do not lie together.
bool place_matrices(const View* view, std::span<const Dim> shape, Matrices& to) {
  View dense = dense_view(volume(shape));
  auto found = lattice(view ? *view : dense, shape, shape.size() - 2);
  if (!found || (shape.back() > 1 && found->steps[1] != 1)) return false;
  to.starts = std::move(found->starts), to.step = found->steps[0], to.end = reach(view ? *view : dense);
  return true;
}

std::unique_ptr<Kernel> make_attention(const KernelRequest& request) {
  const Shape &q = request.in[0].shape, &k = request.in[1].shape, &v = request.in[2].shape;
  DType dtype = request.in[0].dtype;
  bool real = dtype == DType::f16 || dtype == DType::f32;
  if (!real || request.in[1].dtype != dtype || request.in[2].dtype != dtype || !request.post.empty())
    return nullptr;
  if (request.has(3) && request.in[3].dtype != DType::boolean && request.in[3].dtype != DType::f16 &&
      request.in[3].dtype != DType::f32)
    return nullptr;
  std::size_t r = q.size();
  Attention a;
  a.queries = q[r - 2], a.keys = k[r - 2], a.width = q[r - 1], a.out_width = v[r - 1];
  a.batch = volume(std::span(q).first(r - 2));
  if (a.keys < 1 || a.width < 1 || a.queries < 1 || a.out_width < 1 || a.batch < 1 || request.view(3))
    return nullptr;
  if (!place_matrices(request.view(0), q, a.q) || !place_matrices(request.view(1), k, a.k) ||
      !place_matrices(request.view(2), v, a.v) ||
      !place_matrices(request.view(request.in.size()), request.out[0].shape, a.out))
    return nullptr;
  Shape scores = q;
  scores[r - 1] = a.keys;
  if (request.has(3)) place_mask(a, request.in[3], scores);
  if (dtype == DType::f16) return std::make_unique<AttentionKernel<Half>>(request, std::move(a));
  return std::make_unique<AttentionKernel<float>>(request, std::move(a));
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::scaled_dot_product_attention, "attention", make_attention, true},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(attention)
