// SPDX-License-Identifier: Apache-2.0
// Operations on order and place along an axis: sorts, running sums, bands, one-hot codes, what is not zero.
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/index.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {

AxisView axis_view(const Shape& shape, std::int64_t axis_given) {
  auto axis = static_cast<std::size_t>(wrap_axis(axis_given, shape.size()));
  std::span<const Dim> all(shape);
  return {volume(all.first(axis)), shape[axis], volume(all.subspan(axis + 1))};
}

namespace {

std::vector<Ex> no_gradient(const GradientCall& call) { return std::vector<Ex>(call.in.size()); }

// Calls line(first, step) for every line along the axis: where it begins, from element to element.
template <class Line> void each_line(const AxisView& v, const Line& line) {
  for (std::int64_t o = 0; o < v.outer; ++o)
    for (std::int64_t i = 0; i < v.inner; ++i) line(o * v.length * v.inner + i, v.inner);
}

std::vector<std::int32_t> sorted(const Array& x, std::int64_t first, std::int64_t step, std::int64_t n,
                                 bool ascending) {
  std::vector<double> key(static_cast<std::size_t>(n));
  for (std::size_t j = 0; j < key.size(); ++j)
    key[j] = x.data[static_cast<std::size_t>(first) + j * static_cast<std::size_t>(step)];
  std::vector<std::int32_t> order(key.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), Before{key.data(), ascending});
  return order;
}

// ---- topk, argsort

std::vector<Type> infer_topk(const InferCall& call) {
  Type values = call.type(0);
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), values.rank()));
  std::int64_t k = call.attrs.integer("k");
  Dim& n = values.shape[axis];
  need(k >= -1 && (!is_known(n) || k <= n),
       text("k is {}, dimension {} of {} has {}", k, axis, text_of(call.type(0)), n));
  if (k != -1) n = k;
  if (!call.attrs.boolean("return_indices")) return {values};
  return {values, {call.attrs.dtype("output_indices_dtype"), values.shape}};
}

void reference_topk(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  AxisView all = axis_view(x.shape, call.attrs.integer("axis")),
           some = axis_view(call.out[0].shape, call.attrs.integer("axis"));
  std::int64_t row = 0;
  each_line(all, [&](std::int64_t first, std::int64_t step) {
    std::vector<std::int32_t> order = sorted(x, first, step, all.length, call.attrs.boolean("ascending"));
    std::int64_t to = row / some.inner * some.length * some.inner + row % some.inner;
    ++row;
    for (std::int64_t j = 0; j < some.length; ++j, to += step) {
      std::int32_t at = order[static_cast<std::size_t>(j)];
      call.out[0].data[static_cast<std::size_t>(to)] = x.data[static_cast<std::size_t>(first + at * step)];
      if (call.out.size() > 1) call.out[1].data[static_cast<std::size_t>(to)] = at;
    }
  });
}

std::vector<Ex> topk_gradient(const GradientCall& call) {
  if (!call.grad[0]) return {{}};
  Attrs attrs = call.attrs;
  attrs.set("return_indices", true);
  std::array<Ex, 1> x{call.in[0]};
  Ex indices = call.out.size() > 1 ? call.out[1] : emit_all(ops::topk, x, attrs)[1];
  Ex zero = emit(ops::fill_like, {call.in[0]}, {{"value", 0.0}});
  return {emit(ops::scatter_along_axis, {zero, indices, call.grad[0]},
               {{"axis", call.attrs.integer("axis")}, {"mode", std::string("add")}})};
}

std::vector<Type> infer_argsort(const InferCall& call) {
  wrap_axis(call.attrs.integer("axis"), call.type(0).rank());
  return {{DType::i32, call.type(0).shape}};
}

void reference_argsort(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  AxisView v = axis_view(x.shape, call.attrs.integer("axis"));
  each_line(v, [&](std::int64_t first, std::int64_t step) {
    for (std::int32_t at : sorted(x, first, step, v.length, call.attrs.boolean("ascending"))) {
      call.out[0].data[static_cast<std::size_t>(first)] = at;
      first += step;
    }
  });
}

// ---- cumsum, band_part

std::vector<Type> infer_cumsum(const InferCall& call) {
  wrap_axis(call.attrs.integer("axis"), call.type(0).rank());
  return {call.type(0)};
}

