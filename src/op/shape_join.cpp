// SPDX-License-Identifier: Apache-2.0
// Operations that put tensors together, take them apart, repeat or surround them.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "op/infer.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {
namespace {

std::int64_t product(const Shape& shape, std::size_t first, std::size_t end) {
  std::int64_t n = 1;
  for (std::size_t d = first; d < end; ++d) n *= shape[d];
  return n;
}

// What two dimensions that must be equal are; throws Error if they cannot be.
Dim agreed(Dim a, Dim b, const Type& first, const Type& other) {
  need(a == b || !is_known(a) || !is_known(b), text("{} does not fit {}", text_of(other), text_of(first)));
  return is_known(a) ? a : is_known(b) ? b : a == unknown ? b : a;
}

std::vector<Type> infer_concat(const InferCall& call) {
  DType dtype = common_dtype(call);
  const Type& first = call.type(0);
  std::size_t n = call.types.size(), rank = first.rank();
  for (const Type& t : call.types)
    need(t.rank() == rank, text("{} does not fit {}: the ranks differ", text_of(t), text_of(first)));
  if (rank == 0) return {{dtype, {static_cast<Dim>(n)}}};
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), rank));
  bool interleave = call.attrs.boolean("interleave");
  Type out(dtype, first.shape);
  for (std::size_t i = 1; i < n; ++i)
    for (std::size_t d = 0; d < rank; ++d) {
      Dim more = call.type(i).shape[d];
      if (d == axis && !interleave)
        out.shape[d] = is_known(out.shape[d]) && is_known(more) ? out.shape[d] + more : unknown;
      else out.shape[d] = agreed(out.shape[d], more, first, call.type(i));
    }
  if (interleave) out.shape[axis] = multiply_dims(out.shape[axis], static_cast<Dim>(n));
  return {out};
}

std::vector<Ex> concat_gradient(const GradientCall& call) {
  std::size_t n = call.in.size(), rank = call.in[0].type().rank();
  std::int64_t axis = rank == 0 ? 0 : wrap_axis(call.attrs.integer("axis"), rank);
  std::vector<Ex> parts;
  if (rank > 0 && call.attrs.boolean("interleave")) {
    std::vector<std::int64_t> zero(rank, 0), every(rank, 1), masks(rank, 1);
    every[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(n);
    Ex end = integers(call.grad[0].place(), zero);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> begin = zero;
      begin[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(i);
      parts.push_back(emit(ops::slice_by_index, {call.grad[0], integers(call.grad[0].place(), begin), end},
                           {{"stride", every}, {"end_mask", masks}}));
    }
    return parts;
  }
  std::vector<std::int64_t> sizes;
  for (const Ex& x : call.in) sizes.push_back(rank == 0 ? 1 : x.shape()[static_cast<std::size_t>(axis)]);
  if (!is_known(sizes))
    throw Error(Code::unsupported,
                "concat is differentiable only where the lengths along its axis are known");
  std::array<Ex, 1> g{call.grad[0]};
  parts = emit_all(ops::split, g, attrs_of({{"split_sizes", sizes}, {"axis", axis}}));
  if (rank == 0)
    for (Ex& part : parts) part = emit(ops::squeeze, {part}, {{"axes", std::vector<std::int64_t>{0}}});
  return parts;
}

std::vector<std::int64_t> split_sizes(const Attrs& attrs, Dim n) {
  if (attrs.has("split_sizes")) return attrs.integers("split_sizes");
  need(attrs.has("num_splits"), "needs num_splits or split_sizes");
  std::int64_t parts = attrs.integer("num_splits");
  need(parts >= 1 && parts <= 1 << 16 && (!is_known(n) || n % parts == 0),
       text("cannot split {} into {} equal parts", n, parts));
  return std::vector<std::int64_t>(static_cast<std::size_t>(parts), is_known(n) ? n / parts : unknown);
}

std::vector<Type> infer_split(const InferCall& call) {
  const Type& x = call.type(0);
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), x.rank()));
  Dim n = x.shape[axis], sum = 0;
  std::vector<Type> out;
  for (std::int64_t size : split_sizes(call.attrs, n)) {
    need(size >= 0 || !call.attrs.has("split_sizes"), text("split size {} is negative", size));
    out.push_back(x);
    out.back().shape[axis] = size;
    sum = volume(std::array<Dim, 1>{add_dims(std::max<Dim>(sum, 0), std::max<Dim>(size, 0))});
  }
  need(!is_known(n) || sum == n,
       text("the split sizes make {}, dimension {} of {} is {}", sum, axis, text_of(x), n));
  return out;
}

