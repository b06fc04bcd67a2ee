// SPDX-License-Identifier: Apache-2.0
// Kernels over images in blocks of channels against their references.
#include "op/blocked.h"

#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

using Ints = std::vector<std::int64_t>;
Ints list(std::initializer_list<std::int64_t> values) { return values; }

struct Case {
  Shape x, weight;  // of the plain convolution
  Named attrs = {};
  bool scaled = false;
};

std::vector<KernelTable> tables(Isa isa) {
  return {kernels::conv_blocked_stem(isa), kernels::conv_blocked_depthwise(isa),
          kernels::conv_blocked_unit(isa), kernels::conv_blocked_winograd(isa),
          kernels::conv_blocked(isa),      kernels::blocked(isa)};
}

// Runs every row that takes the trial; gives how many did.
int check(const Trial& trial, const Tensor& want, double absolute, bool bf16 = false) {
  static const ThreadPool one(1), three(3);
  int ran = 0;
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here())
      for (KernelTable table : tables(isa))
        for (const KernelRow& row : table) {
          if (row.op != &trial.op) continue;
          std::optional<Tensor> got = run_kernel(trial, table, {isa, pool, bf16}, row.name);
          INFO(row.name, " ", name_of(isa), " x ", text_of(trial.inputs[0].type()));
          if (got) CHECK(worst_error(*got, want, absolute) <= 1);
          ran += got.has_value();
        }
  return ran;
}

Tensor kept_by_bf16(const Tensor& t) {
  std::vector<double> values = to_doubles(t);
  for (double& x : values) x = to_float(to_bfloat(static_cast<float>(x)));
  return from_doubles(values, t.dtype(), t.shape());
}

// Of such a case; with `bf16` of numbers that it holds, so that only sums differ.
Trial trial_of(const Case& c, bool bf16) {
  double scale = 1 / std::sqrt(static_cast<double>(volume(c.weight) / c.weight[0]));
  Tensor x = random_tensor(DType::f16, c.x, 1), w = random_tensor(DType::f16, c.weight, 2, -scale, scale);
  if (bf16) x = kept_by_bf16(x), w = kept_by_bf16(w);
  std::vector<Tensor> inputs{c.x[1] <= 4 ? x : block_channels(x), w,
                             random_tensor(DType::f16, {c.weight[0]}, 3)};
  double low = bf16 ? 0.5 : -1, high = bf16 ? 0.5 : 1;
  if (c.scaled)
    inputs.push_back(block_channels(random_tensor(DType::f16, {c.x[0], c.x[1], 1, 1}, 4, low, high)));
  return {ops::conv_blocked, attrs_of(c.attrs), inputs, {false, true, true}};
}

Tensor reference_of(const Trial& trial) {
  std::vector<Tensor> inputs = trial.inputs;
  inputs.resize(4);
  Attrs attrs = complete({trial.op.attrs.begin(), trial.op.attrs.end()}, trial.attrs);
  return run_reference(trial.op, attrs, inputs).front();
}

void check_conv(const Case& c) {
  for (bool bf16 : {false, true}) {
    Trial trial = trial_of(c, bf16);
    CHECK(check(trial, reference_of(trial), 2e-5, bf16) > 0);
  }
}

// relu(conv + residual)
void check_residual(const Case& c) {
  for (bool bf16 : {false, true}) {
    Trial trial = trial_of(c, bf16);
    Tensor want = reference_of(trial), residual = random_tensor(DType::f16, want.shape(), 5);
    std::vector<double> sums = to_doubles(want), more = to_doubles(residual);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = std::max(0.0, sums[i] + more[i]);
    trial.inputs.resize(4);
    trial.inputs.push_back(residual);
    trial.post = {{&ops::add, nullptr, 4}, {&ops::relu}};
    CHECK(check(trial, from_doubles(sums, DType::f16, want.shape()), 1e-3, bf16) > 0);
  }
}

}  // namespace

