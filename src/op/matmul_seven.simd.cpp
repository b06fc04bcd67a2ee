// SPDX-License-Identifier: Apache-2.0
// Products of halves with constant weights in seven eighths of the multiplications (simd/seven.inc): rows,
// columns and terms are cut in two, sums are of 32 bits and rounded once like those of op/matmul.simd.cpp,
// whose rows are asked next. Rows or columns that differ much in size would cost one another's last bits:
// such are multiplied plainly.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/matmul_seven.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "base/text.h"

#include "op/contraction.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/matmul.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET != HWY_SSE4
HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/gemm_rows.inc"
#include "simd/seven.inc"
#include "simd/finish.inc"
#include "simd/quick.inc"
#include "simd/quick_finish.inc"
// clang-format on
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

// ---- how a product is cut

struct Cut {
  Contraction c = {};
  std::int64_t high = 0;    // rows of the upper half; the lower one may have one less
  std::int64_t tiles = 0;   // of the rows of a half
  std::int64_t blocks = 1;  // of the tiles
  std::int64_t parts = 1;   // of the strips: one of each is a task
  std::int64_t half = 0;    // terms of half a slice, the last ones zero
  std::int64_t slices = 1;  // of the terms, so that what is made of A stays in the second cache
  std::int64_t panels() const { return parts_of(c.n(), tile_columns); }
  std::int64_t pairs() const { return panels() / 2; }
  bool odd() const { return panels() % 2 != 0; }
  std::int64_t strips() const { return pairs() + odd(); }  // pairs of panels, and one that is left
  std::int64_t tile_begin(std::int64_t tile) const { return high * tile / tiles; }
  int rows_of(std::int64_t tile) const { return static_cast<int>(tile_begin(tile + 1) - tile_begin(tile)); }
  std::int64_t block_begin(std::int64_t block) const { return tiles * block / blocks; }
  std::int64_t part_begin(std::int64_t part) const { return strips() * part / parts; }
  std::int64_t most_rows() const { return parts_of(tiles, blocks) * parts_of(high, tiles); }
  std::int64_t slice_size() const { return half * quarters_step; }  // of a strip, in halves
  std::int64_t strip_size() const { return slices * slice_size(); }
};

// Of what is made of A: a busy machine leaves less of the second cache than there is.
constexpr std::int64_t operands_cache = 384 << 10;

// In cycles of a slot; settles the slices.
double cost_of(Cut& cut, int slots) {
  constexpr double tile = 90, first = 4, task = 500, add = 250;
  std::int64_t rows = parts_of(cut.high, cut.blocks);
  cut.slices = parts_of(28 * rows * ((cut.c.depth() + 1) / 2), operands_cache);
  cut.half = grouped(parts_of(cut.c.depth(), 2 * cut.slices));
  double half = static_cast<double>(cut.half), high = static_cast<double>(rows);
  double tiles = static_cast<double>(parts_of(rows, tile_rows));
  double each = 7 * (half * (2 * high + first) + tiles * tile) + (cut.slices > 1 ? 4 * add * tiles : 0);
  double strips = static_cast<double>(parts_of(cut.strips(), cut.parts));
  double slice = high * half * 1.4 + strips * each;
  return static_cast<double>(parts_of(cut.blocks * cut.parts, slots)) *
         (static_cast<double>(cut.slices) * slice + task);
}
double plain_cost(const Cut& cut, int slots) {
  double rows = static_cast<double>(cut.c.m()), depth = static_cast<double>(cut.c.depth());
  double panels = static_cast<double>(cut.panels());
  return panels * (2 * rows * depth * 1.02 + 3 * depth + rows / tile_rows * 80) / slots +
         rows * depth / slots;
}

