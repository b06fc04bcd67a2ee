// SPDX-License-Identifier: Apache-2.0
// Tensors made from little: constants of a shape, ranges.
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {

void moves::fill(const MoveCall& call, const MoveSink& sink) {
  Move m;
  m.input = -1;
  m.add(volume(call.out[0].shape), 0, 1);
  sink(m);
}

namespace {

std::vector<Ex> no_gradient(const GradientCall& call) { return std::vector<Ex>(call.in.size()); }

std::vector<Type> infer_fill(const InferCall& call) {
  DType dtype = call.attrs.dtype("dtype");
  need_rank(call, 0, 0, 1);
  if (auto shape = integer_values(call, 0)) {
    for (std::int64_t d : *shape)
      need(d >= 0, text("the shape {} has a negative dimension", text_of(*shape)));
    volume(*shape);
    return {{dtype, *shape}};
  }
  Dim rank = call.type(0).rank() == 0 ? 1 : call.type(0).shape[0];
  if (!is_known(rank)) return {unranked(dtype)};
  return {{dtype, Shape(static_cast<std::size_t>(rank), unknown)}};
}

std::vector<Type> infer_fill_like(const InferCall& call) {
  const Type& like = call.type(0);
  return {{call.attrs.has("dtype") ? call.attrs.dtype("dtype") : like.dtype, like.shape}};
}

// In MIL the element type is that of the value.
void upgrade_fill(MilNode& node) {
  DType dtype = node.input("value") == no_value ? DType::f32 : node.type_of("value").dtype;
  node.set("dtype", std::string(name_of(dtype)));
}

struct Range {
  double end, start, step;
  std::int64_t count() const {
    double n = std::ceil((end - start) / step);
    need(step != 0 && !std::isnan(n), text("there is no range from {} to {} by {}", start, end, step));
    if (n <= 0) return 0;
    need(n < 0x1p40, text("the range from {} to {} by {} is too long", start, end, step));
    return static_cast<std::int64_t>(n);
  }
};

std::vector<Type> infer_range_1d(const InferCall& call) {
  DType dtype = common_dtype(call);
  std::array<double, 3> v{};
  bool known = true;
  for (std::size_t i = 0; i < 3; ++i) {
    need(!call.type(i).is_concrete() || volume(call.type(i).shape) == 1,
         text("takes single numbers, not {}", text_of(call.type(i))));
    known = known && call.value(i);
    if (known) v[i] = to_doubles(*call.value(i)).front();
  }
  return {{dtype, {known ? Range{v[0], v[1], v[2]}.count() : unknown}}};
}

void reference_range_1d(const ReferenceCall& call) {
  Range range{call.in[0]->data.at(0), call.in[1]->data.at(0), call.in[2]->data.at(0)};
  std::int64_t n = range.count();
  call.out[0].shape = {n};
  call.out[0].data.resize(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    call.out[0].data[static_cast<std::size_t>(i)] = range.start + static_cast<double>(i) * range.step;
}

}  // namespace

void downgrade_dtype(MilWrite& out) {
  DType dtype = out.graph.type(out.node.outputs.front()).dtype;
  out.drop("dtype");
  for (const auto& [name, value] : out.node.attrs)
    if (const double* number = std::get_if<double>(&value)) out.set(name, scalar(*number, dtype));
}

namespace ops {

constinit const OpDef fill{
    .name = "fill",
    .doc = "A tensor of a shape whose elements all have one value.",
    .inputs = {"shape"},
    .attrs = {{"value", AttrKind::number, "0"}, {"dtype", AttrKind::word, "fp32"}},
    .infer = infer_fill,
    .gradient = no_gradient,
    .reference = move_reference<moves::fill>,
    .mil = {.name = "fill", .upgrade = upgrade_fill, .downgrade = downgrade_dtype},
    .samples = {{{"int32[3] = [2, 1, 3]"}, "value=1.5"},
                {{"int32[1] = [4]"}, "value=-3, dtype=int32"},
                {{"int32[2] = [0, 3]"}}},
};

constinit const OpDef fill_like{
    .name = "fill_like",
    .doc =
        "A tensor of another's shape whose elements all have one value; its element type too, unless one is "
        "named.",
    .inputs = {"ref_tensor"},
    .attrs = {{"value", AttrKind::number, "0"}, {"dtype", AttrKind::word}},
    .infer = infer_fill_like,
    .gradient = no_gradient,
    .reference = move_reference<moves::fill>,
    .mil = {.name = "fill_like", .since = 6, .upgrade = upgrade_fill, .downgrade = downgrade_dtype},
    .samples = {{{"fp32[2, 3]"}, "value=2"}, {{"fp32[2, 3]"}, "value=1, dtype=bool"}},
};

constinit const OpDef range_1d{
    .name = "range_1d",
    .doc = "start, start + step, … before end.",
    .inputs = {"end", "start", "step"},
    .infer = infer_range_1d,
    .gradient = no_gradient,
    .reference = reference_range_1d,
    .mil = {.name = "range_1d"},
    .samples = {{{"fp32[] = 5", "fp32[] = 1", "fp32[] = 1.5"}},
                {{"int32[] = -4", "int32[] = 3", "int32[] = -2"}},
                {{"int32[] = 1", "int32[] = 3", "int32[] = 1"}}},
};

}  // namespace ops
}  // namespace tl
