// SPDX-License-Identifier: Apache-2.0
// Gathers, scatters: reading and writing at places that a tensor of indices names.
#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/formulas.h"
#include "op/index.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

std::int64_t product(std::span<const Dim> shape, std::size_t first, std::size_t end) {
  return volume(shape.subspan(first, end - first));
}

std::size_t batch_dims(const Attrs& attrs) {
  std::int64_t n = attrs.has("batch_dims") ? attrs.integer("batch_dims") : 0;
  return static_cast<std::size_t>(n);
}

}  // namespace

AxisRuns axis_runs(const Shape& large, const Shape& indices, const Attrs& attrs) {
  auto axis = static_cast<std::size_t>(wrap_axis(attrs.integer("axis"), large.size()));
  std::size_t batch = batch_dims(attrs);
  return {product(large, 0, batch), product(large, batch, axis), large[axis],
          product(large, axis + 1, large.size()), product(indices, batch, indices.size())};
}

AlongRuns along_runs(const Shape& large, const Shape& indices, const Attrs& attrs) {
  auto axis = static_cast<std::size_t>(wrap_axis(attrs.integer("axis"), large.size()));
  return {product(large, 0, axis), large[axis], product(large, axis + 1, large.size()), indices[axis]};
}

TupleRuns tuple_runs(const Shape& large, const Shape& indices, const Attrs& attrs) {
  std::size_t batch = batch_dims(attrs), depth = static_cast<std::size_t>(indices.back());
  TupleRuns runs;
  runs.batch = product(large, 0, batch);
  runs.each = product(indices, batch, indices.size() - 1);
  runs.inner = product(large, batch + depth, large.size());
  runs.depth = static_cast<int>(depth);
  for (std::size_t d = 0; d < depth; ++d) runs.lengths[d] = large[batch + d];
  return runs;
}

ScatterMode scatter_mode(const Attrs& attrs) {
  std::vector<std::string_view> modes = split(scatter_modes, ' ');
  return static_cast<ScatterMode>(std::find(modes.begin(), modes.end(), attrs.word("mode")) - modes.begin());
}

namespace {

void need_indices(const InferCall& call) {
  need(is_integer(call.type(1).dtype), text("indices must be integers, not {}", text_of(call.type(1))));
}

// Nothing can be read from, or written to, a dimension without elements.
void need_elements(Dim length, const Type& indices) {
  bool some = is_known(indices.shape) && volume(indices.shape) > 0;
  need(length != 0 || !some,
       text("indices are {}, but the dimension they index has no elements", text_of(indices)));
}

void need_same(const Shape& wanted, const Type& given, std::string_view what) {
  bool fits = wanted.size() == given.rank();
  for (std::size_t d = 0; fits && d < wanted.size(); ++d)
    fits = wanted[d] == given.shape[d] || !is_known(wanted[d]) || !is_known(given.shape[d]);
  need(fits, text("{} must be {}, not {}", what, text_of(wanted), text_of(given)));
}

std::size_t checked_batch(const InferCall& call, std::size_t most) {
  std::int64_t batch = call.attrs.has("batch_dims") ? call.attrs.integer("batch_dims") : 0;
  const Shape &x = call.type(0).shape, &indices = call.type(1).shape;
  need(batch >= 0 && static_cast<std::size_t>(batch) <= most,
       text("batch_dims is {}; it may be 0 to {}", batch, most));
  for (std::size_t d = 0; d < static_cast<std::size_t>(batch); ++d)
    need(x[d] == indices[d] || !is_known(x[d]) || !is_known(indices[d]),
         text("{} and {} differ in a batch dimension", text_of(call.type(0)), text_of(call.type(1))));
  return static_cast<std::size_t>(batch);
}

Type gathered(const InferCall& call) {
  need_indices(call);
  const Shape &x = call.type(0).shape, &indices = call.type(1).shape;
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), x.size()));
  std::size_t batch = checked_batch(call, std::min(axis, indices.size()));
  need_elements(x[axis], call.type(1));
  Shape out(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(axis));
  out.insert(out.end(), indices.begin() + static_cast<std::ptrdiff_t>(batch), indices.end());
  out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.end());
  return {call.type(0).dtype, out};
}

Type gathered_along(const InferCall& call) {
  need_indices(call);
  const Shape &x = call.type(0).shape, &indices = call.type(1).shape;
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), x.size()));
  Shape wanted = x;
  wanted[axis] = unknown;
  need_same(wanted, call.type(1), "indices");
  need_elements(x[axis], call.type(1));
  return {call.type(0).dtype, indices};
}

