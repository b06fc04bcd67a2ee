// SPDX-License-Identifier: Apache-2.0
// Inverted residuals as one operation against the three convolutions they are, of 32-bit floats.
#include "op/conv_inverted.h"

#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

using Ints = std::vector<std::int64_t>;

struct Case {
  Shape x;  // plain
  std::int64_t hidden = 0, outs = 0;
  Ints kernel = {3, 3}, strides = {1, 1};
  std::string pad_type = "same";
  Ints pad = {};
  std::string between = "clip";
  bool residual = false;
};

Tensor widened(const Tensor& t) { return t ? from_doubles(to_doubles(t), DType::f32, t.shape()) : Tensor(); }

std::vector<Tensor> inputs_of(const Case& c) {
  auto weight = [](Shape shape, unsigned seed) {
    double scale = 2 / std::sqrt(static_cast<double>(volume(shape) / shape[0]));
    return random_tensor(DType::f16, std::move(shape), seed, -scale, scale);
  };
  std::int64_t hidden = c.hidden > 0 ? c.hidden : c.x[1];
  std::vector<Tensor> inputs{block_channels(random_tensor(DType::f16, c.x, 1)), Tensor(), Tensor(),
                             weight({hidden, 1, c.kernel[0], c.kernel[1]}, 3),
                             random_tensor(DType::f16, {hidden}, 4)};
  if (c.hidden > 0) {
    inputs[1] = weight({hidden, c.x[1], 1, 1}, 2);
    inputs[2] = random_tensor(DType::f16, {hidden}, 5);
  }
  if (c.outs > 0) {
    inputs.push_back(weight({c.outs, hidden, 1, 1}, 6));
    inputs.push_back(random_tensor(DType::f16, {c.outs}, 7));
  }
  return inputs;
}

Attrs attrs_of_case(const Case& c) {
  Attrs attrs = attrs_of(
      {{"strides", c.strides}, {"pad_type", c.pad_type}, {"first", c.between}, {"second", c.between}});
  for (std::string which : {"first", "second"})
    attrs.set(which + "_low", 0.0), attrs.set(which + "_high", 0.8);
  if (!c.pad.empty()) attrs.set("pad", c.pad);
  return attrs;
}

void check(const Case& c) {
  static const ThreadPool one(1), two(2), five(5);
  const OpDef& op = c.outs > 0 ? ops::inverted_residual : ops::expand_depthwise;
  Trial trial{op, attrs_of_case(c), inputs_of(c), {}};
  trial.constant.assign(trial.inputs.size(), true);
  trial.constant[0] = false;
  std::vector<Tensor> wide;
  for (const Tensor& t : trial.inputs) wide.push_back(widened(t));
  Attrs attrs = complete({op.attrs.begin(), op.attrs.end()}, trial.attrs);
  std::vector<Tensor> want = run_reference(op, attrs, wide);
  for (Tensor& t : want) t = from_doubles(to_doubles(t), DType::f16, t.shape());
  Attrs none;
  if (c.residual) {
    trial.inputs.push_back(random_tensor(DType::f16, want[0].shape(), 8));
    trial.constant.push_back(false);
    trial.post = {{&ops::add, &none, static_cast<int>(trial.inputs.size()) - 1, false}};
    std::vector<Tensor> sum{widened(want[0]), widened(trial.inputs.back())};
    want[0] = run_reference(ops::add, none, sum).front();
    want[0] = from_doubles(to_doubles(want[0]), DType::f16, want[0].shape());
  }
  int ran = 0;
  for (const ThreadPool* pool : {&one, &two, &five})
    for (Isa isa : isas_here()) {
      std::vector<Tensor> got = run_kernel_outputs(trial, kernels::conv_inverted(isa), {isa, pool});
      INFO(name_of(isa), " threads ", pool->threads(), " x ", text_of(trial.inputs[0].type()), " ", c.hidden);
      if (got.empty()) continue;
      ++ran;
      for (std::size_t i = 0; i < want.size(); ++i) CHECK(worst_error(got[i], want[i], 1e-3) <= 1);
    }
  CHECK(ran > 0);
}

}  // namespace

TEST_CASE("inverted residuals are as their three convolutions") {
  const Case cases[] = {
      {{1, 24, 14, 14}, 144, 24, {3, 3}, {1, 1}, "same", {}, "clip", true},
      {{2, 20, 7, 9}, 50, 21, {3, 3}, {2, 2}},
      {{1, 16, 7, 7}, 96, 40, {5, 5}, {1, 1}, "same", {}, "silu", true},
      {{1, 33, 1, 13}, 70, 17, {3, 3}, {1, 1}},
      {{1, 32, 57, 113}, 200, 24, {3, 3}, {2, 2}, "same_lower"},
      {{1, 40, 31, 29}, 0, 16, {5, 3}, {2, 1}, "custom", {0, 3, 2, 0}},
      {{1, 24, 60, 56}, 400, 70, {3, 3}, {1, 1}, "same", {}, "none"},
      {{3, 16, 13, 12}, 300, 30, {3, 3}, {1, 1}, "valid"},
      {{1, 160, 7, 7}, 960, 160, {3, 3}, {1, 1}, "same", {}, "clip", true},
      {{1, 16, 9, 9}, 32, 16, {1, 1}, {1, 1}},
      {{1, 16, 9, 9}, 48, 16, {1, 2}, {3, 3}, "valid"},
  };
  for (const Case& c : cases) check(c);
}

TEST_CASE("expanded images and their means are as by separate operations") {
  const Case cases[] = {
      {{1, 24, 28, 28}, 144, 0, {3, 3}, {1, 1}, "same", {}, "silu"},
      {{2, 20, 7, 9}, 50, 0, {5, 5}, {2, 2}, "same", {}, "silu"},
      {{1, 37, 112, 40}, 0, 0, {3, 3}, {1, 1}, "custom", {1, 1, 0, 2}, "silu"},
      {{1, 80, 1, 1}, 480, 0, {5, 5}, {1, 1}},
      {{5, 17, 12, 60}, 99, 0, {3, 3}, {1, 1}},
  };
  for (const Case& c : cases) check(c);
}

}  // namespace tl
