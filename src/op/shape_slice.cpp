// SPDX-License-Identifier: Apache-2.0
// Operations that take or replace a part: slices by index and by size, crops, sliding windows.
#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "op/infer.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {
namespace {

struct Part {  // of one dimension
  std::int64_t begin = 0, count = 0, stride = 1;
};

// The masks and strides of a slice, one call a dimension; dimensions past the end of `begin` are taken whole.
class SliceRule {
 public:
  SliceRule(const Attrs& attrs)
      : stride_(list(attrs, "stride")),
        begins_(list(attrs, "begin_mask")),
        ends_(list(attrs, "end_mask")),
        squeezes_(list(attrs, "squeeze_mask")) {}
  std::int64_t stride(std::size_t d) const {
    constexpr std::int64_t most = std::int64_t{1} << 50;  // longer than any dimension
    return std::clamp(at(stride_, d, 1), -most, most);
  }
  bool from_start(std::size_t d) const { return at(begins_, d, 0); }
  bool to_end(std::size_t d) const { return at(ends_, d, 0); }
  bool squeezed(std::size_t d) const { return at(squeezes_, d, 0); }

  // Python's slice of a dimension of n; a squeezed one is the element at begin.
  Part part(std::size_t d, std::int64_t n, std::int64_t begin, std::int64_t end) const {
    if (begin < 0) begin += n;
    if (squeezed(d)) return {begin, 1, 1};
    if (end < 0) end += n;
    std::int64_t step = stride(d), low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    begin = from_start(d) ? (step > 0 ? 0 : n - 1) : std::clamp(begin, low, std::max(low, high));
    end = to_end(d) ? (step > 0 ? n : -1) : std::clamp(end, low, std::max(low, high));
    std::int64_t distance = step > 0 ? end - begin : begin - end;
    std::int64_t count = distance > 0 ? (distance - 1) / std::abs(step) + 1 : 0;
    return {begin, count, count > 1 ? step : 1};
  }

  void check(std::size_t n, std::size_t rank) const {
    need(n <= rank, text("begin has {} entries for {} dimensions", n, rank));
    for (const auto* values : {stride_, begins_, ends_, squeezes_})
      need(!values || values->size() == n, text("begin has {} entries, so must stride and masks", n));
    for (std::size_t d = 0; d < n; ++d) need(stride(d) != 0, "a stride is 0");
  }

