// SPDX-License-Identifier: Apache-2.0
// matmul, linear and einsum of two operands on a matrix unit (simd/unit.h): blocks of rows times panels of
// columns, both packed through the unit; a constant operand when the kernel is made. Asked before the kernel
// for all (op/matmul.simd.cpp), which has what is left: few rows, other types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/matmul_unit.simd.cpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "op/contraction.h"
#include "op/fuse.h"
#include "op/kernels.h"
#include "op/matmul.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/slots.h"
#include "simd/unit.h"
// clang-format off
#include "simd/targets.inc"
#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
// clang-format off
#include "simd/gemm.inc"
#include "simd/pack.inc"
#include "simd/finish.inc"
#include "simd/quick.inc"
#include "simd/quick_finish.inc"
// clang-format on
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
std::int64_t parts_of(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

constexpr int most_lines = 32;   // of any unit's tile
constexpr int turned_rows = 16;  // that are turned at a time
static_assert(tile_columns == 32 && tile_rows_padded == turned_rows);

// ---- how one contraction is cut; settled when the kernel is made

struct Layout {
  Contraction c;
  bool a_run = false, b_terms_run = false;  // A's and B's elements lie together along the sum
  bool a_half = false, b_half = false;
  std::vector<bool> b_run, c_run,
      c_rows_run;  // per panel: B's and C's columns; per 16 rows of a tile: C's rows
  std::int64_t groups = 0, panels = 0;
  std::int64_t block = 0, blocks = 0;                           // tiles of rows of a task
  std::int64_t part = 0, parts = 0;                             // panels of a task
  std::size_t tile_bytes = 0, panel_bytes = 0, line_bytes = 0;  // of A's tile, of a panel, of lines gathered
};

std::int64_t columns_of(const Layout& l, std::int64_t panel) {
  return std::min<std::int64_t>(tile_columns, l.c.n() - panel * tile_columns);
}

// As few tasks as give each slot the same work: each part of the columns packs its rows again.
void cut_work(Layout& l, const MatrixUnit& unit, int slots) {
  constexpr std::int64_t cache = 384 << 10;
  std::int64_t tiles = parts_of(l.c.m(), unit.rows), bytes = static_cast<std::int64_t>(l.tile_bytes);
  l.blocks = parts_of(tiles, std::min(tiles, std::clamp<std::int64_t>(cache / bytes, 1, 64)));
  if (l.blocks > 1) l.blocks = std::min(tiles, parts_of(l.blocks, slots) * slots);
  l.block = parts_of(tiles, l.blocks);
  l.blocks = parts_of(tiles, l.block);
  std::int64_t have = l.c.batch() * l.blocks, wanted = 1;
  if (slots > 1 && have < 8 * slots) {
    bool even = have % slots == 0 || (have == 1 && l.panels % slots == 0);
    wanted = even ? slots : 4 * slots;
  }
  std::int64_t parts =
      std::clamp<std::int64_t>(parts_of(wanted, have), 1, std::max<std::int64_t>(1, l.panels / 2));
  l.part = parts_of(l.panels, parts);
  l.parts = parts_of(l.panels, l.part);
}

Layout lay_out(Contraction c, const MatrixUnit& unit, bool a_half, bool b_half, int slots) {
  Layout l;
  l.c = std::move(c), l.a_half = a_half, l.b_half = b_half;
  std::int64_t depth = l.c.depth();
  l.groups = unit.groups_of(depth);
  l.panels = parts_of(l.c.n(), tile_columns);
  l.a_run = is_run(l.c.ak, 0, depth), l.b_terms_run = is_run(l.c.bk, 0, depth);
  for (std::int64_t tile = 0; tile < l.c.m(); tile += unit.rows)
    for (std::int64_t m = tile; m < tile + unit.rows; m += turned_rows) {
      std::int64_t rows = std::min({std::int64_t{turned_rows}, tile + unit.rows - m, l.c.m() - m});
      l.c_rows_run.push_back(rows > 0 && is_run(l.c.cm, m, rows));
    }
  for (std::int64_t panel = 0; panel < l.panels; ++panel) {
    l.b_run.push_back(is_run(l.c.bn, panel * tile_columns, columns_of(l, panel)));
    l.c_run.push_back(is_run(l.c.cn, panel * tile_columns, columns_of(l, panel)));
  }
  l.tile_bytes = aligned_bytes(static_cast<std::int64_t>(unit.a_bytes(unit.rows, l.groups)) * unit.parts);
  l.panel_bytes = aligned_bytes(tile_columns * unit.group_bytes() * l.groups * unit.parts);
  l.line_bytes = aligned_bytes(most_lines * depth * 4);
  cut_work(l, unit, slots);
  return l;
}

// ---- packing

template <class T>
void gather(const T* base, const std::int64_t* lines, int count, const Offsets& terms, T* to) {
  for (int r = 0; r < count; ++r)
    for (std::int64_t k : terms) *to++ = base[lines[r] + k];
}

// `count` lines along the sum, gathered into `own` where they are not dense.
struct Taken {
  const std::byte* starts[most_lines];
};
Taken take(const std::byte* base, bool half, bool run, const std::int64_t* lines, int count,
           const Offsets& terms, std::byte* own) {
  Taken taken;
  std::int64_t bytes = half ? 2 : 4, depth = static_cast<std::int64_t>(terms.size());
  if (!run && half)
    gather(reinterpret_cast<const Half*>(base), lines, count, terms, reinterpret_cast<Half*>(own));
  else if (!run)
    gather(reinterpret_cast<const float*>(base), lines, count, terms, reinterpret_cast<float*>(own));
  for (int r = 0; r < count; ++r)
    taken.starts[r] = run ? base + (lines[r] + terms[0]) * bytes : own + r * depth * bytes;
  return taken;
}

void pack_tile(const MatrixUnit& unit, const Layout& l, const std::byte* a, std::int64_t m, int rows,
               std::byte* to, std::byte* own) {
  Taken taken = take(a, l.a_half, l.a_run, l.c.am.data() + m, rows, l.c.ak, own);
  unit.pack_rows({taken.starts, l.a_half, rows, l.c.depth()}, l.groups, to,
                 static_cast<std::int64_t>(unit.a_bytes(rows, l.groups)));
}

// A panel of tile_columns, those behind the last one undefined.
void pack_panel(const MatrixUnit& unit, const Layout& l, const std::byte* b, std::int64_t panel,
                std::byte* to, std::byte* own) {
  std::int64_t depth = l.c.depth(), step = tile_columns * unit.group_bytes(), low = step * l.groups;
  const std::int64_t* columns = l.c.bn.data() + panel * tile_columns;
  int count = static_cast<int>(columns_of(l, panel));
  if (l.b_terms_run || !l.b_run[at(panel)]) {
    Taken taken = take(b, l.b_half, l.b_terms_run, columns, count, l.c.bk, own);
    return unit.pack_columns({taken.starts, l.b_half, count, depth}, l.groups, tile_columns, to, low);
  }
  std::int64_t bytes = l.b_half ? 2 : 4;
  for (std::int64_t g = 0; g < l.groups; ++g, to += step) {
    const std::byte* lines[2] = {};
    std::int64_t first = g * unit.terms;
    int terms = static_cast<int>(std::clamp<std::int64_t>(depth - first, 0, unit.terms));
    for (int i = 0; i < terms; ++i) lines[i] = b + (columns[0] + l.c.bk[at(first + i)]) * bytes;
    if (terms > 0) {
      unit.pack_group({lines, l.b_half, terms, count}, to, low, 0);
      continue;
    }
    std::memset(to, 0, at(step));
    if (unit.parts == 2) std::memset(to + low, 0, at(step));
  }
}

// ---- the product

struct Product {
  const MatrixUnit& unit;
  const Layout& l;
  const std::byte *a, *b;   // b: unless it is packed already
  const std::byte* panels;  // packed; null: at run time
  const float* bias;
};

struct Place {
  std::int64_t batch = 0, m = 0, panel = 0, rows_run = 0;
  int rows = 0, columns = 0;
  const float* bias = nullptr;  // of all columns
};

// Up to 16 rows of a tile to where they belong.
template <class Out>
void store_tile(const Layout& l, float* c, const Place& place, const TileFinish<Out>& all, float* turned) {
  auto [batch, m, panel, rows_run, rows, columns, bias] = place;
  std::int64_t base = l.c.batch_c[at(batch)], n = panel * tile_columns;
  const float* own = bias + n;
  if (l.c_run[at(panel)])
    return store_run_tile(all, c, own, columns, {l.c.cm.data() + m, base + l.c.cn[at(n)], rows});
  Finish<Out> f = all.common;
  if (f.block) {
    apply_rows<true>(c, own, rows, tile_columns, f);
    f = rest_of(f);
    own = no_bias;
  }
  if (l.c_rows_run[at(rows_run)]) {
    turn_tile(c, rows, columns, turned);
    for (int j = 0; j < columns; ++j)
      finish_run<8, false>(turned + j * turned_rows, own + j, rows, f,
                           base + l.c.cm[at(m)] + l.c.cn[at(n + j)]);
    return;
  }
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < columns; ++j)
      finish_run<1, true>(c + r * tile_columns + j, own + j, 1, f,
                          base + l.c.cm[at(m + r)] + l.c.cn[at(n + j)]);
}

