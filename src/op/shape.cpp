// SPDX-License-Identifier: Apache-2.0
// Operations that keep the elements and their order, and give them another shape. `shape` reads it.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {

void moves::whole(const MoveCall& call, const MoveSink& sink) {
  Move m;
  m.add(std::min(volume(call.in[0].shape), volume(call.out[0].shape)), 1, 1);
  sink(m);
}

namespace {

// Where a reshape's dimensions come from: a number, a dimension of x, or whatever is left.
struct Target {
  Shape shape = {};
  Shape left = {};  // dimensions of x that were not copied
  std::optional<std::size_t> rest = {};
  std::int64_t numbers = 1;  // product of the dimensions given as numbers
};

Target read_target(const Shape& x, std::span<const std::int64_t> wanted) {
  Target t{{}, x, {}, 1};
  std::vector<bool> copied(x.size(), false);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::int64_t n = wanted[i];
    std::size_t from_right = wanted.size() - i;
    if (n == 0 && from_right <= x.size()) copied[x.size() - from_right] = true;
    if (n == 0) n = from_right <= x.size() ? x[x.size() - from_right] : 1;
    else if (n > 0) t.numbers = volume(std::array<Dim, 2>{t.numbers, n});
    else if (n == -1 && !t.rest) t.rest = i;
    else need(false, text("the shape {} has more than one -1, or less than that", text_of(wanted)));
    t.shape.push_back(n);
  }
  t.left.clear();
  for (std::size_t d = 0; d < x.size(); ++d)
    if (!copied[d]) t.left.push_back(x[d]);
  return t;
}

Shape reshaped(const Shape& x, std::span<const std::int64_t> wanted) {
  Target t = read_target(x, wanted);
  std::int64_t known = 1;
  Dim open = 0;
  std::size_t opens = 0;
  for (Dim d : t.left) {
    if (is_known(d)) known = volume(std::array<Dim, 2>{known, d});
    else open = d, ++opens;
  }
  bool fits = opens > 0 || (t.rest ? known % t.numbers == 0 : known == t.numbers);
  need(fits, text("{} cannot take the shape [{}]", text_of(x), join(wanted, ", ")));
  if (t.rest)
    t.shape[*t.rest] = opens == 0 ? known / t.numbers : opens == 1 && known == t.numbers ? open : unknown;
  return t.shape;
}

std::vector<Type> infer_reshape(const InferCall& call) {
  const Type& x = call.type(0);
  need_rank(call, 1, 0, 1);
  if (auto wanted = integer_values(call, 1)) return {{x.dtype, reshaped(x.shape, *wanted)}};
  Dim rank = call.type(1).rank() == 0 ? 1 : call.type(1).shape[0];
  if (!is_known(rank)) return {unranked(x.dtype)};
  return {{x.dtype, Shape(static_cast<std::size_t>(rank), unknown)}};
}

std::vector<Ex> reshape_back(const GradientCall& call) {
  std::vector<Ex> gradients(call.in.size());
  gradients[0] = emit(ops::reshape_like, {call.grad[0], call.in[0]},
                      {{"begins", std::vector<std::int64_t>{0}},
                       {"ends", std::vector<std::int64_t>{0}},
                       {"end_masks", std::vector<std::int64_t>{1}}});
  return gradients;
}

// Until iOS 16 a zero copies the dimension of the same index, and ranks must be equal: then that is the same
// as counting from the right.
void upgrade_reshape(MilNode& node) {
  constexpr int ios17 = 7;
  const Tensor* shape = node.constant("shape");
  if (node.opset >= ios17 || !shape || !node.type_of("x").ranked) return;
  std::vector<std::int64_t> wanted = to_integers(*shape);
  const Shape& x = node.type_of("x").shape;
  bool any = std::find(wanted.begin(), wanted.end(), 0) != wanted.end();
  if (!any) return;
  need(wanted.size() == x.size(),
       text("the shape {} has a 0, so its length must be the rank of {}", text_of(wanted), text_of(x)));
}

void downgrade_reshape(MilWrite& out) {
  constexpr int ios17 = 7;
  const Tensor* shape = out.constant("shape");
  const Type& x = out.graph.type(out.node.inputs[0]);
  if (!shape || (x.ranked && shape->size() == static_cast<std::int64_t>(x.rank()))) return;
  std::vector<std::int64_t> wanted = to_integers(*shape);
  if (std::find(wanted.begin(), wanted.end(), 0) != wanted.end()) out.need(ios17);
}

