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

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/vector.inc"
#include "simd/math.inc"
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/finish.inc"
// clang-format on
namespace {

struct Attention {
  std::int64_t batch = 0, queries = 0, keys = 0, width = 0, out_width = 0;  // width: of a query and a key
  std::int64_t tiles = 1, blocks = 1;    // tiles of queries in a block, blocks in a batch
  std::vector<std::int64_t> mask_batch;  // where the mask of a batch begins
  std::int64_t mask_query = 0, mask_key = 0;
  DType mask = DType::f32;
  bool masked = false;
  bool direct = false;  // values are read where they are
};

// Scratch of one slot, in floats.
struct Room {
  std::int64_t queries, keys, values, scores, weights, tile, whole;
};

Room room_of(const Attention& a) {
  auto rounded = [](std::int64_t n) { return (n + pack_slack + 15) / 16 * 16; };
  Room r;
  r.queries = 0;
  r.keys = r.queries + rounded(a.tiles * tile_rows * a.width);
  r.values = r.keys + rounded(tile_columns * a.width);
  r.scores = r.values + (a.direct ? 0 : rounded(padded_columns(a.out_width) * a.keys));
  r.weights = r.scores + rounded(a.tiles * tile_rows_padded * (a.keys + tile_columns));
  r.tile = r.weights + rounded(tile_rows * a.keys);
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

// c[row][column] += mask of so many rows and columns.
template <class M>
HWY_INLINE void add_mask(const Attention& a, const M* mask, int rows, int columns, float* c) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < columns; ++j) {
      const M& m = mask[r * a.mask_query + j * a.mask_key];
      float& score = c[r * tile_columns + j];
      if constexpr (std::is_same_v<M, bool>) score = m ? score : -std::numeric_limits<float>::infinity();
      else score += widened(m);
    }
}

void add_mask(const Attention& a, const std::byte* mask, int rows, int columns, float* c) {
  if (a.mask == DType::boolean) add_mask(a, reinterpret_cast<const bool*>(mask), rows, columns, c);
  else if (a.mask == DType::f16) add_mask(a, reinterpret_cast<const Half*>(mask), rows, columns, c);
  else add_mask(a, reinterpret_cast<const float*>(mask), rows, columns, c);
}

// weights[key][rows] = exp(score - largest of the row), from scores[key][tile_rows_padded]; sums per row.
HWY_NOINLINE void exponentials(const float* scores, std::int64_t keys, int rows, float* weights,
                               float* sums) {
  for (int r = 0; r < rows; r += lanes) {
    Real top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t s = 0; s < keys; ++s) top = hn::Max(load(scores + s * tile_rows_padded + r).v, top.v);
    for (std::int64_t s = 0; s < keys; ++s) {
      Real e = exp(load(scores + s * tile_rows_padded + r) - top);
      sum = sum + e;
      if (r == 0 && rows <= lanes) {
        store(e, weights + s * rows);  // what is written past the row is overwritten by the next one
      } else {
        alignas(64) float some[lanes];
        store(e, some);
        for (int i = 0; i < lanes && r + i < rows; ++i) weights[s * rows + r + i] = some[i];
      }
    }
    store(sum, sums + r);
  }
}

template <class T> HWY_NOINLINE void pack_values(const Attention& a, const T* v, const T* end, float* to) {
  for (std::int64_t column = 0; column < a.out_width; column += tile_columns) {
    std::int64_t width = panel_width(a.out_width - column);
    int columns = static_cast<int>(std::min(width, a.out_width - column));
    for (std::int64_t s = 0; s < a.keys; ++s, to += width) {
      copy_row(v + s * a.out_width + column, end, columns, to);
      for (std::int64_t j = columns; j < width; ++j) to[j] = 0;
    }
  }
}

// Scores of all tiles of a block: [tile][key][tile_rows_padded].
template <class T>
HWY_NOINLINE void score(const AttentionRun<T>& r, std::int64_t batch, std::int64_t first, std::int64_t last,
                        float* base) {
  const Attention& a = r.a;
  float *packed = base + r.room.keys, *c = base + r.room.tile;
  const T* k = r.k + batch * a.keys * a.width;
  for (std::int64_t key = 0; key < a.keys; key += tile_columns) {
    std::int64_t left = a.keys - key, width = panel_width(left);
    int columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
    const T* starts[tile_columns];
    for (int j = 0; j < width; ++j) starts[j] = k + (key + std::min(j, columns - 1)) * a.width;
    pack_turned(starts, static_cast<int>(width), a.width, packed);
    for (std::int64_t m = first; m < last; m += tile_rows) {
      int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, last - m));
      tile_function<float>(rows, width)(base + r.room.queries + (m - first) * a.width, packed, a.width, width,
                                        c);
      if (a.masked) {
        std::int64_t at = a.mask_batch[static_cast<std::size_t>(batch)] + m * a.mask_query + key * a.mask_key;
        add_mask(a, r.mask + bytes_of(a.mask, at), rows, columns, c);
      }
      std::int64_t tile = (m - first) / tile_rows;
      turn_tile(c, rows, columns,
                base + r.room.scores + (tile * (a.keys + tile_columns) + key) * tile_rows_padded);
    }
  }
}

