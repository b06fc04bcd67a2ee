// SPDX-License-Identifier: Apache-2.0
// The block loop of elementwise rows, and their scalar kernels.
#include "op/row.h"

#include "base/error.h"
#include "ir/stored_type.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/scalar.h"

namespace tl {
namespace {

double plain(Half x) { return to_double(x); }
double plain(BFloat x) { return to_double(x); }
template <class T> T plain(T x) { return x; }

template <class To, class From> To stored(From x) {
  if constexpr (std::is_same_v<To, Half>) return to_half(static_cast<double>(x));
  else if constexpr (std::is_same_v<To, BFloat>) return to_bfloat(static_cast<double>(x));
  else return convert<To>(x);
}

template <class Visit> void with_wide(Kind kind, const Visit& visit) {
  if (kind == Kind::real) return visit(double{});
  if (kind == Kind::whole) return visit(std::int64_t{});
  visit(bool{});
}

// What a scalar block reads and writes, besides the row's own struct.
struct ScalarParams {
  alignas(8) std::array<std::byte, 32> row = {};
  RowBlock* wide = nullptr;
  std::array<DType, most_row_inputs> in = {};
  DType out = DType::f32;
  Kind gives = Kind::real;
  std::uint8_t inputs = 1;
};

struct WideBlock {
  alignas(64) std::byte bytes[block_size * 8];
};

void scalar_block(const RowParams& params, std::int64_t n, void* out, const void* const* in) {
  auto s = params.get<ScalarParams>();
  RowParams row;
  std::memcpy(row.bytes.data(), s.row.data(), s.row.size());
  WideBlock wide[most_row_inputs], result;
  const void* operands[most_row_inputs];
  for (std::size_t k = 0; k < s.inputs; ++k) {
    load_wide(s.in[k], static_cast<const std::byte*>(in[k]), n, wide[k].bytes);
    operands[k] = wide[k].bytes;
  }
  s.wide(row, n, result.bytes, operands);
  store_wide(s.gives, result.bytes, n, s.out, static_cast<std::byte*>(out));
}

class RowKernel final : public Kernel {
 public:
  RowKernel(const RowPlan& plan, std::int64_t grain) : plan_(plan), grain_(grain) {}
  void run(const KernelCall& call) const noexcept override {
    call.pool.ranges(plan_.size, grain_, [&](std::int64_t first, std::int64_t last) {
      plan_.run(call.in, call.out[0], first, last);
    });
  }