struct Room {  // of a slot, in bytes from its beginning
  std::size_t panel, lines, tile, turned, whole;
};
Room room_of(const Layout& l) {
  Room r;
  r.panel = l.tile_bytes * at(l.block);
  r.lines = r.panel + l.panel_bytes;
  r.tile = r.lines + l.line_bytes;
  r.turned = r.tile + most_lines * tile_columns * 4;
  r.whole = r.turned + turned_rows * tile_columns * 4;
  return r;
}

constexpr std::int64_t no_offset[1] = {0};

// Task i: a block of rows and a part of the columns of one batch.
template <class Out>
HWY_NOINLINE void run_task(const Product& p, const TileFinish<Out>& f, std::int64_t i, std::byte* scratch) {
  const Layout& l = p.l;
  const MatrixUnit& unit = p.unit;
  Room room = room_of(l);
  std::int64_t part = i % l.parts, block = i / l.parts % l.blocks, batch = i / l.parts / l.blocks;
  std::int64_t first = block * l.block * unit.rows, last = std::min(first + l.block * unit.rows, l.c.m());
  const std::byte* a = p.a + l.c.batch_a[at(batch)] * (l.a_half ? 2 : 4);
  float *c = reinterpret_cast<float*>(scratch + room.tile),
        *turned = reinterpret_cast<float*>(scratch + room.turned);
  for (std::int64_t m = first, t = 0; m < last; m += unit.rows, ++t)
    pack_tile(unit, l, a, m, static_cast<int>(std::min<std::int64_t>(unit.rows, last - m)),
              scratch + l.tile_bytes * at(t), scratch + room.lines);
  for (std::int64_t panel = part * l.part; panel < std::min((part + 1) * l.part, l.panels); ++panel) {
    const std::byte* b =
        p.panels ? p.panels + l.panel_bytes * at(batch * l.panels + panel) : scratch + room.panel;
    if (!p.panels)
      pack_panel(unit, l, p.b + l.c.batch_b[at(batch)] * (l.b_half ? 2 : 4), panel, scratch + room.panel,
                 scratch + room.lines);
    int columns = static_cast<int>(columns_of(l, panel));
    for (std::int64_t m = first, t = 0; m < last; m += unit.rows, ++t) {
      int rows = static_cast<int>(std::min<std::int64_t>(unit.rows, last - m));
      std::int64_t step = tile_columns * unit.group_bytes();
      unit.multiply({scratch + l.tile_bytes * at(t), b, no_offset, 1, l.groups, step,
                     static_cast<std::int64_t>(unit.a_bytes(rows, l.groups)), step * l.groups, rows, columns,
                     c});
      std::int64_t run = m / unit.rows * parts_of(unit.rows, turned_rows);
      for (int r = 0; r < rows; r += turned_rows, ++run)
        store_tile(l, c + r * tile_columns,
                   {batch, m + r, panel, run, std::min(turned_rows, rows - r), columns, p.bias}, f, turned);
    }
  }
}