// A block of queries of one batch.
template <class T> HWY_NOINLINE void attend(const AttentionRun<T>& r, std::int64_t i, float* base) {
  const Attention& a = r.a;
  std::int64_t batch = i / a.blocks, first = i % a.blocks * a.tiles * tile_rows;
  std::int64_t last = std::min(first + a.tiles * tile_rows, a.queries);
  float scale = 1 / std::sqrt(static_cast<float>(a.width));
  for (std::int64_t m = first; m < last; m += tile_rows) {
    int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, last - m));
    const T* starts[tile_rows_padded];
    for (int j = 0; j < tile_rows_padded; ++j)
      starts[j] = r.q + (batch * a.queries + m + std::min(j, rows - 1)) * a.width;
    float* to = base + r.room.queries + (m - first) * a.width;
    pack_turned(starts, rows, a.width, to);
    for (std::int64_t e = 0; e < rows * a.width; ++e) to[e] *= scale;
  }
  score(r, batch, first, last, base);
  const T *v = r.v + batch * a.keys * a.out_width, *end = r.v + a.batch * a.keys * a.out_width;
  if (!a.direct) pack_values(a, v, end, base + r.room.values);
  float *c = base + r.room.tile, *weights = base + r.room.weights;
  alignas(64) float sums[tile_rows_padded + 16];
  for (std::int64_t m = first; m < last; m += tile_rows) {
    int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, last - m));
    std::int64_t tile = (m - first) / tile_rows;
    exponentials(base + r.room.scores + tile * (a.keys + tile_columns) * tile_rows_padded, a.keys, rows,
                 weights, sums);
    for (std::int64_t column = 0; column < a.out_width; column += tile_columns) {
      std::int64_t left = a.out_width - column, width = panel_width(left);
      int columns = static_cast<int>(std::min<std::int64_t>(left, tile_columns));
      if (a.direct) tile_function<T>(rows, width)(weights, v + column, a.keys, a.out_width, c);
      else
        tile_function<float>(rows, width)(weights, base + r.room.values + column * a.keys, a.keys, width, c);
      for (int row = 0; row < rows; ++row) {
        float* from = c + row * tile_columns;
        Real inverse = 1 / static_cast<double>(sums[row]);
        for (std::int64_t j = 0; j < width; j += lanes) store(load(from + j) * inverse, from + j);
        finish_run<gemm_lanes, true>(from, no_bias, columns, Finish<T>{.out = r.out},
                                     (batch * a.queries + m + row) * a.out_width + column);
      }
    }
  }
}

template <class T> class AttentionKernel final : public Kernel {
 public:
  AttentionKernel(const KernelRequest& request, Attention a)
      : a_(std::move(a)), slots_(request.machine.pool ? request.machine.pool->threads() : 1) {
    std::int64_t tiles = (a_.queries + tile_rows - 1) / tile_rows;
    constexpr std::int64_t cache = 512 << 10;
    std::int64_t fit = cache / (4 * tile_rows_padded * std::max<std::int64_t>(1, a_.keys));
    a_.tiles = std::clamp<std::int64_t>(std::min<std::int64_t>(fit, tiles), 1, 8);
    while (a_.tiles > 1 && a_.batch * ((tiles + a_.tiles - 1) / a_.tiles) < 2 * slots_) --a_.tiles;
    a_.blocks = (tiles + a_.tiles - 1) / a_.tiles;
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
    each_in_slots(call.pool, a_.batch * a_.blocks, slots_, [&](std::int64_t i, int slot) {
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
  for (std::int64_t b = 0; b < a.batch; ++b) {
    std::int64_t at = 0, left = b;
    for (std::size_t d = scores.size() - 2; d-- > 0;) at += left % scores[d] * steps[d], left /= scores[d];
    a.mask_batch.push_back(at);
  }
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
  if (a.keys < 1 || a.width < 1) return nullptr;
  a.batch = volume(std::span(q).first(r - 2));
  a.direct = a.out_width % gemm_lanes == 0;
  Shape scores = q;
  scores[r - 1] = a.keys;
  if (request.has(3)) place_mask(a, request.in[3], scores);
  if (dtype == DType::f16) return std::make_unique<AttentionKernel<Half>>(request, std::move(a));
  return std::make_unique<AttentionKernel<float>>(request, std::move(a));
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::scaled_dot_product_attention, "attention", make_attention},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(attention)