// The cheapest; nothing where all products in one are no dearer.
std::optional<Cut> cut_of(Contraction c, int slots) {
  Cut cut, best;
  cut.c = std::move(c);
  cut.high = (cut.c.m() + 1) / 2;
  double least = 0.98 * plain_cost(cut, slots);
  bool found = false;
  std::int64_t all = parts_of(cut.high, tile_rows);
  for (cut.blocks = 1; cut.blocks <= all; ++cut.blocks)
    for (cut.parts = 1; cut.parts <= std::min<std::int64_t>(cut.strips(), 2 * slots); ++cut.parts) {
      double cost = cost_of(cut, slots);
      if (cost >= least) continue;
      cut.tiles = std::max(all, cut.blocks * parts_of(parts_of(cut.high, cut.blocks), tile_rows));
      least = cost, best = cut, found = true;
    }
  return found ? std::optional(best) : std::nullopt;
}

// Rows that lie together along the terms; columns of the result in each panel.
bool fits(const Contraction& c) {
  constexpr std::int64_t least = 96;  // rows, for which it pays to make sums of B
  if (c.batch() != 1 || c.m() < least || c.n() < 2 * tile_columns || c.depth() < least) return false;
  if (!is_run(c.ak, 0, c.depth())) return false;
  for (std::int64_t first = 0; first < c.n(); first += tile_columns)
    if (!is_run(c.cn, first, std::min<std::int64_t>(tile_columns, c.n() - first))) return false;
  return true;
}

// ---- packing

// Of A's quarters and of sums of them: s1 = 21 + 22, s2 = s1 - 11, s3 = 11 - 21, s4 = 12 - s2. Rows that are
// not alike have 21 in place of s1.
enum Operand : std::uint8_t { a11, a12, a22, s1, s2, s3, s4, a21, operands };

// Greatest magnitudes may be so far apart that sums of both keep what is needed of the lesser.
bool alike(float low, float high, float most) { return high <= most * low && high < 1e30F; }

struct Line {
  const Half* data = nullptr;  // null: zeros
  const Half* end = nullptr;
};
// A vector of terms from `first` on as floats, zeros beyond the last of `depth`.
HWY_INLINE hn::Vec<hn::ScalableTag<float>> load_terms(const Line& line, std::int64_t first,
                                                      std::int64_t depth) {
  const hn::ScalableTag<float> d;
  if (!line.data || first >= depth) return hn::Zero(d);
  if (depth - first >= gemm_lanes && line.end - (line.data + first) >= gemm_lanes)
    return load_wide(d, line.data + first);
  alignas(64) float some[gemm_lanes] = {};
  for (std::int64_t i = first; i < std::min(depth, first + gemm_lanes); ++i)
    some[i - first] = widened(line.data[i]);
  return hn::Load(d, some);
}

// The greatest magnitude so far, as bits: these order numbers, infinity and NaN.
using Magnitudes = hn::Vec<hn::ScalableTag<std::int32_t>>;
HWY_INLINE Magnitudes greater(Magnitudes most, hn::Vec<hn::ScalableTag<float>> x) {
  const hn::ScalableTag<std::int32_t> d;
  return hn::Max(most, hn::And(hn::BitCast(d, x), hn::Set(d, 0x7fffffff)));
}
HWY_INLINE float greatest(Magnitudes most) {
  const hn::ScalableTag<std::int32_t> d;
  std::int32_t bits = hn::GetLane(hn::MaxOfLanes(d, most));
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x == x ? x : std::numeric_limits<float>::infinity();
}

// The rows of a tile of both halves, as far as they are there.
struct Rows {
  Line upper[tile_rows], lower[tile_rows];
  int count = 0;
};
struct Slice {  // of the terms
  std::int64_t first = 0, half = 0, depth = 0;
};

// Memory that is fetched while something else is done.
struct Ahead {
  const Half *next = nullptr, *end = nullptr;
  HWY_INLINE void fetch() {
    if (next == end) return;
    __builtin_prefetch(next, 0, 2);
    next += 32;
  }
};