std::vector<Type> infer_reshape_like(const InferCall& call) {
  const auto &begins = call.attrs.integers("begins"), &ends = call.attrs.integers("ends");
  std::size_t refs = call.types.size() - 1;
  std::vector<std::int64_t> masks = call.attrs.integers_or("end_masks", refs, 0);
  need(begins.size() == refs && ends.size() == refs,
       text("takes a begin and an end for each of its {} reference tensors", refs));
  Type out(call.type(0).dtype, {});
  for (std::size_t r = 0; r < refs; ++r) {
    const Shape& shape = call.type(r + 1).shape;
    auto rank = static_cast<std::int64_t>(shape.size());
    auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
    std::int64_t end = masks[r] ? rank : place(ends[r]);
    for (std::int64_t d = place(begins[r]); d < end; ++d)
      out.shape.push_back(shape[static_cast<std::size_t>(d)]);
  }
  if (call.type(0).is_concrete() && out.is_concrete())
    need(volume(call.type(0).shape) == volume(out.shape),
         text("{} cannot take the shape {}", text_of(call.type(0)), text_of(out.shape)));
  return {out};
}

// The file has one scalar per reference tensor.
void upgrade_reshape_like(MilNode& node) {
  for (std::string_view name : {"begins", "ends", "end_masks"}) {
    auto found = node.inputs.find(name);
    if (found == node.inputs.end()) continue;
    std::vector<std::int64_t> values;
    for (ValueId v : found->second) {
      const Value& value = node.place.graph->value(v);
      need(value.is_constant(), text("'{}' must be constant", name));
      for (std::int64_t n : to_integers(value.constant)) values.push_back(n);
    }
    node.set(name, std::move(values));
    node.drop(name);
  }
}

void downgrade_reshape_like(MilWrite& out) {
  std::size_t refs = out.node.inputs.size() - 1;
  for (std::string_view name : {"begins", "ends", "end_masks"}) {
    std::vector<MilWrite::Operand> scalars;
    for (std::int64_t n : out.node.attrs.integers_or(name, refs, 0))
      scalars.emplace_back(from_integers({&n, 1}, name == "end_masks" ? DType::boolean : DType::i32, {}));
    out.set(name, std::move(scalars));
  }
}

std::vector<bool> chosen(std::span<const std::int64_t> axes, std::size_t rank) {
  std::vector<bool> is(rank, false);
  for (std::int64_t axis : axes) {
    auto a = static_cast<std::size_t>(wrap_axis(axis, rank));
    need(!is[a], text("axis {} is named twice", axis));
    is[a] = true;
  }
  return is;
}

std::vector<Type> infer_expand_dims(const InferCall& call) {
  const Type& x = call.type(0);
  const auto& axes = call.attrs.integers("axes");
  std::vector<bool> added = chosen(axes, x.rank() + axes.size());
  Type out(x.dtype, {});
  std::size_t next = 0;
  for (bool one : added) out.shape.push_back(one ? 1 : x.shape[next++]);
  return {out};
}

std::vector<Type> infer_squeeze(const InferCall& call) {
  const Type& x = call.type(0);
  bool all = !call.attrs.has("axes");
  if (all && !is_known(x.shape)) return {unranked(x.dtype)};
  std::vector<bool> named =
      all ? std::vector<bool>(x.rank(), true) : chosen(call.attrs.integers("axes"), x.rank());
  Type out(x.dtype, {});
  for (std::size_t d = 0; d < x.rank(); ++d)
    if (!named[d] || (is_known(x.shape[d]) && x.shape[d] != 1)) out.shape.push_back(x.shape[d]);
  return {out};
}

std::vector<Type> infer_flatten2d(const InferCall& call) {
  const Type& x = call.type(0);
  auto rank = static_cast<std::int64_t>(x.rank());
  std::int64_t axis = call.attrs.integer("axis");
  need(axis >= -rank && axis <= rank, text("axis {} is outside rank {}", axis, rank));
  if (axis < 0) axis += rank;
  Type out(x.dtype, {1, 1});
  for (std::int64_t d = 0; d < rank; ++d) {
    Dim& side = out.shape[d < axis ? 0 : 1];
    side = multiply_dims(side, x.shape[static_cast<std::size_t>(d)]);
  }
  return {out};
}

void evaluate_identity(const EvaluateCall& call) { call.out[0] = *call.in[0]; }

std::vector<Type> infer_shape(const InferCall& call) {
  return {{DType::i32, {static_cast<Dim>(call.type(0).rank())}}};
}

void reference_shape(const ReferenceCall& call) {
  const Shape& shape = call.in[0]->shape;
  call.out[0].shape = {static_cast<Dim>(shape.size())};
  call.out[0].data.assign(shape.begin(), shape.end());
}

