// SPDX-License-Identifier: Apache-2.0
// CPU kernels of the rows of elementwise.def, compiled once per instruction set: functions over blocks of
// contiguous elements, which row.cpp runs over inputs that are broadcast, and post.h inside other kernels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/elementwise.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <cmath>
#include <limits>
#include <utility>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/post.h"
#include "op/scalar.h"

#define TL_FN HWY_INLINE

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {

#include "simd/vector.inc"

#include "simd/math.inc"

#include "op/formula.inc"

template <class F, class Out, class... In>
HWY_INLINE void apply(const F& f, std::int64_t n, Out* out, const In*... in) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(f.y(load(in + i)...), out + i);
  if (i < n) store_some(f.y(load_some(in + i, n - i)...), out + i, n - i);
}

template <class F, class Out, class... In, std::size_t... K>
HWY_INLINE void unpack(const RowParams& params, std::int64_t n, void* out, const void* const* in,
                       std::index_sequence<K...>) {
  apply(params.get<F>(), n, static_cast<Out*>(out), static_cast<const In*>(in[K])...);
}
template <class F, class Out, class... In>
void block(const RowParams& params, std::int64_t n, void* out, const void* const* in) {
  unpack<F, Out, In...>(params, n, out, in, std::index_sequence_for<In...>());
}

template <class F, class In, class Out> constexpr RowBlock* block_of() {
  if constexpr (F::inputs == 1) return block<F, Out, In>;
  else if constexpr (F::inputs == 2) return block<F, Out, In, In>;
  else return block<F, Out, bool, In, In>;
}

template <class F, class... In, class... Out> RowBlock* pick(Pairs<Pair<In, Out>...>, DType in, DType out) {
  RowBlock* found = nullptr;
  ((DTypeOf<In>::value == in && DTypeOf<Out>::value == out ? void(found = block_of<F, In, Out>()) : void()),
   ...);
  return found;
}

template <class F> RowParams params_of(const Attrs& attrs) {
  RowParams params;
  params.set(with<F>(attrs));
  return params;
}

template <class F, int cost> std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!request.post.empty())
    return chain_kernel(request, {block<cast_, float, Half>, block<cast_, Half, float>}, cost);
  RowBlock* f = pick<F>(typename F::types::pairs(), request.in.back().dtype, request.out[0].dtype);
  return f ? row_kernel(request, f, params_of<F>(request.attrs), row_grain(cost)) : nullptr;
}

constexpr KernelRow rows[] = {
#define TL_ROW(id, facts) {&ops::id, #id, make<id##_, Facts facts.cost>},
#define TL_UNARY(id, types, attrs, y, dx, sentence, ...) TL_ROW(id, ({__VA_ARGS__}))
#define TL_BINARY(id, types, attrs, y, da, db, sentence, ...) TL_ROW(id, ({__VA_ARGS__}))
#define TL_TERNARY TL_BINARY
#include "op/elementwise.def"
#undef TL_ROW
};

// ---- rows inside other kernels

template <class F> void post_unary(const RowParams& params, float* x, const float*, bool, std::int64_t n) {
  apply(params.get<F>(), n, x, static_cast<const float*>(x));
}

template <class F, bool swapped> HWY_INLINE Real combine(const F& f, Real x, Real operand) {
  return swapped ? f.y(operand, x) : f.y(x, operand);
}

template <class F, bool swapped>
void post_binary(const RowParams& params, float* x, const float* operand, bool one, std::int64_t n) {
  F f = params.get<F>();
  std::int64_t i = 0;
  if (one) {
    Real b = static_cast<double>(*operand);
    for (; i + lanes <= n; i += lanes) store(combine<F, swapped>(f, load(x + i), b), x + i);
    if (i < n) store_some(combine<F, swapped>(f, load_some(x + i, n - i), b), x + i, n - i);
    return;
  }
  for (; i + lanes <= n; i += lanes) store(combine<F, swapped>(f, load(x + i), load(operand + i)), x + i);
  if (i < n)
    store_some(combine<F, swapped>(f, load_some(x + i, n - i), load_some(operand + i, n - i)), x + i, n - i);
}

struct PostRow {
  const OpDef* op;
  int inputs;
  PostBlock::Run* run[2];  // as written, and with the operand first
  RowParams (*params)(const Attrs&);
};

template <class F> constexpr PostRow post_row(const OpDef* op) {
  if constexpr (!std::is_same_v<typename F::types, floats> && !std::is_same_v<typename F::types, numbers>)
    return {op, 0, {}, nullptr};
  else if constexpr (F::inputs == 1) return {op, 1, {post_unary<F>, nullptr}, params_of<F>};
  else return {op, 2, {post_binary<F, false>, post_binary<F, true>}, params_of<F>};
}

constexpr PostRow post_rows[] = {
#define TL_UNARY(id, ...) post_row<id##_>(&ops::id),
#define TL_BINARY TL_UNARY
#define TL_TERNARY(...)
#include "op/elementwise.def"
};

}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(elementwise)

#if HWY_ONCE
namespace tl {
namespace {

template <class Row, std::size_t n>
PostBlock::Run* find(const Row (&rows)[n], const PostOp& post, RowParams& params) {
  for (const Row& row : rows) {
    if (row.op != post.op || row.inputs != (post.operand < 0 ? 1 : 2)) continue;
    params = row.params(*post.attrs);
    return row.run[post.swapped];
  }
  return nullptr;
}

}  // namespace

PostBlock post_block(Isa isa, const PostOp& post) {
  PostBlock block;
  block.operand_ = post.operand >= 0;
#if defined(__x86_64__) && !defined(__AVX2__)
  block.run_ = isa >= Isa::avx512 ? find(N_AVX3::post_rows, post, block.params_)
               : isa >= Isa::avx2 ? find(N_AVX2::post_rows, post, block.params_)
                                  : find(N_SSE4::post_rows, post, block.params_);
#else
  (void)isa;
  block.run_ = find(HWY_NAMESPACE::post_rows, post, block.params_);
#endif
  return block;
}

}  // namespace tl
#endif