std::vector<Ex> split_gradient(const GradientCall& call) {
  std::vector<Ex> parts;
  for (std::size_t i = 0; i < call.out.size(); ++i)
    parts.push_back(call.grad[i] ? call.grad[i] : emit(ops::fill_like, {call.out[i]}, {{"value", 0.0}}));
  return {emit(ops::concat, parts, attrs_of({{"axis", call.attrs.integer("axis")}}))};
}

std::vector<Type> infer_stack(const InferCall& call) {
  Type out(common_dtype(call), call.type(0).shape);
  std::int64_t axis = wrap_axis(call.attrs.integer("axis"), out.rank() + 1);
  for (const Type& t : call.types) {
    need(t.rank() == out.rank(), text("{} does not fit {}: the ranks differ", text_of(t), text_of(out)));
    for (std::size_t d = 0; d < out.rank(); ++d)
      out.shape[d] = agreed(out.shape[d], t.shape[d], call.type(0), t);
  }
  out.shape.insert(out.shape.begin() + axis, static_cast<Dim>(call.types.size()));
  return {out};
}

std::vector<Ex> stack_gradient(const GradientCall& call) {
  std::int64_t axis = wrap_axis(call.attrs.integer("axis"), call.out[0].type().rank());
  std::array<Ex, 1> g{call.grad[0]};
  std::vector<Ex> parts = emit_all(
      ops::split, g, attrs_of({{"num_splits", static_cast<std::int64_t>(call.in.size())}, {"axis", axis}}));
  for (Ex& part : parts) part = emit(ops::squeeze, {part}, {{"axes", std::vector<std::int64_t>{axis}}});
  return parts;
}

std::vector<Type> infer_tile(const InferCall& call) {
  const Type& x = call.type(0);
  need_rank(call, 0, 0, Move::most / 2);
  auto reps = integer_values(call, 1);
  if (!reps) return {{x.dtype, Shape(x.rank(), unknown)}};
  need(reps->size() == x.rank(),
       text("reps has {} entries, {} needs {}", reps->size(), text_of(x), x.rank()));
  Type out = x;
  for (std::size_t d = 0; d < x.rank(); ++d) {
    need((*reps)[d] >= 0, text("cannot repeat {} times", (*reps)[d]));
    out.shape[d] = multiply_dims(out.shape[d], (*reps)[d]);
  }
  if (out.is_concrete()) volume(out.shape);
  return {out};
}

// Each dimension of the output is a repeat and a dimension of x: the repeats are summed.
std::vector<Ex> tile_gradient(const GradientCall& call) {
  const Shape &in = call.in[0].shape(), &out = call.out[0].shape();
  if (!is_known(in) || !is_known(out))
    throw Error(Code::unsupported, "tile is differentiable only where shapes are known");
  std::vector<std::int64_t> both, repeats;
  for (std::size_t d = 0; d < in.size(); ++d) {
    repeats.push_back(static_cast<std::int64_t>(both.size()));
    both.push_back(in[d] > 0 ? out[d] / in[d] : 1);
    both.push_back(in[d]);
  }
  if (both.empty()) return {call.grad[0], {}};
  Ex split = emit(ops::reshape, {call.grad[0], integers(call.grad[0].place(), both)});
  return {emit(ops::reduce_sum, {split}, {{"axes", repeats}, {"keep_dims", false}}), {}};
}