 private:
  static const std::vector<std::int64_t>* list(const Attrs& attrs, std::string_view name) {
    return attrs.has(name) ? &attrs.integers(name) : nullptr;
  }
  static std::int64_t at(const std::vector<std::int64_t>* values, std::size_t d, std::int64_t otherwise) {
    return values && d < values->size() ? (*values)[d] : otherwise;
  }
  const std::vector<std::int64_t>*stride_, *begins_, *ends_, *squeezes_;
};

using Values = std::optional<std::vector<std::int64_t>>;

// One dimension of a slice, as far as it can be told.
Dim sliced(const SliceRule& rule, std::size_t d, Dim n, const Values& begin, const Values& end) {
  bool whole_begin = rule.from_start(d) || (begin && (*begin)[d] == 0 && rule.stride(d) > 0);
  if (!is_known(n)) return whole_begin && rule.to_end(d) && std::abs(rule.stride(d)) == 1 ? n : unknown;
  if ((!begin && !rule.from_start(d)) || (!end && !rule.to_end(d))) return unknown;
  return rule.part(d, n, begin ? (*begin)[d] : 0, end ? (*end)[d] : 0).count;
}

// Length of begin and end; they may come at run time, but not how many they are.
std::size_t entries(const InferCall& call, std::size_t begin) {
  std::size_t rank = call.type(0).rank(), n = rank;
  for (std::size_t i : {begin, begin + 1}) {
    need_rank(call, i, 0, 1);
    if (call.type(i).rank() == 0) n = 1;
    else if (is_known(call.type(i).shape[0])) n = static_cast<std::size_t>(call.type(i).shape[0]);
  }
  for (std::size_t i : {begin, begin + 1})
    if (auto values = integer_values(call, i)) need(values->size() == n, "begin and end differ in length");
  return n;
}

Shape infer_slice(const InferCall& call, std::size_t first) {
  const Type& x = call.type(0);
  std::size_t n = entries(call, first);
  SliceRule rule(call.attrs);
  rule.check(n, x.rank());
  Values begin = integer_values(call, first), end = integer_values(call, first + 1);
  Shape out;
  for (std::size_t d = 0; d < x.rank(); ++d) {
    Dim dim = x.shape[d];
    if (d >= n) out.push_back(dim);
    else if (!rule.squeezed(d)) out.push_back(sliced(rule, d, dim, begin, end));
    else if (begin && is_known(dim))
      need((*begin)[d] >= -dim && (*begin)[d] < dim,
           text("index {} is outside dimension {} of {}", (*begin)[d], d, text_of(x)));
  }
  return out;
}

std::vector<Type> infer_slice_by_index(const InferCall& call) {
  return {{call.type(0).dtype, infer_slice(call, 1)}};
}

std::vector<Type> infer_slice_update(const InferCall& call) {
  const Type &x = call.type(0), &update = call.type(1);
  need(x.dtype == update.dtype, text("cannot put {} into {}", text_of(update), text_of(x)));
  Shape part = infer_slice(call, 2);
  bool fits = part.size() == update.rank();
  for (std::size_t d = 0; fits && d < part.size(); ++d)
    fits = part[d] == update.shape[d] || !is_known(part[d]) || !is_known(update.shape[d]);
  need(fits, text("the slice is {}, the update {}", text_of(part), text_of(update.shape)));
  return {x};
}

// Moves a begin that came at run time so that the part stays inside.
Part fitted(Part p, std::int64_t n) {
  std::int64_t step = std::abs(p.stride);
  p.count = n > 0 ? std::min(p.count, (n - 1) / step + 1) : 0;
  if (p.count <= 0) return {0, 0, p.stride};
  std::int64_t reach = (p.count - 1) * step;
  std::int64_t low = p.stride > 0 ? 0 : reach, high = p.stride > 0 ? n - 1 - reach : n - 1;
  p.begin = std::clamp(p.begin, low, high);
  return p;
}

// The part of `whole` that has the shape `part`, as a move from one to the other.
Move slice_move(const MoveCall& call, std::size_t first, const Shape& part, bool into) {
  const Shape& whole = call.in[0].shape;
  SliceRule rule(call.attrs);
  Numbers begin = call.number(first), end = call.number(first + 1);
  auto large = strides_of(whole), small = strides_of(part);
  Move m;
  std::size_t k = 0;
  for (std::size_t d = 0; d < whole.size(); ++d) {
    bool given = static_cast<std::int64_t>(d) < begin.size();
    auto at = static_cast<std::int64_t>(d);
    Part p = given ? rule.part(d, whole[d], begin[at], at < end.size() ? end[at] : 0) : Part{0, whole[d], 1};
    bool squeezed = given && rule.squeezed(d);
    if (!squeezed) p.count = part[k];
    p = fitted(p, whole[d]);
    (into ? m.to : m.from) += p.begin * large[d];
    std::int64_t large_step = p.stride * large[d], small_step = squeezed ? 0 : small[k];
    m.add(p.count, into ? small_step : large_step, into ? large_step : small_step);
    k += !squeezed;
  }
  return m;
}

Ex zeros_like(const Ex& x) { return emit(ops::fill_like, {x}, {{"value", 0.0}}); }

std::vector<Ex> slice_by_index_gradient(const GradientCall& call) {
  std::array<Ex, 4> in{zeros_like(call.in[0]), call.grad[0], call.in[1], call.in[2]};
  return {emit(ops::slice_update, in, call.attrs), {}, {}};
}

std::vector<Ex> slice_update_gradient(const GradientCall& call) {
  std::array<Ex, 4> without{call.grad[0], zeros_like(call.in[1]), call.in[2], call.in[3]};
  std::array<Ex, 3> part{call.grad[0], call.in[2], call.in[3]};
  return {emit(ops::slice_update, without, call.attrs), emit(ops::slice_by_index, part, call.attrs), {}, {}};
}

std::vector<Type> infer_slice_by_size(const InferCall& call) {
  const Type& x = call.type(0);
  need_rank(call, 1, 0, 1);
  need_rank(call, 2, 0, 1);
  Values begin = integer_values(call, 1), size = integer_values(call, 2);
  need((!begin || begin->size() == x.rank()) && (!size || size->size() == x.rank()),
       text("begin and size need an entry for each dimension of {}", text_of(x)));
  Type out(x.dtype, Shape(x.rank(), unknown));
  for (std::size_t d = 0; d < x.rank(); ++d) {
    Dim n = x.shape[d];
    std::int64_t wanted = size ? (*size)[d] : -2, from = begin ? (*begin)[d] : 0;
    if (begin && is_known(n) && from < 0) from += n;
    need(!begin || !is_known(n) || (from >= 0 && from <= n),
         text("begin {} is outside dimension {} of {}", from, d, text_of(x)));
    need(!size || wanted >= -1, text("size {} is negative", wanted));
    if (wanted >= 0) {
      need(!begin || !is_known(n) || wanted <= n - from,
           text("{} elements from {} pass the end of dimension {} of {}", wanted, from, d, text_of(x)));
      out.shape[d] = wanted;
    } else if (wanted == -1 && begin) {
      out.shape[d] = from == 0 ? n : is_known(n) ? n - from : unknown;
    }
  }
  return {out};
}

std::vector<Ex> slice_by_size_gradient(const GradientCall& call) {
  const Shape &x = call.in[0].shape(), &out = call.out[0].shape();
  const Tensor* begin = call.in[1].constant();
  if (!begin || !is_known(x) || !is_known(out))
    throw Error(Code::unsupported,
                "slice_by_size is differentiable only where begin and all shapes are known");
  std::vector<std::int64_t> first = to_integers(*begin), end(first.size());
  for (std::size_t d = 0; d < first.size(); ++d) {
    if (first[d] < 0) first[d] += x[d];
    end[d] = first[d] + out[d];
  }
  Place place = call.grad[0].place();
  return {emit(ops::slice_update,
               {zeros_like(call.in[0]), call.grad[0], integers(place, first), integers(place, end)}),
          {},
          {}};
}

std::vector<Type> infer_crop(const InferCall& call) {
  need_rank(call, 0, 2, Move::most);
  Type out = call.type(0);
  std::size_t rank = out.rank();
  std::string_view names[] = {"crop_height", "crop_width"};
  for (std::size_t k = 0; k < 2; ++k) {
    const auto& crop = call.attrs.integers(names[k]);
    need(crop.size() == 2 && std::min(crop[0], crop[1]) >= 0 &&
             std::max(crop[0], crop[1]) <= std::int64_t{1} << 40,
         text("{} needs two numbers that are not negative", names[k]));
    Dim& side = out.shape[rank - 2 + k];
    need(!is_known(side) || (crop[0] <= side && crop[1] <= side - crop[0]),
         text("{} takes more than there is of {}", names[k], text_of(call.type(0))));
    if (crop[0] + crop[1] > 0) side = is_known(side) ? side - crop[0] - crop[1] : unknown;
  }
  return {out};
}

std::vector<Ex> crop_gradient(const GradientCall& call) {
  const auto &h = call.attrs.integers("crop_height"), &w = call.attrs.integers("crop_width");
  return {emit(ops::pad, {call.grad[0], integers(call.grad[0].place(), {h[0], h[1], w[0], w[1]})})};
}

std::vector<Type> infer_sliding_windows(const InferCall& call) {
  Type out = call.type(0);
  auto axis = wrap_axis(call.attrs.integer("axis"), out.rank());
  std::int64_t size = call.attrs.integer("size"), stride = call.attrs.integer("stride");
  need(size >= 1 && stride >= 1, "size and stride must be positive");
  Dim& n = out.shape[static_cast<std::size_t>(axis)];
  need(!is_known(n) || size <= n,
       text("a window of {} is longer than dimension {} of {}", size, axis, text_of(call.type(0))));
  n = is_known(n) ? (n - size) / stride + 1 : unknown;
  out.shape.insert(out.shape.begin() + axis + 1, size);
  return {out};
}

// Every window adds to the elements that it read.
std::vector<Ex> sliding_windows_gradient(const GradientCall& call) {
  Shape shape = call.out[0].shape();
  if (!is_known(shape))
    throw Error(Code::unsupported, "sliding_windows is differentiable only where the shape is known");
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), shape.size() - 1));
  std::vector<std::int64_t> at;
  for (std::int64_t w = 0; w < shape[axis]; ++w)
    for (std::int64_t i = 0; i < shape[axis + 1]; ++i) at.push_back(w * call.attrs.integer("stride") + i);
  shape[axis] *= shape[axis + 1];
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
  Place place = call.grad[0].place();
  Ex flat = emit(ops::reshape, {call.grad[0], integers(place, shape)});
  return {emit(ops::scatter, {zeros_like(call.in[0]), integers(place, at), flat},
               {{"axis", static_cast<std::int64_t>(axis)}, {"mode", std::string("add")}})};
}

}  // namespace