// The tile's operands, each `each` floats after the last. Whether its rows are alike.
HWY_NOINLINE bool pack_tile(const Rows& rows, const Slice& slice, std::int64_t each, float* to,
                            Ahead& ahead) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<std::int32_t> whole;
  Magnitudes top[tile_rows], bottom[tile_rows];
  for (int r = 0; r < rows.count; ++r) top[r] = bottom[r] = hn::Zero(whole);
  for (std::int64_t k = slice.first; k < slice.first + slice.half; k += row_group)
    for (int r = 0; r < rows.count; ++r) {
      constexpr std::int64_t soon = 3 * row_group;
      ahead.fetch(), ahead.fetch(), ahead.fetch();
      for (const Line& line : {rows.upper[r], rows.lower[r]})
        if (line.data) {
          __builtin_prefetch(line.data + k + soon);
          __builtin_prefetch(line.data + k + slice.half + soon);
        }
      for (int i = 0; i < row_group; i += gemm_lanes, to += gemm_lanes) {
        auto x11 = load_terms(rows.upper[r], k + i, slice.depth),
             x12 = load_terms(rows.upper[r], k + i + slice.half, slice.depth),
             x21 = load_terms(rows.lower[r], k + i, slice.depth),
             x22 = load_terms(rows.lower[r], k + i + slice.half, slice.depth);
        auto y1 = hn::Add(x21, x22), y2 = hn::Sub(y1, x11);
        hn::StoreU(x11, d, to + a11 * each), hn::StoreU(x12, d, to + a12 * each);
        hn::StoreU(x22, d, to + a22 * each), hn::StoreU(y1, d, to + s1 * each);
        hn::StoreU(y2, d, to + s2 * each), hn::StoreU(hn::Sub(x11, x21), d, to + s3 * each);
        hn::StoreU(hn::Sub(x12, y2), d, to + s4 * each);
        top[r] = greater(greater(top[r], x11), x12), bottom[r] = greater(greater(bottom[r], x21), x22);
      }
    }
  bool all = true;
  for (int r = 0; r < rows.count; ++r) {
    float high = greatest(top[r]), low = greatest(bottom[r]);
    all = all && (!rows.lower[r].data || alike(std::min(high, low), std::max(high, low), 256));
  }
  return all;
}

// Quarter 21 of the same.
HWY_NOINLINE void pack_lower_left(const Rows& rows, const Slice& slice, float* to) {
  for (std::int64_t k = slice.first; k < slice.first + slice.half; k += row_group)
    for (int r = 0; r < rows.count; ++r)
      for (int i = 0; i < row_group; i += gemm_lanes, to += gemm_lanes)
        hn::StoreU(load_terms(rows.lower[r], k + i, slice.depth), hn::ScalableTag<float>(), to);
}

// Column j of a panel, term k; zero beyond the end.
Half element(const Contraction& c, const Half* b, std::int64_t j, std::int64_t k) {
  return j < c.n() && k < c.depth() ? b[c.bn[at(j)] + c.bk[at(k)]] : Half{};
}

// A strip in quarters, slice by slice; whether its columns are alike.
bool pack_strip(const Cut& cut, const Half* b, std::int64_t strip, Half* to) {
  std::int64_t first = strip * 2 * tile_columns;
  bool all = true;
  for (std::int64_t j = 0; j < tile_columns; ++j) {
    float most[4] = {};
    for (std::int64_t quarter = 0; quarter < 4; ++quarter) {
      std::int64_t column = first + quarter % 2 * tile_columns + j;
      for (std::int64_t k = 0; k < cut.slices * cut.half; ++k) {
        std::int64_t term = k / cut.half * 2 * cut.half + quarter / 2 * cut.half + k % cut.half;
        Half x = element(cut.c, b, column, term);
        to[k * quarters_step + quarter * tile_columns + j] = x;
        most[quarter] = std::max(most[quarter], std::abs(to_float(x)));
      }
    }
    auto [low, high] = std::minmax_element(most, most + 4);
    bool both = first + tile_columns + j < cut.c.n();
    all = all && (!both || alike(*low, *high, 64));
  }
  return all;
}