 private:
  RowPlan plan_;
  std::int64_t grain_;
};

int input_to_overwrite(const KernelRequest& request) {
  for (std::size_t k = 0; k < request.in.size(); ++k)
    if (request.in[k].shape == request.out[0].shape &&
        bits_of(request.in[k].dtype) == bits_of(request.out[0].dtype))
      return static_cast<int>(k);
  return -1;
}

std::unique_ptr<Kernel> kernel_of(const KernelRequest& request, const RowPlan& plan, std::int64_t grain) {
  if (!plan.fits() || !request.post.empty()) return nullptr;
  auto kernel = std::make_unique<RowKernel>(plan, grain);
  kernel->in_place = input_to_overwrite(request);
  kernel->flops = static_cast<double>(plan.size);
  return kernel;
}

}  // namespace

void load_wide(DType d, const std::byte* from, std::int64_t n, void* to) {
  with_stored_type(d, [&]<class T>(T) {
    with_wide(kind_of(d), [&]<class W>(W) {
      const T* x = reinterpret_cast<const T*>(from);
      for (std::int64_t i = 0; i < n; ++i) static_cast<W*>(to)[i] = static_cast<W>(plain(x[i]));
    });
  });
}

void store_wide(Kind kind, const void* from, std::int64_t n, DType d, std::byte* to) {
  with_stored_type(d, [&]<class T>(T) {
    with_wide(kind, [&]<class W>(W) {
      const W* x = static_cast<const W*>(from);
      for (std::int64_t i = 0; i < n; ++i) reinterpret_cast<T*>(to)[i] = stored<T>(x[i]);
    });
  });
}

RowPlan::RowPlan(RowBlock* f, const RowParams& p, std::span<const Type> in, const Type& out)
    : block(f), params(p), inputs(in.size()), out_bytes(bytes_of(out.dtype, 1)), size(volume(out.shape)) {
  TL_ASSERT(inputs <= most_row_inputs);
  for (std::size_t k = 0; k < inputs; ++k)
    operands[k] = Operand(in[k].shape, out.shape, bytes_of(in[k].dtype, 1));
}

bool RowPlan::fits() const {
  return block && std::all_of(operands.begin(), operands.begin() + static_cast<std::ptrdiff_t>(inputs),
                              [](const Operand& o) { return o.fits(); });
}

void RowPlan::run(const std::byte* const* in, std::byte* out, std::int64_t first,
                  std::int64_t last) const noexcept {
  WideBlock buffers[most_row_inputs];
  std::int64_t filled[most_row_inputs] = {};
  const void* blocks[most_row_inputs];
  for (std::int64_t at = first; at < last; at += block_size) {
    std::int64_t n = std::min(block_size, last - at);
    for (std::size_t k = 0; k < inputs; ++k)
      blocks[k] = operands[k].block(in[k], at, n, buffers[k].bytes, filled[k]);
    block(params, n, out + at * static_cast<std::int64_t>(out_bytes), blocks);
  }
}

std::int64_t row_grain(int cost) { return std::max<std::int64_t>(4096, 131072 / cost); }

std::unique_ptr<Kernel> row_kernel(const KernelRequest& request, RowBlock* block, const RowParams& params,
                                   std::int64_t grain) {
  return kernel_of(request, RowPlan(block, params, request.in, request.out[0]), grain);
}

RowPlan scalar_plan(const OpDef& op, const Attrs& attrs, std::span<const Type> in, const Type& out) {
  const ScalarRow* row = scalar_row(op);
  TL_ASSERT(row && !in.empty());
  Kind kind = kind_of(in.back().dtype);
  ScalarParams s{.wide = row->wide[static_cast<std::size_t>(kind)],
                 .out = out.dtype,
                 .gives = row->test ? Kind::truth : kind,
                 .inputs = static_cast<std::uint8_t>(in.size())};
  TL_ASSERT(s.wide);
  RowParams own = row->params(attrs, in.back().dtype == DType::f64), params;
  std::memcpy(s.row.data(), own.bytes.data(), s.row.size());
  for (std::size_t k = 0; k < in.size(); ++k) s.in[k] = in[k].dtype;
  params.set(s);
  return RowPlan(scalar_block, params, in, out);
}

Tensor run_row(const OpDef& op, const Attrs& attrs, std::span<const Tensor> in, const Type& out) {
  std::vector<Type> types;
  std::vector<const std::byte*> data;
  for (const Tensor& t : in) types.push_back(t.type()), data.push_back(t.data());
  RowPlan plan = scalar_plan(op, attrs, types, out);
  if (!plan.fits()) throw Error(Code::unsupported, "broadcasts over too many separate axes");
  Tensor result(out.dtype, out.shape);
  plan.run(data.data(), result.writable_data(), 0, plan.size);
  return result;
}

namespace {

std::unique_ptr<Kernel> make_scalar(const KernelRequest& request) {
  return kernel_of(request, scalar_plan(request.op, request.attrs, request.in, request.out[0]),
                   row_grain(64));
}

}  // namespace

KernelTable kernels::scalar(Isa) {
  static constexpr KernelRow rows[] = {
#define TL_UNARY(id, ...) {&ops::id, "scalar", make_scalar},
#define TL_BINARY TL_UNARY
#define TL_TERNARY TL_UNARY
#include "op/elementwise.def"
  };
  return rows;
}

}  // namespace tl