// ---- the kernel

template <class Out> class MultiplyUnit final : public Kernel {
 public:
  MultiplyUnit(const KernelRequest& request, const MatrixUnit& unit, Contraction c)
      : unit_(unit),
        fused_(*fused(request)),
        quick_(quick_of(request)),
        slots_(request.machine.pool ? request.machine.pool->threads() : 1),
        b_(c.swapped ? 0 : 1),
        a_(1 - b_),
        l_(lay_out(std::move(c), unit, request.in[a_].dtype == DType::f16, request.in[b_].dtype == DType::f16,
                   slots_)) {
    slot_bytes_ = room_of(l_).whole;
    scratch = slot_bytes_ * at(slots_);
    packed.assign(request.in.size(), false);
    if (const Tensor* b = request.constant(b_)) pack(*b, request.machine);
    bias_.assign(at(l_.panels * tile_columns), 0);
    if (&request.op == &ops::linear && request.has(2)) take_bias(request);
    flops = 2.0 * static_cast<double>(l_.c.batch() * l_.c.m()) * static_cast<double>(l_.c.n() * l_.c.depth());
  }

  void run(const KernelCall& call) const noexcept override {
    const float* bias = bias_.data();
    if (runtime_bias_) {
      float* to = reinterpret_cast<float*>(call.scratch + slot_bytes_ * at(slots_));
      std::fill_n(to, bias_.size(), 0.0f);
      widen_bias(call.in[2], to);
      bias = to;
    }
    TileFinish<Out> finish{finish_of<Out>(fused_, call), quick_};
    Product p{unit_, l_, call.in[a_], call.in[b_], panels_ ? panels_->data() : nullptr, bias};
    each_in_slots(call.pool, l_.c.batch() * l_.blocks * l_.parts, slots_, [&](std::int64_t i, int slot) {
      UnitScope scope(unit_);
      run_task(p, finish, i, call.scratch + slot_bytes_ * at(slot));
    });
  }

 private:
  void pack(const Tensor& b, const Machine& machine) {
    std::int64_t all = l_.c.batch() * l_.panels;
    panels_ = packed_constant(machine, b, matrix_form(unit_.name, l_.c), at(all) * l_.panel_bytes,
                              [&](std::byte* to) { pack_panels(b.data(), to, machine.pool); });
    packed[b_] = true;
  }

  void pack_panels(const std::byte* b, std::byte* to, const ThreadPool* pool) const {
    std::int64_t all = l_.c.batch() * l_.panels;
    auto one = [&](std::int64_t i) {
      std::vector<std::byte> own(l_.line_bytes);
      pack_panel(unit_, l_, b + l_.c.batch_b[at(i / l_.panels)] * (l_.b_half ? 2 : 4), i % l_.panels,
                 to + l_.panel_bytes * at(i), own.data());
    };
    if (pool) pool->each(all, one);
    else
      for (std::int64_t i = 0; i < all; ++i) one(i);
  }

  void take_bias(const KernelRequest& request) {
    bias_dtype_ = request.in[2].dtype;
    bias_size_ = request.in[2].shape[0];
    if (const Tensor* bias = request.constant(2)) {
      widen_bias(bias->data(), bias_.data());
      packed[2] = true;
    } else {
      runtime_bias_ = true;
      scratch += aligned_bytes(static_cast<std::int64_t>(bias_.size()) * 4);
    }
  }

  void widen_bias(const std::byte* bias, float* to) const {
    for (std::int64_t i = 0; i < l_.c.n(); ++i) {
      std::int64_t from = bias_size_ == 1 ? 0 : i;
      to[i] = bias_dtype_ == DType::f16 ? to_float(reinterpret_cast<const Half*>(bias)[from])
                                        : reinterpret_cast<const float*>(bias)[from];
    }
  }

  const MatrixUnit& unit_;
  Fused fused_;
  Quick quick_ = Quick::none;
  int slots_;
  std::size_t b_, a_;
  Layout l_;
  std::size_t slot_bytes_ = 0;
  std::int64_t bias_size_ = 0;
  DType bias_dtype_ = DType::f32;
  bool runtime_bias_ = false;
  StoragePtr panels_;
  std::vector<float> bias_;  // one per column
};