// ---- the product

template <class Out> struct Product {
  const Cut& cut;
  const Half *a, *a_end;
  const Half* strips;            // of B
  const std::uint8_t* separate;  // per strip: its columns are not alike
  bool whole_a;                  // quarter 21 is needed by some strip
  const float* bias;
  TileFinish<Out> finish;
};

struct Room {  // of a slot, in floats
  std::int64_t keep = 0, other = 0, upper = 0, lower = 0, sums = 0, results = 0, plain = 0, whole = 0;
};
Room room_of(const Cut& cut, bool whole_a) {
  std::int64_t rows = cut.most_rows(), results = cut.slices > 1 ? parts_of(cut.strips(), cut.parts) : 0;
  Room r;
  r.keep = (whole_a ? operands : operands - 1) * rows * cut.half;
  r.other = r.keep + cut.half * tile_columns;
  r.upper = r.other + cut.half * tile_columns;
  r.lower = r.upper + rows * tile_columns;
  r.sums = r.lower + rows * tile_columns;
  r.results = r.sums + tile_rows_padded * tile_columns;
  r.plain = r.results + results * 4 * rows * tile_columns;
  r.whole = r.plain + parts_of(cut.tiles, 64) * 16;
  return r;
}

// A task: the tiles of a block times some strips.
template <class Out> class Task {
 public:
  Task(const Product<Out>& p, std::int64_t block, std::int64_t part, float* room)
      : p_(p),
        cut_(p.cut),
        first_(cut_.block_begin(block)),
        last_(cut_.block_begin(block + 1)),
        strip_(cut_.part_begin(part)),
        strips_begin_(strip_),
        strips_end_(cut_.part_begin(part + 1)),
        rows_(cut_.tile_begin(last_) - cut_.tile_begin(first_)),
        a_(room) {
    Room r = room_of(cut_, p.whole_a);
    keep_ = room + r.keep, other_ = room + r.other, upper_ = room + r.upper, lower_ = room + r.lower,
    sums_ = room + r.sums;
    results_ = room + r.results;
    plain_ = reinterpret_cast<std::uint8_t*>(room + r.plain);
  }

  void run() {
    for (slice_ = 0; slice_ < cut_.slices; ++slice_) {
      pack();
      for (strip_ = strips_begin_; strip_ < strips_end_; ++strip_) run_strip();
    }
  }

 private:
  struct Ends {
    const float* from = nullptr;
    float* to = nullptr;
    float* other = nullptr;
  };
  struct Nothing {
    void operator()(std::int64_t) const {}
  };

  void pack() {
    const Contraction& c = cut_.c;
    const Half* base = p_.a + c.batch_a[0] + c.ak[0];
    Slice slice{slice_ * 2 * cut_.half, cut_.half, c.depth()};
    const Half* b = p_.strips + strips_begin_ * cut_.strip_size() + slice_ * cut_.slice_size();
    Ahead ahead{b, b + cut_.slice_size()};
    for (std::int64_t t = first_; t < last_; ++t) {
      Rows rows;
      rows.count = cut_.rows_of(t);
      for (int r = 0; r < rows.count; ++r) {
        std::int64_t m = cut_.tile_begin(t) + r;
        bool both = m + cut_.high < c.m();
        rows.upper[r] = {base + c.am[at(m)], p_.a_end};
        rows.lower[r] = {both ? base + c.am[at(m + cut_.high)] : nullptr, p_.a_end};
      }
      bool like = pack_tile(rows, slice, rows_ * cut_.half, operand(a11, t), ahead);
      plain_[t - first_] = !like;
      if (p_.whole_a) pack_lower_left(rows, slice, operand(a21, t));
      else if (!like) pack_lower_left(rows, slice, operand(s1, t));
    }
  }

  std::int64_t row_of(std::int64_t t) const { return cut_.tile_begin(t) - cut_.tile_begin(first_); }
  float* operand(Operand o, std::int64_t t) const { return a_ + (o * rows_ + row_of(t)) * cut_.half; }
  float* upper(std::int64_t t) const { return upper_ + row_of(t) * tile_columns; }
  float* lower(std::int64_t t) const { return lower_ + row_of(t) * tile_columns; }
  bool is_plain(std::int64_t t) const { return plain_[t - first_] || p_.separate[strip_]; }

  void run_strip() {
    b_ = p_.strips + strip_ * cut_.strip_size() + slice_ * cut_.slice_size();
    next_ = strip_ + 1 < strips_end_ ? b_ + cut_.strip_size() : nullptr;
    next_end_ = next_ ? next_ + cut_.slice_size() : nullptr;
    if (strip_ == cut_.pairs()) return run_odd();
    earlier_ = keep_;
    each<Term::b11>(a11, true, [&](auto t) { return Ends{nullptr, upper(t)}; });
    std::swap(keep_, other_);
    each<Term::b21>(
        a12, true,
        [&](auto t) {
          return Ends{upper(t), sums_};
        },
        [&](auto t) { give(t, 0, 0); });
    bool some = false, all = true;
    for (std::int64_t t = first_; t < last_; ++t) some = some || !is_plain(t), all = all && !is_plain(t);
    if (some) run_sums();
    for (std::int64_t t = first_; !all && t < last_; ++t)
      if (is_plain(t)) run_plain(t);
  }

  Seventh seventh(Operand o, std::int64_t t, const Ends& ends) {
    Seventh s{operand(o, t), b_, cut_.half, ends.from, ends.to, keep_, earlier_, nullptr, ends.other, sums_};
    if (next_end_ - next_ > 0) s.next = next_, next_ += cut_.half / row_group * lines_ahead * 32;
    return s;
  }

  // A product of all tiles, or of those that are not multiplied plainly, and what follows each.
  template <Term term, class EndsOf, class Then = Nothing>
  void each(Operand o, bool every, const EndsOf& ends, const Then& then = {}) {
    bool fresh = true;
    for (std::int64_t t = first_; t < last_; ++t) {
      if (!every && is_plain(t)) continue;
      Seventh s = seventh(o, t, ends(t));
      if (fresh) multiply_first<term>(cut_.rows_of(t), true, s);
      else multiply_next(cut_.rows_of(t), s);
      fresh = false;
      then(t);
    }
  }

  // upper = 11 * 11 goes on to be u2 = upper + s2 * t2 and u3 = u2 + s3 * t3, lower = s1 * t1 to u2 + lower.
  void run_sums() {
    std::swap(keep_, other_);
    each<Term::t1>(s1, false, [&](auto t) { return Ends{nullptr, lower(t)}; });
    each<Term::t2>(s2, false, [&](auto t) { return Ends{upper(t), upper(t)}; });
    earlier_ = keep_;
    std::swap(keep_, other_);
    each<Term::t3>(
        s3, false,
        [&](auto t) {
          return Ends{upper(t), upper(t), lower(t)};
        },
        [&](auto t) { give(t, 1, 1); });
    std::swap(keep_, other_);
    each<Term::t4>(
        a22, false,
        [&](auto t) {
          return Ends{upper(t), sums_};
        },
        [&](auto t) { give(t, 1, 0); });
    each<Term::b22>(
        s4, false,
        [&](auto t) {
          return Ends{lower(t), sums_};
        },
        [&](auto t) { give(t, 0, 1); });
  }

  // The three quarters that are left, without sums.
  void run_plain(std::int64_t t) {
    Operand left = p_.whole_a ? a21 : s1;
    plain_quarter<Term::b11, Term::b21>(left, a22, t);
    give(t, 1, 0);
    plain_quarter<Term::b12, Term::b22>(left, a22, t);
    give(t, 1, 1);
    plain_quarter<Term::b12, Term::b22>(a11, a12, t);
    give(t, 0, 1);
  }
  template <Term first, Term second> void plain_quarter(Operand x, Operand y, std::int64_t t) {
    multiply_first<first>(cut_.rows_of(t), false, seventh(x, t, {nullptr, sums_}));
    multiply_first<second>(cut_.rows_of(t), false, seventh(y, t, {sums_, sums_}));
  }

  void run_odd() {
    each<Term::b11>(a11, true, [&](auto t) { return Ends{nullptr, upper(t)}; });
    each<Term::b11>(a21, true, [&](auto t) { return Ends{nullptr, lower(t)}; });
    each<Term::b21>(
        a12, true,
        [&](auto t) {
          return Ends{upper(t), sums_};
        },
        [&](auto t) { give(t, 0, 0); });
    each<Term::b21>(
        a22, true,
        [&](auto t) {
          return Ends{lower(t), sums_};
        },
        [&](auto t) { give(t, 1, 0); });
  }

  // The sums of a slice: to those of the others, or with them where they belong.
  void give(std::int64_t t, int below, int second) {
    if (cut_.slices > 1) {
      const hn::ScalableTag<float> d;
      std::int64_t quarter = (strip_ - strips_begin_) * 4 + below * 2 + second;
      float* all = results_ + (quarter * rows_ + row_of(t)) * tile_columns;
      float* to = slice_ + 1 < cut_.slices ? all : sums_;
      for (int i = 0; i < cut_.rows_of(t) * tile_columns; i += gemm_lanes) {
        auto x = hn::LoadU(d, sums_ + i);
        hn::StoreU(slice_ > 0 ? hn::Add(x, hn::LoadU(d, all + i)) : x, d, to + i);
      }
      if (to == all) return;
    }
    store(t, below, second);
  }

  // To the upper or lower half of the rows and the first or second panel.
  void store(std::int64_t t, int below, int second) {
    std::int64_t m = cut_.tile_begin(t) + below * cut_.high, n = (2 * strip_ + second) * tile_columns;
    int rows = static_cast<int>(std::min<std::int64_t>(cut_.rows_of(t), cut_.c.m() - m));
    int columns = static_cast<int>(std::min<std::int64_t>(tile_columns, cut_.c.n() - n));
    if (rows > 0)
      store_run_tile(p_.finish, sums_, p_.bias + n, columns,
                     {cut_.c.cm.data() + m, cut_.c.batch_c[0] + cut_.c.cn[at(n)], rows});
  }

  const Product<Out>& p_;
  const Cut& cut_;
  std::int64_t first_, last_, strip_, strips_begin_, strips_end_, rows_, slice_ = 0;
  float* a_;
  const Half *b_ = nullptr, *next_ = nullptr, *next_end_ = nullptr;
  const float* earlier_ = nullptr;
  float *keep_, *other_, *upper_, *lower_, *sums_, *results_;
  std::uint8_t* plain_;
};