std::vector<Type> infer_pad(const InferCall& call) {
  const Type& x = call.type(0);
  const std::string& mode = call.attrs.word("mode");
  need_rank(call, 1, 1, 2);
  auto pad = integer_values(call, 1);
  if (!pad) return {{x.dtype, Shape(x.rank(), unknown)}};
  need(pad->size() % 2 == 0 && pad->size() / 2 <= x.rank(),
       text("pad has {} entries; {} may have two for each dimension", pad->size(), text_of(x)));
  Type out = x;
  std::size_t first = x.rank() - pad->size() / 2;
  for (std::size_t k = 0; k < pad->size(); ++k) {
    Dim n = x.shape[first + k / 2];
    std::int64_t p = (*pad)[k];
    need(p >= 0 && p <= std::int64_t{1} << 32, text("cannot pad by {}", p));
    need(mode != "reflect" || !is_known(n) || p == 0 || p < n,
         text("a reflection of {} needs more than {} elements", p, n));
    need(mode != "replicate" || n != 0 || p == 0, "there is nothing to replicate");
    out.shape[first + k / 2] = add_dims(out.shape[first + k / 2], p);
  }
  if (out.is_concrete()) volume(out.shape);
  return {out};
}

struct Border {
  std::int64_t before = 0, after = 0;
};
using Borders = std::array<Border, Move::most>;

// Pads stand for the last dimensions; the output's shape is the law where they came at run time.
Borders borders(const MoveCall& call) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  Numbers pad = call.number(1);
  Borders all{};
  std::int64_t first = static_cast<std::int64_t>(in.size()) - pad.size() / 2;
  for (std::size_t d = 0; d < in.size(); ++d) {
    auto k = static_cast<std::int64_t>(d) - first;
    std::int64_t both = std::max<std::int64_t>(0, out[d] - in[d]);
    std::int64_t before = k >= 0 ? std::clamp<std::int64_t>(pad[2 * k], 0, both) : 0;
    all[d] = {before, both - before};
  }
  return all;
}

// The border as slabs: before and after in one dimension, over all of the later ones and the inside of the
// earlier.
void list_constant_border(const MoveCall& call, const Borders& border, const MoveSink& sink) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  auto stride = strides_of(out);
  std::int64_t corner = 0;
  for (std::size_t d = 0; d < in.size(); ++d) {
    for (bool after : {false, true}) {
      Move m;
      m.input = -1;
      m.to = corner + (after ? (border[d].before + in[d]) * stride[d] : 0);
      for (std::size_t e = 0; e < d; ++e) m.add(in[e], 0, stride[e]);
      m.add(after ? border[d].after : border[d].before, 0, stride[d]);
      for (std::size_t e = d + 1; e < out.size(); ++e) m.add(out[e], 0, stride[e]);
      sink(m);
    }
    corner += border[d].before * stride[d];
  }
}

struct PadWalk {  // of a pad that copies its border from the inside
  const MoveCall& call;
  const Borders& border;
  std::array<std::int64_t, Move::most> from, to;
  bool reflect;
  const MoveSink& sink;

  void list(std::size_t d, const Move& so_far) const {
    const Shape& in = call.in[0].shape;
    if (d == in.size()) return sink(so_far);
    std::int64_t n = in[d], before = border[d].before, after = border[d].after, step = reflect ? -from[d] : 0;
    part(d, so_far, {n, 0, before}, from[d]);
    part(d, so_far, {before, reflect ? before : 0, 0}, step);
    part(d, so_far, {after, reflect ? n - 2 : n - 1, before + n}, step);
  }
  void part(std::size_t d, Move m, const Axis& a,
            std::int64_t step) const {  // count, first in the source, first in the target
    if (a.count <= 0) return;
    m.from += a.from * from[d];
    m.to += a.to * to[d];
    m.add(a.count, step, to[d]);
    list(d + 1, m);
  }
};

std::vector<std::int64_t> pad_source(const std::string& mode, std::int64_t n, const Border& b) {
  std::vector<std::int64_t> source;
  for (std::int64_t i = -b.before; i < n + b.after; ++i) {
    std::int64_t inside = std::clamp<std::int64_t>(i, 0, n - 1);
    source.push_back(mode == "reflect" ? 2 * inside - i : inside);
  }
  return source;
}