Type gathered_tuples(const InferCall& call) {
  need_indices(call);
  const Shape &x = call.type(0).shape, &indices = call.type(1).shape;
  need_rank(call, 1, 1, Move::most);
  std::size_t batch = checked_batch(call, std::min(indices.size() - 1, x.size()));
  Dim depth = indices.back();
  if (!is_known(depth)) return unranked(call.type(0).dtype);
  need(batch + static_cast<std::size_t>(depth) <= x.size() && depth <= Move::most,
       text("{} indices are more than {} has dimensions", depth, text_of(call.type(0))));
  for (std::size_t d = 0; d < static_cast<std::size_t>(depth); ++d) need_elements(x[batch + d], call.type(1));
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(batch) + depth, x.end());
  return {call.type(0).dtype, out};
}

template <auto shape> std::vector<Type> infer_gather(const InferCall& call) { return {shape(call)}; }

template <auto shape> std::vector<Type> infer_scatter(const InferCall& call) {
  need(call.type(0).dtype == call.type(2).dtype,
       text("cannot put {} into {}", text_of(call.type(2)), text_of(call.type(0))));
  if (Type part = shape(call); part.ranked) need_same(part.shape, call.type(2), "updates");
  return {call.type(0)};
}

struct ReferencePlace {
  bool validate;
  std::int64_t operator()(std::int64_t i, std::int64_t n) const {
    if (validate && (i < -n || i >= n))
      throw Error(Code::bad_input, text("index {} is outside a dimension of {}", i, n));
    return clamped_place(i, n);
  }
};

template <auto make_runs> void reference_gather(const ReferenceCall& call) {
  auto runs = make_runs(call.in[0]->shape, call.in[1]->shape, call.attrs);
  const double* x = call.in[0]->data.data();
  double* out = call.out[0].data.data();
  Numbers index(DType::f64, call.in[1]->data.data(), call.in[1]->size());
  runs.visit(index, 0, runs.count(), ReferencePlace{call.attrs.boolean("validate_indices")},
             [&](std::int64_t from, std::int64_t to) { std::copy_n(x + from, runs.run(), out + to); });
}

double combined(ScatterMode mode, double a, double b, bool whole) {
  switch (mode) {
    case ScatterMode::add: return a + b;
    case ScatterMode::sub: return a - b;
    case ScatterMode::mul: return a * b;
    case ScatterMode::div: return whole ? (b == 0 ? 0 : std::trunc(a / b)) : a / b;
    case ScatterMode::max: return std::max(a, b);
    case ScatterMode::min: return std::min(a, b);
    default: return b;
  }
}

template <auto make_runs> void reference_scatter(const ReferenceCall& call) {
  auto runs = make_runs(call.in[0]->shape, call.in[1]->shape, call.attrs);
  const double* updates = call.in[2]->data.data();
  std::vector<double>& out = call.out[0].data;
  out = call.in[0]->data;
  ScatterMode mode = scatter_mode(call.attrs);
  bool whole = !is_float(call.out[0].dtype);
  Numbers index(DType::f64, call.in[1]->data.data(), call.in[1]->size());
  runs.visit(index, 0, runs.count(), ReferencePlace{call.attrs.boolean("validate_indices")},
             [&](std::int64_t at, std::int64_t from) {
               for (std::int64_t i = 0; i < runs.run(); ++i) {
                 double& x = out[static_cast<std::size_t>(at + i)];
                 x = combined(mode, x, updates[from + i], whole);
               }
             });
}

Ex zeros_like(const Ex& x) { return emit(ops::fill_like, {x}, {{"value", 0.0}}); }

// What was read from a place goes back to it, added up.
template <const OpDef& scatter> std::vector<Ex> gather_gradient(const GradientCall& call) {
  Attrs attrs;
  if (call.attrs.has("axis")) attrs.set("axis", call.attrs.integer("axis"));
  attrs.set("mode", std::string("add"));
  std::array<Ex, 3> in{zeros_like(call.in[0]), call.in[1], call.grad[0]};
  return {emit(scatter, in, attrs), {}};
}

void need_known(const GradientCall& call) {
  if (!is_known(call.in[0].shape()) || !is_known(call.in[1].shape()))
    throw Error(Code::unsupported, "a gather with batch_dims is differentiable only where shapes are known");
}

