// SPDX-License-Identifier: Apache-2.0
// Layers that make a blob from little: constants, ranges, one value, random numbers.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

// Where the shape of what is made stands: it is that of an input, a parameter, or what an input holds.
enum class ShapeFrom { like, parameter, input };

Ex shape_from(Layer& l, ShapeFrom from, std::uint32_t field) {
  need_inputs(l, from != ShapeFrom::parameter, from != ShapeFrom::parameter);
  if (from == ShapeFrom::like) return shape_of(l.in[0]);
  if (from == ShapeFrom::input) return int32(l.in[0]);
  Integers shape = l.params.integers(field);
  if (shape.empty()) shape = {1};
  if (std::any_of(shape.begin(), shape.end(), [](std::int64_t d) { return d < 0; }))
    throw Error(Code::bad_input, text("its shape {} has a negative dimension", text_of(shape)));
  volume(shape);
  return integers(l.place, std::move(shape));
}

Lowered filled(Layer& l, ShapeFrom from) {
  return {emit(ops::fill, {shape_from(l, from, 2)}, {{"value", l.params.number(1)}})};
}

struct Distribution {  // attributes by the numbers of their fields
  const OpDef& op;
  std::initializer_list<std::pair<std::string_view, std::uint32_t>> numbers;
  std::uint32_t shape;
};

Lowered drawn(Layer& l, const Distribution& d, ShapeFrom from) {
  Attrs attrs = attrs_of({{"seed", l.params.integer(1)}});
  for (const auto& [name, field] : d.numbers) attrs.set(name, l.params.number(field));
  return {emit(d.op, std::array{shape_from(l, from, d.shape)}, attrs)};
}

const Distribution normal{ops::random_normal, {{"mean", 2}, {"stddev", 3}}, 4},
    uniform{ops::random_uniform, {{"low", 2}, {"high", 3}}, 4},
    bernoulli{ops::random_bernoulli, {{"prob", 2}}, 3};

}  // namespace

Lowered lower_fill_like(Layer& l) { return filled(l, ShapeFrom::like); }
Lowered lower_fill_static(Layer& l) { return filled(l, ShapeFrom::parameter); }
Lowered lower_fill_dynamic(Layer& l) { return filled(l, ShapeFrom::input); }

Lowered lower_random_normal_like(Layer& l) { return drawn(l, normal, ShapeFrom::like); }
Lowered lower_random_normal_static(Layer& l) { return drawn(l, normal, ShapeFrom::parameter); }
Lowered lower_random_normal_dynamic(Layer& l) { return drawn(l, normal, ShapeFrom::input); }
Lowered lower_random_uniform_like(Layer& l) { return drawn(l, uniform, ShapeFrom::like); }
Lowered lower_random_uniform_static(Layer& l) { return drawn(l, uniform, ShapeFrom::parameter); }
Lowered lower_random_uniform_dynamic(Layer& l) { return drawn(l, uniform, ShapeFrom::input); }
Lowered lower_random_bernoulli_like(Layer& l) { return drawn(l, bernoulli, ShapeFrom::like); }
Lowered lower_random_bernoulli_static(Layer& l) { return drawn(l, bernoulli, ShapeFrom::parameter); }
Lowered lower_random_bernoulli_dynamic(Layer& l) { return drawn(l, bernoulli, ShapeFrom::input); }

// Probabilities become logits, so that the temperature can divide them.
Lowered lower_categorical_distribution(Layer& l) {
  need_inputs(l, 1);
  double epsilon = l.params.number(4), temperature = l.params.number(5, 1);
  if (epsilon == 0) epsilon = 1e-10;
  if (temperature == 0) temperature = 1;
  Ex logits = l.params.flag(3) ? l.in[0] : log(l.in[0], {{"epsilon", epsilon}});
  if (temperature != 1) logits = logits / temperature;
  return {emit(ops::random_categorical, {logits},
               {{"size", std::max<std::int64_t>(l.params.integer(2, 1), 1)}, {"seed", l.params.integer(1)}})};
}

Lowered lower_load_constant_nd(Layer& l) {
  need_inputs(l, 0);
  Integers shape = l.params.integers(1);
  if (shape.empty()) shape = {1};
  return {weight(l, l.params.message(2), shape)};
}

namespace {

double step_of(const Layer& l) { return l.params.has(3) ? l.params.number(3) : 1; }

Ex number_of(const Layer& l, double x) { return constant(l.place, scalar(x, DType::f32)); }

}  // namespace

Lowered lower_range_static(Layer& l) {
  need_inputs(l, 0);
  return {emit(ops::range_1d, {number_of(l, l.params.number(1)), number_of(l, l.params.number(2)),
                               number_of(l, step_of(l))})};
}

Lowered lower_range_dynamic(Layer& l) {
  need_inputs(l, 1, 3);
  auto given = [&](std::size_t input, double otherwise) {
    return l.in.size() > input ? one_number(l.in[input]) : number_of(l, otherwise);
  };
  return {emit(ops::range_1d, {given(0, 0), given(1, l.params.number(2)), given(2, step_of(l))})};
}

}  // namespace tl::coreml