TEST_CASE("convolutions of images in blocks are as the reference") {
  std::string same = "same", custom = "custom", lower = "same_lower";
  Ints two = list({2, 2});
  const Case cases[] = {
      {{1, 20, 7, 7}, {40, 20, 1, 1}},
      {{2, 33, 5, 9}, {17, 33, 3, 3}, {{"pad_type", same}}},
      {{1, 64, 14, 14}, {70, 64, 3, 3}, {{"pad_type", same}}},
      {{2, 32, 30, 27}, {33, 32, 3, 3}, {{"pad_type", custom}, {"pad", list({0, 2, 1, 0})}}},
      {{1, 48, 19, 21}, {96, 48, 3, 3}, {{"pad_type", lower}, {"strides", two}}},
      {{1, 24, 13, 12}, {50, 24, 3, 2}, {{"dilations", two}, {"pad_type", same}}},
      {{1, 300, 9, 9}, {16, 300, 3, 3}, {{"pad_type", same}, {"strides", two}}},
      {{1, 32, 12, 12}, {64, 16, 3, 3}, {{"groups", std::int64_t{2}}, {"pad_type", same}}},
      {{1, 40, 11, 13}, {24, 40, 1, 1}, {}, true},
      {{1, 40, 1, 1}, {10, 40, 1, 1}},
      {{1, 256, 7, 7}, {40, 256, 3, 3}, {{"pad_type", same}}},
      {{2, 96, 10, 9}, {64, 48, 3, 3}, {{"groups", std::int64_t{2}}, {"pad_type", same}}},
      {{1, 33, 28, 28}, {16, 33, 1, 1}, {{"strides", two}}},
      {{1, 16, 16, 16},
       {80, 16, 3, 3},
       {{"pad_type", custom}, {"pad", list({1, 1, 1, 1})}, {"strides", two}}},
      {{1, 24, 30, 11}, {16, 24, 5, 5}, {{"pad_type", custom}, {"pad", list({4, 0, 5, 1})}}},
      {{1, 20, 10, 31}, {20, 1, 3, 3}, {{"groups", std::int64_t{20}}, {"pad_type", same}}},
      {{2, 37, 11, 47}, {37, 1, 5, 5}, {{"groups", std::int64_t{37}}, {"pad_type", same}, {"strides", two}}},
      {{1, 16, 40, 9},
       {16, 1, 3, 4},
       {{"groups", std::int64_t{16}}, {"dilations", two}, {"pad_type", lower}}},
      {{1, 3, 33, 29}, {40, 3, 7, 7}, {{"pad_type", custom}, {"pad", list({3, 3, 3, 3})}, {"strides", two}}},
      {{2, 3, 40, 61}, {16, 3, 3, 3}, {{"pad_type", same}, {"strides", list({1, 2})}}},
  };
  for (const Case& c : cases) check_conv(c);
  check_residual({{1, 20, 7, 7}, {48, 20, 1, 1}});
  check_residual({{1, 64, 14, 13}, {32, 64, 3, 3}, {{"pad_type", same}}});
}

TEST_CASE("what is not finite stays where it is in a convolution by transforms") {
  std::vector<double> values(64 * 14 * 14, 1);
  values[300] = INFINITY, values[5000] = NAN;
  Tensor x = block_channels(from_doubles(values, DType::f16, {1, 64, 14, 14}));
  std::vector<Tensor> inputs{x, random_tensor(DType::f16, {64, 64, 3, 3}, 2, 0.01, 0.02)};
  Trial trial{ops::conv_blocked, attrs_of({{"pad_type", std::string("same")}}), inputs, {false, true}};
  inputs.resize(4);
  Attrs attrs = complete({trial.op.attrs.begin(), trial.op.attrs.end()}, trial.attrs);
  check(trial, run_reference(trial.op, attrs, inputs).front(), 2e-5);
}

TEST_CASE("poolings, means and conversions of images in blocks are as the reference") {
  Tensor plain = random_tensor(DType::f16, {2, 21, 13, 12}, 1), x = block_channels(plain);
  auto run = [&](const OpDef& op, const Tensor& in, Named named) {
    Trial trial{op, attrs_of(named), {in}};
    Attrs attrs = complete({op.attrs.begin(), op.attrs.end()}, trial.attrs);
    CHECK(check(trial, run_reference(op, attrs, {{in}}).front(), 2e-5) > 0);
  };
  run(ops::to_blocks, plain, {});
  run(ops::from_blocks, x, {{"channels", std::int64_t{21}}});
  Named window = {
      {"kernel_sizes", list({3, 3})}, {"strides", list({2, 2})}, {"pad_type", std::string("same")}};
  run(ops::max_pool_blocked, x, window);
  run(ops::avg_pool_blocked, x, window);
  run(ops::avg_pool_blocked, x,
      {{"kernel_sizes", list({2, 3})},
       {"ceil_mode", true},
       {"exclude_padding_from_average", true},
       {"pad_type", std::string("custom")},
       {"pad", list({1, 1, 0, 1})}});
  run(ops::reduce_mean, x, {{"axes", list({2, 3})}, {"keep_dims", true}});
}

}  // namespace tl