// With a batch the indices are repeated for every element, so that each has its own.
std::vector<Ex> gather_axis_gradient(const GradientCall& call) {
  if (batch_dims(call.attrs) == 0) return gather_gradient<ops::scatter>(call);
  need_known(call);
  Place place = call.grad[0].place();
  AxisRuns r = axis_runs(call.in[0].shape(), call.in[1].shape(), call.attrs);
  auto reshape = [&](const Ex& x, Shape shape) {
    return emit(ops::reshape, {x, integers(place, std::move(shape))});
  };
  Ex each = emit(ops::tile,
                 {reshape(call.in[1], {r.batch, 1, r.each, 1}), integers(place, {1, r.middle, 1, r.inner})});
  Ex zeros = reshape(zeros_like(call.in[0]), {r.batch, r.middle, r.length, r.inner});
  Ex g = reshape(call.grad[0], {r.batch, r.middle, r.each, r.inner});
  Ex sum = emit(ops::scatter_along_axis, {zeros, each, g},
                {{"axis", std::int64_t{2}}, {"mode", std::string("add")}});
  return {reshape(sum, call.in[0].shape()), {}};
}

// With a batch each row of indices gets its place in the batch in front.
std::vector<Ex> gather_nd_gradient(const GradientCall& call) {
  std::size_t batch = batch_dims(call.attrs);
  if (batch == 0) return gather_gradient<ops::scatter_nd>(call);
  need_known(call);
  Shape rows = call.in[1].shape();
  rows.back() = static_cast<Dim>(batch);
  Shape stride = row_major(rows);
  std::vector<std::int64_t> places(static_cast<std::size_t>(volume(rows)));
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::size_t d = i % batch;
    places[i] = static_cast<std::int64_t>(i) / stride[d] % rows[d];
  }
  Ex front = constant(call.grad[0].place(), from_integers(places, call.in[1].type().dtype, rows));
  Ex whole = emit(ops::concat, {front, call.in[1]}, {{"axis", std::int64_t{-1}}});
  return {
      emit(ops::scatter_nd, {zeros_like(call.in[0]), whole, call.grad[0]}, {{"mode", std::string("add")}}),
      {}};
}

template <const OpDef& scatter, const OpDef& gather>
std::vector<Ex> scatter_gradient(const GradientCall& call) {
  ScatterMode mode = scatter_mode(call.attrs);
  if (mode > ScatterMode::sub)
    throw Error(Code::unsupported,
                text("a scatter with mode {} is not differentiable", call.attrs.word("mode")));
  Attrs axis;
  if (call.attrs.has("axis")) axis.set("axis", call.attrs.integer("axis"));
  std::array<Ex, 2> read{call.grad[0], call.in[1]};
  Ex updates = emit(gather, read, axis), data = call.grad[0];
  if (mode == ScatterMode::sub) updates = -updates;
  if (mode == ScatterMode::update) {
    std::array<Ex, 3> in{call.grad[0], call.in[1], zeros_like(call.in[2])};
    data = emit(scatter, in, call.attrs);
  }
  return {data, {}, updates};
}

// From iOS 17 on a negative index is outside: those that are known are written as what they mean.
void downgrade_gather(MilWrite& out) {
  constexpr int ios17 = 7;
  const Tensor* indices = out.constant("indices");
  const Type& x = out.graph.type(out.node.inputs[0]);
  if (out.opset < ios17 || !indices || !x.ranked || x.rank() == 0) return;
  Dim length = x.shape[static_cast<std::size_t>(wrap_axis(out.node.attrs.integer("axis"), x.rank()))];
  std::vector<std::int64_t> values = to_integers(*indices);
  bool negative = std::any_of(values.begin(), values.end(), [](std::int64_t i) { return i < 0; });
  if (!negative || !is_known(length)) return;
  for (std::int64_t& i : values) i += i < 0 ? length : 0;
  out.set("indices", from_integers(values, indices->dtype(), indices->shape()));
}

}  // namespace