void reference_cumsum(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  AxisView v = axis_view(x.shape, call.attrs.integer("axis"));
  bool exclusive = call.attrs.boolean("exclusive"), reverse = call.attrs.boolean("reverse");
  each_line(v, [&](std::int64_t first, std::int64_t step) {
    double sum = 0;
    for (std::int64_t j = 0; j < v.length; ++j) {
      auto at = static_cast<std::size_t>(first + (reverse ? v.length - 1 - j : j) * step);
      double before = sum;
      sum += x.data[at];
      call.out[0].data[at] = exclusive ? before : sum;
    }
  });
}

std::vector<Ex> cumsum_gradient(const GradientCall& call) {
  Attrs attrs = call.attrs;
  attrs.set("reverse", !attrs.boolean("reverse"));
  std::array<Ex, 1> g{call.grad[0]};
  return {emit(ops::cumsum, g, attrs)};
}

std::vector<Type> infer_band_part(const InferCall& call) {
  need_rank(call, 0, 2, Move::most);
  return {call.type(0)};
}

void reference_band_part(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  std::int64_t lower = call.attrs.integer("lower"), upper = call.attrs.integer("upper");
  std::int64_t rows = x.shape[x.shape.size() - 2], columns = x.shape.back();
  for (std::int64_t i = 0; i < x.size(); ++i) {
    std::int64_t m = i / columns % rows, n = i % columns;
    bool keep = (lower < 0 || m - n <= lower) && (upper < 0 || n - m <= upper);
    call.out[0].data[static_cast<std::size_t>(i)] = keep ? x.data[static_cast<std::size_t>(i)] : 0;
  }
}

std::vector<Ex> band_part_gradient(const GradientCall& call) {
  std::array<Ex, 1> g{call.grad[0]};
  return {emit(ops::band_part, g, call.attrs)};
}

// ---- one_hot, non_zero

std::vector<Type> infer_one_hot(const InferCall& call) {
  need(is_integer(call.type(0).dtype), text("indices must be integers, not {}", text_of(call.type(0))));
  Type out(call.attrs.dtype("dtype"), call.type(0).shape);
  std::int64_t axis = wrap_axis(call.attrs.integer("axis"), out.rank() + 1);
  Dim length = unknown;
  if (auto size = integer_values(call, 1)) {
    need(size->size() == 1 && size->front() >= 0,
         "one_hot_vector_size must be one number that is not negative");
    length = size->front();
  }
  out.shape.insert(out.shape.begin() + axis, length);
  if (out.is_concrete()) volume(out.shape);
  return {out};
}

void reference_one_hot(const ReferenceCall& call) {
  AxisView v = axis_view(call.out[0].shape, call.attrs.integer("axis"));
  double on = call.attrs.number("on_value"), off = call.attrs.number("off_value");
  std::int64_t row = 0;
  each_line(v, [&](std::int64_t first, std::int64_t step) {
    double hot = call.in[0]->data[static_cast<std::size_t>(row++)];
    for (std::int64_t j = 0; j < v.length; ++j)
      call.out[0].data[static_cast<std::size_t>(first + j * step)] = static_cast<double>(j) == hot ? on : off;
  });
}

// In MIL the element type is that of on_value.
void upgrade_one_hot(MilNode& node) {
  std::string_view dtype = "int32";
  for (std::string_view name : {"off_value", "on_value"})
    if (node.input(name) != no_value) dtype = name_of(node.type_of(name).dtype);
  node.set("dtype", std::string(dtype));
}

std::vector<Type> infer_non_zero(const InferCall& call) {
  return {{DType::i32, {unknown, static_cast<Dim>(call.type(0).rank())}}};
}

void reference_non_zero(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  Shape stride = row_major(x.shape);
  std::vector<double>& out = call.out[0].data;
  out.clear();
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (x.data[static_cast<std::size_t>(i)] == 0) continue;
    ++found;
    for (std::size_t d = 0; d < stride.size(); ++d)
      out.push_back(static_cast<double>(i / stride[d] % x.shape[d]));
  }
  call.out[0].shape = {found, static_cast<Dim>(x.shape.size())};
}

void downgrade_topk(MilWrite& out) {
  constexpr int ios17 = 7;
  if (out.node.attrs.integer("k") < 0) out.need(ios17);  // all of them
}

}  // namespace