void moves::slice_by_index(const MoveCall& call, const MoveSink& sink) {
  sink(slice_move(call, 1, call.out[0].shape, false));
}

void moves::slice_update(const MoveCall& call, const MoveSink& sink) {
  whole(call, sink);
  Move m = slice_move(call, 2, call.in[1].shape, true);
  m.input = 1;
  sink(m);
}

void moves::slice_by_size(const MoveCall& call, const MoveSink& sink) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  auto from = strides_of(in), to = strides_of(out);
  Numbers begin = call.number(1);
  Move m;
  for (std::size_t d = 0; d < in.size(); ++d) {
    std::int64_t first = begin[static_cast<std::int64_t>(d)];
    Part p = fitted({first < 0 ? first + in[d] : first, out[d], 1}, in[d]);
    m.from += p.begin * from[d];
    m.add(p.count, from[d], to[d]);
  }
  sink(m);
}

void moves::crop(const MoveCall& call, const MoveSink& sink) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  std::size_t rank = in.size();
  std::int64_t n = volume({in.data(), rank - 2}), h = in[rank - 2], w = in[rank - 1], oh = out[rank - 2],
               ow = out[rank - 1];
  Move m;
  m.from = call.attrs.integers("crop_height")[0] * w + call.attrs.integers("crop_width")[0];
  m.add(n, h * w, oh * ow);
  m.add(oh, w, ow);
  m.add(ow, 1, 1);
  sink(m);
}