std::vector<Ex> pad_gradient(const GradientCall& call) {
  const Tensor* pad = call.in[1].constant();
  if (!pad) throw Error(Code::unsupported, "pad is differentiable only where the amounts are constant");
  std::vector<std::int64_t> amount = to_integers(*pad);
  const std::string& mode = call.attrs.word("mode");
  Place place = call.grad[0].place();
  Shape shape = call.in[0].shape();
  std::size_t rank = shape.size(), first = rank - amount.size() / 2;
  if (mode == "constant") {
    std::vector<std::int64_t> begin(rank, 0), end(rank, 0), to_end(rank, 1);
    for (std::size_t k = 0; k < amount.size() / 2; ++k) {
      begin[first + k] = amount[2 * k];
      end[first + k] = -amount[2 * k + 1];
      to_end[first + k] = amount[2 * k + 1] == 0;
    }
    return {emit(ops::slice_by_index, {call.grad[0], integers(place, begin), integers(place, end)},
                 {{"end_mask", to_end}}),
            {}};
  }
  if (!is_known(shape)) throw Error(Code::unsupported, "pad is differentiable only where the shape is known");
  Ex g = call.grad[0];
  for (std::size_t k = 0; k < amount.size() / 2; ++k) {
    Shape inner = g.shape();
    inner[first + k] = shape[first + k];
    Ex zero = emit(ops::fill, {integers(place, inner)},
                   {{"value", 0.0}, {"dtype", std::string(name_of(g.type().dtype))}});
    Ex at = integers(place, pad_source(mode, shape[first + k], {amount[2 * k], amount[2 * k + 1]}));
    g = emit(ops::scatter, {zero, at, g},
             {{"axis", static_cast<std::int64_t>(first + k)}, {"mode", std::string("add")}});
  }
  return {g, {}};
}

}  // namespace

void moves::concat(const MoveCall& call, const MoveSink& sink) {
  const Shape& out = call.out[0].shape;
  std::size_t rank = call.in[0].rank();
  auto axis = static_cast<std::size_t>(rank == 0 ? 0 : wrap_axis(call.attrs.integer("axis"), rank));
  bool interleave = call.attrs.boolean("interleave") && rank > 0;
  auto n = static_cast<std::int64_t>(call.in.size());
  std::int64_t outer = product(out, 0, axis), inner = product(out, axis + 1, out.size()), at = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t length = rank == 0 ? 1 : call.in[static_cast<std::size_t>(i)].shape[axis];
    Move m;
    m.input = static_cast<int>(i);
    m.to = (interleave ? i : at) * inner;
    m.add(outer, length * inner, out[axis] * inner);
    m.add(length, inner, interleave ? n * inner : inner);
    m.add(inner, 1, 1);
    sink(m);
    at += length;
  }
}

void moves::split(const MoveCall& call, const MoveSink& sink) {
  const Shape& in = call.in[0].shape;
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), in.size()));
  std::int64_t outer = product(in, 0, axis), inner = product(in, axis + 1, in.size()), at = 0;
  for (std::size_t i = 0; i < call.out.size(); ++i) {
    std::int64_t length = call.out[i].shape[axis];
    Move m;
    m.output = static_cast<int>(i);
    m.from = at * inner;
    m.add(outer, in[axis] * inner, length * inner);
    m.add(length * inner, 1, 1);
    sink(m);
    at += length;
  }
}

void moves::stack(const MoveCall& call, const MoveSink& sink) {
  const Shape& in = call.in[0].shape;
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), in.size() + 1));
  std::int64_t outer = product(in, 0, axis), inner = product(in, axis, in.size());
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    Move m;
    m.input = static_cast<int>(i);
    m.to = static_cast<std::int64_t>(i) * inner;
    m.add(outer, inner, inner * static_cast<std::int64_t>(call.in.size()));
    m.add(inner, 1, 1);
    sink(m);
  }
}

void moves::tile(const MoveCall& call, const MoveSink& sink) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  auto from = strides_of(in), to = strides_of(out);
  Move m;
  for (std::size_t d = 0; d < in.size(); ++d) {
    m.add(in[d] > 0 ? out[d] / in[d] : 0, 0, to[d] * in[d]);
    m.add(in[d], from[d], to[d]);
  }
  sink(m);
}