bool is_real(DType d) { return d == DType::f16 || d == DType::f32; }

// Whether tiles are mostly full, and more than what is read once.
bool pays(const Contraction& c) { return c.batch() > 0 && c.m() >= 8 && c.n() >= 12 && c.depth() >= 8; }

std::unique_ptr<Kernel> make_unit(const KernelRequest& request) {
  bool linear = &request.op == &ops::linear, einsum = &request.op == &ops::einsum;
  bool half = request.in[0].dtype == DType::f16 && request.in[1].dtype == DType::f16;
  const MatrixUnit* unit =
      half || request.machine.bf16 ? matrix_unit(request.machine.isa, request.machine.bf16) : nullptr;
  if (!unit || (einsum && (request.in.size() != 2 || !request.post.empty())) || !fused(request))
    return nullptr;
  for (std::size_t i = 0; i < (linear ? 3u : 2u) && i < request.in.size(); ++i)
    if (request.has(i) && !is_real(request.in[i].dtype)) return nullptr;
  if (!is_real(request.out[0].dtype) || request.compressed_constant(1)) return nullptr;
  const Shape &x = request.in[0].shape, &y = request.in[1].shape;
  Equation eq = equation_of(request.op, request.attrs, std::vector{x.size(), y.size()});
  int constant = linear || request.constant(1) ? 1 : request.constant(0) ? 0 : -1;
  Contraction c = plan_contraction(eq, x, y, request.out[0].shape, constant);
  if (!pays(c)) return nullptr;
  if (request.out[0].dtype == DType::f16)
    return std::make_unique<MultiplyUnit<Half>>(request, *unit, std::move(c));
  return std::make_unique<MultiplyUnit<float>>(request, *unit, std::move(c));
}

}  // namespace

constexpr KernelRow rows[] = {
    {&ops::matmul, "gemm_unit", make_unit},
    {&ops::linear, "gemm_unit", make_unit},
    {&ops::einsum, "gemm_unit", make_unit},
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#else
namespace tl::HWY_NAMESPACE {
constexpr KernelTable rows;  // units belong to later instruction sets
}
#endif
TL_EXPORT_KERNELS(matmul_unit)