void moves::sliding_windows(const MoveCall& call, const MoveSink& sink) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  auto axis = static_cast<std::size_t>(wrap_axis(call.attrs.integer("axis"), in.size()));
  auto from = strides_of(in), to = strides_of(out);
  Move m;
  for (std::size_t d = 0; d < out.size(); ++d) {
    std::int64_t step = d <= axis ? from[d] : from[d - 1];
    m.add(out[d], d == axis ? step * call.attrs.integer("stride") : step, to[d]);
  }
  sink(m);
}

namespace ops {

constinit const OpDef slice_by_index{
    .name = "slice_by_index",
    .doc =
        "From begin to end by stride in each dimension, as Python slices; masks leave out a begin or end, or "
        "take one index.",
    .inputs = {"x", "begin", "end"},
    .attrs = {{"stride", AttrKind::integers},
              {"begin_mask", AttrKind::integers},
              {"end_mask", AttrKind::integers},
              {"squeeze_mask", AttrKind::integers}},
    .infer = infer_slice_by_index,
    .gradient = slice_by_index_gradient,
    .reference = move_reference<moves::slice_by_index>,
    .mil = {.name = "slice_by_index",
            .parameters = {{.name = "begin_mask", .dtype = DType::boolean},
                           {.name = "end_mask", .dtype = DType::boolean},
                           {.name = "squeeze_mask", .dtype = DType::boolean}}},
    .samples = {{{"fp32[4, 5]", "int32[2] = [1, -4]", "int32[2] = [3, 5]"}},
                {{"fp32[4, 5, 3]", "int32[3] = [3, -1, 1]", "int32[3] = [0, -5, 2]"}, "stride=[-2, -1, 1]"},
                {{"fp32[4, 5, 3]", "int32[3] = [2, 3, 0]", "int32[3] = [3, 1, 0]"},
                 "stride=[-1, 2, 2], begin_mask=[1, 1, 0], end_mask=[1, 0, 1]"},
                {{"fp32[4, 5, 3]", "int32[3] = [-1, 1, 0]", "int32[3] = [0, 4, 2]"},
                 "squeeze_mask=[1, 0, 0]"},
                {{"fp32[4, 5]", "int32[2] = [0, 3]", "int32[2] = [0, 2]"},
                 "begin_mask=[0, 0], end_mask=[0, 0]"}},
};

constinit const OpDef slice_by_size{
    .name = "slice_by_size",
    .doc = "size elements from begin on in each dimension; size -1 goes to the end.",
    .inputs = {"x", "begin", "size"},
    .infer = infer_slice_by_size,
    .gradient = slice_by_size_gradient,
    .reference = move_reference<moves::slice_by_size>,
    .mil = {.name = "slice_by_size"},
    .samples = {{{"fp32[4, 5, 3]", "int32[3] = [1, -3, 0]", "int32[3] = [2, -1, 3]"}}},
};

constinit const OpDef slice_update{
    .name = "slice_update",
    .doc = "x with the slice that slice_by_index would take replaced by update.",
    .inputs = {"x", "update", "begin", "end"},
    .attrs = {{"stride", AttrKind::integers},
              {"begin_mask", AttrKind::integers},
              {"end_mask", AttrKind::integers},
              {"squeeze_mask", AttrKind::integers}},
    .infer = infer_slice_update,
    .gradient = slice_update_gradient,
    .reference = move_reference<moves::slice_update>,
    .mil = {.name = "slice_update",
            .since = 8,
            .parameters = {{.name = "begin_mask", .dtype = DType::boolean},
                           {.name = "end_mask", .dtype = DType::boolean},
                           {.name = "squeeze_mask", .dtype = DType::boolean}}},
    .samples = {{{"fp32[4, 5]", "fp32[2, 4]", "int32[2] = [1, -4]", "int32[2] = [3, 5]"}},
                {{"fp32[4, 5, 3]", "fp32[2, 3]", "int32[3] = [2, 4, 0]", "int32[3] = [0, 0, 0]"},
                 "stride=[1, -3, 1], begin_mask=[0, 0, 1], end_mask=[0, 0, 1], squeeze_mask=[1, 0, 0]"}},
};

constinit const OpDef crop{
    .name = "crop",
    .doc = "Without the given numbers of rows above and below and of columns left and right.",
    .inputs = {"x"},
    .attrs = {{"crop_height", AttrKind::integers, required}, {"crop_width", AttrKind::integers, required}},
    .infer = infer_crop,
    .gradient = crop_gradient,
    .reference = move_reference<moves::crop>,
    .mil = {.name = "crop"},
    .samples = {{{"fp32[2, 3, 5, 4]"}, "crop_height=[1, 2], crop_width=[0, 1]"}},
};

constinit const OpDef sliding_windows{
    .name = "sliding_windows",
    .doc = "The windows of a length along an axis; the place in the window is a new dimension after it.",
    .inputs = {"x"},
    .attrs = {{"axis", AttrKind::integer, required},
              {"size", AttrKind::integer, required},
              {"stride", AttrKind::integer, "1"}},
    .infer = infer_sliding_windows,
    .gradient = sliding_windows_gradient,
    .reference = move_reference<moves::sliding_windows>,
    .mil = {.name = "sliding_windows"},
    .samples = {{{"fp32[2, 7, 3]"}, "axis=1, size=3"}, {{"fp32[2, 8]"}, "axis=-1, size=4, stride=2"}},
};

}  // namespace ops
}  // namespace tl