void moves::pad(const MoveCall& call, const MoveSink& sink) {
  const std::string& mode = call.attrs.word("mode");
  Borders border = borders(call);
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  auto from = strides_of(in), to = strides_of(out);
  if (mode != "constant") return PadWalk{call, border, from, to, mode == "reflect", sink}.list(0, {});
  list_constant_border(call, border, sink);
  Move m;
  for (std::size_t d = 0; d < in.size(); ++d) {
    m.to += border[d].before * to[d];
    m.add(in[d], from[d], to[d]);
  }
  sink(m);
}

namespace ops {

constinit const OpDef concat{
    .name = "concat",
    .doc =
        "The inputs after one another along an axis, or element by element in turn; scalars make a vector.",
    .inputs = {{"values", Arity::many}},
    .attrs = {{"axis", AttrKind::integer, "0"}, {"interleave", AttrKind::boolean, "false"}},
    .infer = infer_concat,
    .gradient = concat_gradient,
    .reference = move_reference<moves::concat>,
    .mil = {.name = "concat"},
    .samples = {{{"fp32[2, 3]", "fp32[2, 1]", "fp32[2, 4]"}, "axis=-1"},
                {{"fp32[2, 3]", "fp32[1, 3]"}, "axis=0"},
                {{"fp32[2, 3, 2]", "fp32[2, 3, 2]"}, "axis=1, interleave=true"},
                {{"fp32[]", "fp32[]"}},
                {{"fp32[2, 0]", "fp32[2, 3]"}, "axis=1"}},
};

constinit const OpDef split{
    .name = "split",
    .doc = "Parts of x along an axis, one output each: num_splits equal ones, or of the sizes given.",
    .inputs = {"x"},
    .attrs = {{"num_splits", AttrKind::integer},
              {"split_sizes", AttrKind::integers},
              {"axis", AttrKind::integer, "0"}},
    .infer = infer_split,
    .gradient = split_gradient,
    .reference = move_reference<moves::split>,
    .mil = {.name = "split"},
    .samples = {{{"fp32[6, 2]"}, "num_splits=3"}, {{"fp32[2, 6]"}, "split_sizes=[1, 5, 0], axis=-1"}},
};

constinit const OpDef stack{
    .name = "stack",
    .doc = "The inputs side by side along a new axis.",
    .inputs = {{"values", Arity::many}},
    .attrs = {{"axis", AttrKind::integer, "0"}},
    .infer = infer_stack,
    .gradient = stack_gradient,
    .reference = move_reference<moves::stack>,
    .mil = {.name = "stack"},
    .samples = {{{"fp32[2, 3]", "fp32[2, 3]"}},
                {{"fp32[2, 3]", "fp32[2, 3]", "fp32[2, 3]"}, "axis=-1"},
                {{"fp32[]", "fp32[]"}}},
};

constinit const OpDef tile{
    .name = "tile",
    .doc = "x repeated reps[i] times along dimension i.",
    .inputs = {"x", "reps"},
    .infer = infer_tile,
    .gradient = tile_gradient,
    .reference = move_reference<moves::tile>,
    .mil = {.name = "tile"},
    .samples = {{{"fp32[2, 3]", "int32[2] = [3, 2]"}}, {{"fp32[2, 1, 3]", "int32[3] = [1, 4, 1]"}}},
};

constinit const OpDef pad{
    .name = "pad",
    .doc =
        "x with a border around its last dimensions: a constant, the inside mirrored, or its edge repeated.",
    .inputs = {"x", "pad"},
    .attrs = {{"mode", AttrKind::word, "constant", "constant reflect replicate"},
              {"constant_val", AttrKind::number, "0"}},
    .infer = infer_pad,
    .gradient = pad_gradient,
    .reference = move_reference<moves::pad>,
    .mil = {.name = "pad", .parameters = {{.name = "constant_val", .tied = true}}},
    .samples = {{{"fp32[2, 3, 4]", "int32[6] = [1, 0, 2, 1, 0, 3]"}, "constant_val=1.5"},
                {{"fp32[2, 3, 4]", "int32[4] = [2, 1, 3, 2]"}, "mode=reflect"},
                {{"fp32[2, 3, 4]", "int32[4] = [2, 1, 0, 5]"}, "mode=replicate"},
                {{"fp32[2, 3]", "int32[2] = [0, 0]"}}},
};

}  // namespace ops
}  // namespace tl