namespace ops {

constinit const OpDef gather{
    .name = "gather",
    .doc = "The parts of x along an axis that indices name, in their order.",
    .inputs = {"x", "indices"},
    .attrs = {{"axis", AttrKind::integer, "0"},
              {"batch_dims", AttrKind::integer, "0"},
              {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_gather<gathered>,
    .gradient = gather_axis_gradient,
    .reference = reference_gather<axis_runs>,
    .mil = {.name = "gather",
            .downgrade = downgrade_gather,
            .parameters = {{.name = "batch_dims", .since = 6}, {.name = "validate_indices", .since = 7}},
            .narrow = 6},
    .samples = {{{"fp32[4, 3]", "int32[2, 2] -4..3"}},
                {{"fp32[2, 5, 3]", "int32[4] 0..4"}, "axis=1"},
                {{"fp32[2, 5, 3]", "int32[] 0..2"}, "axis=-1"},
                {{"fp32[2, 5, 3]", "int32[2, 4] 0..4"}, "axis=1, batch_dims=1"},
                {{"fp32[2, 3, 5]", "int32[2, 4] 0..4"}, "axis=-1, batch_dims=1, validate_indices=true"}},
};

constinit const OpDef gather_along_axis{
    .name = "gather_along_axis",
    .doc = "Elements of x, each at its own place but for the axis, where indices say which.",
    .inputs = {"x", "indices"},
    .attrs = {{"axis", AttrKind::integer, "0"}, {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_gather<gathered_along>,
    .gradient = gather_gradient<ops::scatter_along_axis>,
    .reference = reference_gather<along_runs>,
    .mil = {.name = "gather_along_axis",
            .parameters = {{.name = "validate_indices", .since = 7}},
            .narrow = 6},
    .samples = {{{"fp32[4, 3]", "int32[2, 3] -4..3"}},
                {{"fp32[2, 5, 3]", "int32[2, 7, 3] 0..4"}, "axis=1"},
                {{"fp32[2, 5]", "int32[2, 3] 0..4"}, "axis=-1, validate_indices=true"}},
};

constinit const OpDef gather_nd{
    .name = "gather_nd",
    .doc = "The parts of x at the places that the rows of indices are.",
    .inputs = {"x", "indices"},
    .attrs = {{"batch_dims", AttrKind::integer, "0"}, {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_gather<gathered_tuples>,
    .gradient = gather_nd_gradient,
    .reference = reference_gather<tuple_runs>,
    .mil = {.name = "gather_nd",
            .parameters = {{.name = "batch_dims", .since = 6}, {.name = "validate_indices", .since = 7}},
            .narrow = 6},
    .samples = {{{"fp32[3, 3, 2]", "int32[4, 2] -3..2"}},
                {{"fp32[3, 3]", "int32[2, 5, 2] 0..2"}},
                {{"fp32[2, 4, 3]", "int32[2, 5, 1] 0..3"}, "batch_dims=1"}},
};

constinit const OpDef scatter{
    .name = "scatter",
    .doc = "data with updates put, added, … at the places along an axis that indices name.",
    .inputs = {"data", "indices", "updates"},
    .attrs = {{"axis", AttrKind::integer, "0"},
              {"mode", AttrKind::word, "add", scatter_modes},
              {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_scatter<gathered>,
    .gradient = scatter_gradient<ops::scatter, ops::gather>,
    .reference = reference_scatter<axis_runs>,
    .mil = {.name = "scatter", .parameters = {{.name = "validate_indices", .since = 7}}},
    .samples = {{{"fp32[4, 3]", "int32[3] -4..3", "fp32[3, 3]"}},
                {{"fp32[2, 5, 3]", "int32[2] = [4, 1]", "fp32[2, 2, 3]"}, "axis=1, mode=update"},
                {{"fp32[2, 5]", "int32[3] 0..4", "fp32[2, 3]"}, "axis=-1, mode=sub"}},
};

constinit const OpDef scatter_along_axis{
    .name = "scatter_along_axis",
    .doc = "data with updates put, added, … each at its own place but for the axis, where indices say which.",
    .inputs = {"data", "indices", "updates"},
    .attrs = {{"axis", AttrKind::integer, "0"},
              {"mode", AttrKind::word, "add", scatter_modes},
              {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_scatter<gathered_along>,
    .gradient = scatter_gradient<ops::scatter_along_axis, ops::gather_along_axis>,
    .reference = reference_scatter<along_runs>,
    .mil = {.name = "scatter_along_axis", .parameters = {{.name = "validate_indices", .since = 7}}},
    .samples = {{{"fp32[4, 3]", "int32[2, 3] -4..3", "fp32[2, 3]"}},
                {{"fp32[2, 3]", "int32[2, 2] = [2, 0, 1, 2]", "fp32[2, 2]"}, "axis=1, mode=update"},
                {{"fp32[2, 5]", "int32[2, 3] 0..4", "fp32[2, 3]"}, "axis=-1, mode=sub"}},
};

constinit const OpDef scatter_nd{
    .name = "scatter_nd",
    .doc = "data with updates put, added, … at the places that the rows of indices are.",
    .inputs = {"data", "indices", "updates"},
    .attrs = {{"mode", AttrKind::word, "add", scatter_modes},
              {"validate_indices", AttrKind::boolean, "false"}},
    .infer = infer_scatter<gathered_tuples>,
    .gradient = scatter_gradient<ops::scatter_nd, ops::gather_nd>,
    .reference = reference_scatter<tuple_runs>,
    .mil = {.name = "scatter_nd", .parameters = {{.name = "validate_indices", .since = 7}}},
    .samples = {{{"fp32[3, 4, 2]", "int32[4, 2] -3..2", "fp32[4, 2]"}},
                {{"fp32[5, 2]", "int32[2, 1] = [4, 1]", "fp32[2, 2]"}, "mode=update"}},
};

}  // namespace ops
}  // namespace tl
