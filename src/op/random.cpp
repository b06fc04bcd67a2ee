// SPDX-License-Identifier: Apache-2.0
// Random tensors. A seed of -1 takes the run's; Apple's own streams cannot be reproduced, only their
// distributions.
#include "op/random.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

std::vector<Type> infer_random(const InferCall& call) {
  need_rank(call, 0, 1, 1);
  DType dtype = call.attrs.dtype("dtype");
  need(is_float(dtype), "dtype must be a floating type");
  if (auto shape = integer_values(call, 0)) {
    for (std::int64_t d : *shape)
      if (d < 0) throw Error(Code::bad_input, text("shape has a negative length, {}", d));
    return {Type(dtype, Shape(shape->begin(), shape->end()))};
  }
  Dim rank = call.type(0).shape[0];
  if (!is_known(rank)) return {unranked(dtype)};
  need(rank <= 64, "shape is too long");
  return {Type(dtype, Shape(static_cast<std::size_t>(rank), unknown))};
}

std::vector<Type> infer_categorical(const InferCall& call) {
  need_rank(call, 0, 1, 64);
  Type out = call.type(0);
  need(is_float(out.dtype), "takes floating logits or probabilities");
  need(call.attrs.integer("size") >= 0, "size is negative");
  out.shape.back() = call.attrs.integer("size");
  return {out};
}

RandomStream stream_of(const ReferenceCall& call) {
  std::int64_t seed = call.attrs.integer("seed");
  return RandomStream(seed == -1 ? call.seed : static_cast<std::uint64_t>(seed));
}

Array& shaped_output(const ReferenceCall& call) {
  Array& out = call.out[0];
  const std::vector<double>& shape = call.in[0]->data;
  out.shape.clear();
  for (double d : shape) {
    need(d >= 0, "shape has a negative length");
    out.shape.push_back(static_cast<Dim>(d));
  }
  out.data.resize(static_cast<std::size_t>(volume(out.shape)));
  return out;
}

int digits_of(DType d) { return d == DType::f16 ? 11 : d == DType::bf16 ? 8 : d == DType::f32 ? 24 : 53; }

void uniform(const ReferenceCall& call) {
  Array& out = shaped_output(call);
  RandomStream random = stream_of(call);
  double low = call.attrs.number("low"), width = call.attrs.number("high") - low;
  for (std::size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = low + width * random.uniform(digits_of(out.dtype));
}

void normal(const ReferenceCall& call) {
  Array& out = shaped_output(call);
  RandomStream random = stream_of(call);
  double mean = call.attrs.number("mean"), deviation = call.attrs.number("stddev");
  for (double& x : out.data) x = mean + deviation * random.normal();
}

void bernoulli(const ReferenceCall& call) {
  Array& out = shaped_output(call);
  RandomStream random = stream_of(call);
  for (double& x : out.data) x = random.uniform() < call.attrs.number("prob");
}

// The running sums of one row's probabilities; logits are made so first.
std::vector<double> running_sums(std::span<const double> row, bool logits) {
  std::vector<double> sums(row.begin(), row.end());
  if (logits && !row.empty()) {
    double most = *std::max_element(row.begin(), row.end());
    for (double& p : sums) p = std::isinf(most) ? p == most : std::exp(p - most);
  }
  for (std::size_t k = 1; k < sums.size(); ++k) sums[k] += sums[k - 1];
  return sums;
}

void categorical(const ReferenceCall& call) {
  const Array& x = *call.in[0];
  need(!x.shape.empty() && x.shape.back() > 0, "has no classes to draw from");
  RandomStream random = stream_of(call);
  auto classes = static_cast<std::size_t>(x.shape.back()),
       size = static_cast<std::size_t>(call.attrs.integer("size"));
  Array& out = call.out[0];
  out.shape = x.shape;
  out.shape.back() = call.attrs.integer("size");
  out.data.resize(static_cast<std::size_t>(volume(out.shape)));
  for (std::size_t row = 0; row < x.data.size() / classes; ++row) {
    auto sums =
        running_sums(std::span(x.data).subspan(row * classes, classes), call.attrs.word("mode") == "logits");
    for (std::size_t i = row * size; i < (row + 1) * size; ++i) {
      auto found = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
      out.data[i] = static_cast<double>(
          std::min<std::ptrdiff_t>(found - sums.begin(), static_cast<std::ptrdiff_t>(classes) - 1));
    }
  }
}

// The element type is that of the parameters; ours is an attribute.
void upgrade_random(MilNode& node) {
  if (!node.declared.empty()) return node.set("dtype", std::string(name_of(node.declared[0].dtype)));
  for (std::string_view name : {"low", "high", "mean", "stddev", "prob"})
    if (node.input(name) != no_value)
      return node.set("dtype", std::string(name_of(node.type_of(name).dtype)));
}

}  // namespace

constinit const OpDef ops::random_uniform{
    .name = "random_uniform",
    .doc = "Numbers drawn evenly from low (included) to high (not included).",
    .inputs = {"shape"},
    .attrs = {{"low", AttrKind::number, "0"},
              {"high", AttrKind::number, "1"},
              {"seed", AttrKind::integer, "-1"},
              {"dtype", AttrKind::word, "fp32"}},
    .infer = infer_random,
    .reference = uniform,
    .traits = Traits::random,
    .mil = {"random_uniform", 5, upgrade_random, downgrade_dtype},
    .samples = {{.inputs = {"int32[2] = [3, 4]"}, .attrs = "seed=1"}},
};

constinit const OpDef ops::random_normal{
    .name = "random_normal",
    .doc = "Numbers of the normal distribution with a mean and a standard deviation.",
    .inputs = {"shape"},
    .attrs = {{"mean", AttrKind::number, "0"},
              {"stddev", AttrKind::number, "1"},
              {"seed", AttrKind::integer, "-1"},
              {"dtype", AttrKind::word, "fp32"}},
    .infer = infer_random,
    .reference = normal,
    .traits = Traits::random,
    .mil = {"random_normal", 5, upgrade_random, downgrade_dtype},
    .samples = {{.inputs = {"int32[2] = [3, 4]"}, .attrs = "seed=1"}},
};

constinit const OpDef ops::random_bernoulli{
    .name = "random_bernoulli",
    .doc = "Ones with a probability, else zeros.",
    .inputs = {"shape"},
    .attrs = {{"prob", AttrKind::number, "0.5"},
              {"seed", AttrKind::integer, "-1"},
              {"dtype", AttrKind::word, "fp32"}},
    .infer = infer_random,
    .reference = bernoulli,
    .traits = Traits::random,
    .mil = {"random_bernoulli", 5, upgrade_random, downgrade_dtype},
    .samples = {{.inputs = {"int32[2] = [3, 4]"}, .attrs = "seed=1"}},
};

constinit const OpDef ops::random_categorical{
    .name = "random_categorical",
    .doc = "Classes drawn, with replacement, from the logits or probabilities along the last axis.",
    .inputs = {"x"},
    .attrs = {{"mode", AttrKind::word, "logits", "logits probs"},
              {"size", AttrKind::integer, "1"},
              {"seed", AttrKind::integer, "-1"}},
    .infer = infer_categorical,
    .reference = categorical,
    .traits = Traits::random,
    .mil = {"random_categorical"},
    .samples = {{.inputs = {"fp32[2, 5]"}, .attrs = "size=3, seed=1"}},
};

}  // namespace tl