std::vector<Ex> no_gradient(const GradientCall& call) { return std::vector<Ex>(call.in.size()); }
std::vector<Ex> same_gradient(const GradientCall& call) { return {call.grad[0]}; }

}  // namespace

namespace ops {

constinit const OpDef reshape{
    .name = "reshape",
    .doc =
        "The elements of x in another shape; -1 stands for what is left, 0 for x's dimension counted from "
        "the right.",
    .inputs = {"x", "shape"},
    .infer = infer_reshape,
    .gradient = reshape_back,
    .reference = move_reference<moves::whole>,
    .traits = Traits::view,
    .mil = {.name = "reshape", .upgrade = upgrade_reshape, .downgrade = downgrade_reshape},
    .samples = {{{"fp32[2, 3, 4]", "int32[2] = [4, 6]"}},
                {{"fp32[2, 3, 4]", "int32[3] = [-1, 0, 2]"}},
                {{"fp32[6]", "int32[3] = [0, 2, -1]"}}},
};

constinit const OpDef reshape_like{
    .name = "reshape_like",
    .doc = "The elements of x in the shape that ranges of dimensions of other tensors make together.",
    .inputs = {"x", {"ref_tensors", Arity::many}},
    .attrs = {{"begins", AttrKind::integers, required},
              {"ends", AttrKind::integers, required},
              {"end_masks", AttrKind::integers}},
    .infer = infer_reshape_like,
    .gradient = reshape_back,
    .reference = move_reference<moves::whole>,
    .traits = Traits::view,
    .mil = {.name = "reshape_like",
            .since = 6,
            .upgrade = upgrade_reshape_like,
            .downgrade = downgrade_reshape_like},
    .samples = {{{"fp32[6, 4]", "fp32[2, 3]", "fp32[5, 2, 2]"},
                 "begins=[0, 1], ends=[2, 0], end_masks=[0, 1]"}},
};

constinit const OpDef expand_dims{
    .name = "expand_dims",
    .doc = "Adds dimensions of length 1 at the given places of the output.",
    .inputs = {"x"},
    .attrs = {{"axes", AttrKind::integers, required}},
    .infer = infer_expand_dims,
    .gradient = reshape_back,
    .reference = move_reference<moves::whole>,
    .traits = Traits::view,
    .mil = {.name = "expand_dims"},
    .samples = {{{"fp32[2, 3]"}, "axes=[0, -1]"}, {{"fp32[]"}, "axes=[0]"}},
};

constinit const OpDef squeeze{
    .name = "squeeze",
    .doc = "Removes dimensions of length 1: the given ones, or all.",
    .inputs = {"x"},
    .attrs = {{"axes", AttrKind::integers}},
    .infer = infer_squeeze,
    .gradient = reshape_back,
    .reference = move_reference<moves::whole>,
    .traits = Traits::view,
    .mil = {.name = "squeeze"},
    .samples = {{{"fp32[1, 3, 1]"}}, {{"fp32[1, 3, 1]"}, "axes=[-1]"}, {{"fp32[1, 1]"}}},
};

constinit const OpDef flatten2d{
    .name = "flatten2d",
    .doc = "A matrix: the dimensions before axis make its rows, the others its columns.",
    .inputs = {"x"},
    .attrs = {{"axis", AttrKind::integer, "1"}},
    .infer = infer_flatten2d,
    .gradient = reshape_back,
    .reference = move_reference<moves::whole>,
    .traits = Traits::view,
    .mil = {.name = "flatten2d"},
    .samples = {{{"fp32[2, 3, 4]"}}, {{"fp32[2, 3, 4]"}, "axis=0"}, {{"fp32[2, 3, 4]"}, "axis=-1"}},
};

constinit const OpDef identity{
    .name = "identity",
    .doc = "Its input, of whatever kind.",
    .inputs = {"x"},
    .infer = like_first_input,
    .gradient = same_gradient,
    .evaluate = evaluate_identity,
    .traits = Traits::view,
    .mil = {.name = "identity"},
    .samples = {{{"fp32[2, 3]"}}},
};

constinit const OpDef shape{
    .name = "shape",
    .doc = "The lengths of x's dimensions.",
    .inputs = {"x"},
    .infer = infer_shape,
    .gradient = no_gradient,
    .reference = reference_shape,
    .mil = {.name = "shape"},
    .samples = {{{"fp32[2, 3, 0]"}}, {{"fp32[]"}}},
};

}  // namespace ops
}  // namespace tl