// ---- the kernel

template <class Out> class MultiplySeven final : public Kernel {
 public:
  MultiplySeven(const KernelRequest& request, Cut cut, Fused fused, std::size_t b_input)
      : cut_(std::move(cut)),
        fused_(fused),
        quick_(quick_of(request)),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1),
        a_(1 - b_input) {
    a_size_ = volume(request.in[a_].shape);
    packed.assign(request.in.size(), false);
    pack(*request.constant(b_input), request.machine);
    packed[b_input] = true;
    auto separate = reinterpret_cast<const std::uint8_t*>(strips_->data()) + strips_bytes();
    whole_a_ = cut_.odd() || std::any_of(separate, separate + cut_.strips(), [](auto x) { return x != 0; });
    slot_bytes_ = aligned_bytes(room_of(cut_, whole_a_).whole * 4);
    scratch = slot_bytes_ * at(slots_);
    bias_.assign(at(cut_.strips() * 2 * tile_columns), 0);
    if (const Tensor* bias = request.constant(2); bias && &request.op == &ops::linear) {
      std::vector<double> given = to_doubles(*bias);
      for (std::int64_t i = 0; i < cut_.c.n(); ++i)
        bias_[at(i)] = static_cast<float>(given[given.size() == 1 ? 0 : at(i)]);
      packed[2] = true;
    }
    flops = 2.0 * static_cast<double>(cut_.c.m() * cut_.c.n()) * static_cast<double>(cut_.c.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const Half* a = call.input<Half>(a_);
    Product<Out> p{cut_,
                   a,
                   a + a_size_,
                   reinterpret_cast<const Half*>(strips_->data()),
                   reinterpret_cast<const std::uint8_t*>(strips_->data()) + strips_bytes(),
                   whole_a_,
                   bias_.data(),
                   {finish_of<Out>(fused_, call), quick_}};
    each_in_slots(call.pool, cut_.blocks * cut_.parts, slots_, [&](std::int64_t i, int slot) {
      Task<Out>(p, i / cut_.parts, i % cut_.parts,
                reinterpret_cast<float*>(call.scratch + slot_bytes_ * at(slot)))
          .run();
    });
  }

 private:
  std::size_t strips_bytes() const { return at(cut_.strips() * cut_.strip_size()) * sizeof(Half); }

  void pack(const Tensor& b, const Machine& machine) {
    std::size_t bytes = strips_bytes();
    strips_ = packed_constant(
        machine, b, matrix_form(text("gemm_seven {} {} {}", tile_columns, cut_.half, cut_.slices), cut_.c),
        bytes + at(cut_.strips()), [&](std::byte* to) {
          auto all = reinterpret_cast<Half*>(to);
          auto from = reinterpret_cast<const Half*>(b.data()) + cut_.c.batch_b[0];
          auto one = [&](std::int64_t i) {
            bool like = pack_strip(cut_, from, i, all + i * cut_.strip_size());
            to[bytes + at(i)] = std::byte(like ? 0 : 1);
          };
          if (machine.pool) machine.pool->each(cut_.strips(), one);
          else
            for (std::int64_t i = 0; i < cut_.strips(); ++i) one(i);
        });
  }

  Cut cut_;
  Fused fused_;
  Quick quick_ = Quick::none;
  int slots_;
  std::size_t a_;
  bool whole_a_ = false;
  std::size_t slot_bytes_ = 0;
  std::int64_t a_size_ = 0;
  StoragePtr strips_;
  std::vector<float> bias_;  // one per column
};