namespace ops {

constinit const OpDef topk{
    .name = "topk",
    .doc =
        "The k largest elements along an axis, largest first, and their places; ascending: the smallest. k = "
        "-1: all.",
    .inputs = {"x"},
    .attrs = {{"k", AttrKind::integer, "1"},
              {"axis", AttrKind::integer, "-1"},
              {"ascending", AttrKind::boolean, "false"},
              {"sort", AttrKind::boolean, "true"},
              {"return_indices", AttrKind::boolean, "true"},
              {"output_indices_dtype", AttrKind::word, "int32", "int32 uint16"}},
    .outputs = {"values", "indices"},
    .infer = infer_topk,
    .gradient = topk_gradient,
    .reference = reference_topk,
    .mil = {.name = "topk",
            .downgrade = downgrade_topk,
            .parameters = {{.name = "sort", .since = 6},
                           {.name = "return_indices", .since = 6},
                           {.name = "output_indices_dtype", .since = 7}}},
    .samples = {{{"fp32[3, 7]"}, "k=3"},
                {{"fp32[2, 6, 3]"}, "k=2, axis=1, ascending=true"},
                {{"fp32[5]"}, "k=-1, output_indices_dtype=uint16"},
                {{"fp32[2, 4]"}, "k=2, return_indices=false"}},
};

constinit const OpDef argsort{
    .name = "argsort",
    .doc =
        "The places of the elements along an axis in order, largest first unless ascending; equal ones keep "
        "theirs.",
    .inputs = {"x"},
    .attrs = {{"axis", AttrKind::integer, "-1"}, {"ascending", AttrKind::boolean, "false"}},
    .infer = infer_argsort,
    .gradient = no_gradient,
    .reference = reference_argsort,
    .mil = {.name = "argsort"},
    .samples = {{{"fp32[3, 7]"}}, {{"fp32[2, 6, 3]"}, "axis=1, ascending=true"}},
};

constinit const OpDef cumsum{
    .name = "cumsum",
    .doc = "Running sums along an axis, with or without the element itself, from either end.",
    .inputs = {"x"},
    .attrs = {{"axis", AttrKind::integer, "0"},
              {"exclusive", AttrKind::boolean, "false"},
              {"reverse", AttrKind::boolean, "false"}},
    .infer = infer_cumsum,
    .gradient = cumsum_gradient,
    .reference = reference_cumsum,
    .mil = {.name = "cumsum"},
    .near_zero = 1e-6,
    .samples = {{{"fp32[5, 3]"}},
                {{"fp32[2, 6]"}, "axis=-1, exclusive=true"},
                {{"fp32[2, 6]"}, "axis=1, reverse=true"},
                {{"fp32[2, 6]"}, "axis=1, exclusive=true, reverse=true"}},
};

constinit const OpDef band_part{
    .name = "band_part",
    .doc =
        "The matrices of the last two dimensions, zero outside a band around the diagonal; -1 keeps a whole "
        "side.",
    .inputs = {"x"},
    .attrs = {{"lower", AttrKind::integer, "-1"}, {"upper", AttrKind::integer, "-1"}},
    .infer = infer_band_part,
    .gradient = band_part_gradient,
    .reference = reference_band_part,
    .mil = {.name = "band_part"},
    .samples = {{{"fp32[2, 4, 5]"}, "lower=1, upper=0"},
                {{"fp32[5, 4]"}, "lower=-1, upper=1"},
                {{"fp32[4, 4]"}}},
};

constinit const OpDef one_hot{
    .name = "one_hot",
    .doc = "For each index a vector of off_value with on_value at that place; an index outside gives none.",
    .inputs = {"indices", "one_hot_vector_size"},
    .attrs = {{"axis", AttrKind::integer, "-1"},
              {"on_value", AttrKind::number, "1"},
              {"off_value", AttrKind::number, "0"},
              {"dtype", AttrKind::word, "int32"}},
    .infer = infer_one_hot,
    .gradient = no_gradient,
    .reference = reference_one_hot,
    .mil = {.name = "one_hot", .upgrade = upgrade_one_hot, .downgrade = downgrade_dtype},
    .samples = {{{"int32[2, 3] -1..5", "int32[] = 4"}},
                {{"int32[2, 3] 0..3", "int32[] = 4"}, "axis=0, on_value=2.5, off_value=-1, dtype=fp32"},
                {{"int32[] 0..3", "int32[] = 4"}, "dtype=bool"}},
};

constinit const OpDef non_zero{
    .name = "non_zero",
    .doc = "The places of the elements that are not zero, in order, one row each.",
    .inputs = {"x"},
    .infer = infer_non_zero,
    .gradient = no_gradient,
    .reference = reference_non_zero,
    .mil = {.name = "non_zero"},
    .samples = {{{"int32[3, 4] 0..1"}}, {{"bool[7]"}}},
};

}  // namespace ops
}  // namespace tl