std::unique_ptr<Kernel> make_seven(const KernelRequest& request) {
  bool linear = &request.op == &ops::linear, einsum = &request.op == &ops::einsum;
  for (std::size_t i = 0; i < 2; ++i)
    if (request.in[i].dtype != DType::f16) return nullptr;
  if (request.out[0].dtype != DType::f16 || (einsum && (request.in.size() != 2 || !request.post.empty())))
    return nullptr;
  int constant = request.constant(1) ? 1 : !linear && request.constant(0) ? 0 : -1;
  if (constant < 0 || (linear && request.has(2) && !request.constant(2))) return nullptr;
  std::optional<Fused> f = fused(request);
  if (!f) return nullptr;
  const Shape &x = request.in[0].shape, &y = request.in[1].shape;
  Equation eq = equation_of(request.op, request.attrs, std::vector{x.size(), y.size()});
  Contraction c = plan_contraction(eq, x, y, request.out[0].shape, constant);
  if (!fits(c)) return nullptr;
  int slots = request.machine.pool ? request.machine.pool->threads() : 1;
  std::optional<Cut> cut = cut_of(std::move(c), slots);
  if (!cut) return nullptr;
  return std::make_unique<MultiplySeven<Half>>(request, std::move(*cut), *f, constant == 1 ? 1 : 0);
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::matmul, "gemm_seven", make_seven},
    {&ops::linear, "gemm_seven", make_seven},
    {&ops::einsum, "gemm_seven", make_seven},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#else
namespace tl::HWY_NAMESPACE {
constexpr KernelTable rows;  // too few registers, and no halves
}
#endif
TL_EXPORT_KERNELS(matmul_seven)
