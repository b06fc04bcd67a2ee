// SPDX-License-Identifier: Apache-2.0
// Convolution kernels against the reference: every instruction set here, odd shapes, all forms of windows.
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

struct Case {
  Shape x, weight;
  Named attrs = {};
};

std::vector<std::int64_t> list(std::initializer_list<std::int64_t> values) { return values; }

void check_case(const OpDef& op, const Case& c, DType dtype, std::int64_t bias, bool constant) {
  double scale = 1 / std::sqrt(static_cast<double>(
                         std::max<std::int64_t>(1, volume(c.weight) / std::max<Dim>(1, c.weight[0]))));
  std::vector<Tensor> inputs{random_tensor(dtype, c.x, 1), random_tensor(dtype, c.weight, 2, -scale, scale)};
  if (bias) inputs.push_back(random_tensor(dtype, {bias}, 3));
  Trial trial{op, attrs_of(c.attrs), inputs, {false, constant, constant}};
  Attrs attrs = complete({op.attrs.begin(), op.attrs.end()}, trial.attrs);
  inputs.resize(3);
  Tensor want = run_reference(op, attrs, inputs).front();
  static const ThreadPool one(1), three(3);
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here())
      for (KernelTable table : {kernels::conv(isa), kernels::conv_depthwise(isa),
                                kernels::conv_pointwise(isa), kernels::conv_winograd(isa)})
        for (const KernelRow& row : table) {
          if (row.op != &op) continue;
          std::optional<Tensor> got = run_kernel(trial, table, {isa, pool}, row.name);
          INFO(row.name, " ", name_of(isa), " x ", text_of(std::span<const Dim>(c.x)), " w ",
               text_of(std::span<const Dim>(c.weight)), " ", name_of(dtype));
          if (got) CHECK(worst_error(*got, want, row.name == "conv_winograd" ? 1e-5 : 1e-6) <= 1);
        }
}

}  // namespace

TEST_CASE("convolutions are as the reference") {
  std::string same = "same", custom = "custom", lower = "same_lower";
  auto two = list({2, 2});
  const Case cases[] = {
      {{1, 3, 9, 11}, {5, 3, 3, 3}},
      {{2, 7, 13, 13}, {33, 7, 3, 3}, {{"pad_type", same}}},
      {{1, 16, 7, 7}, {40, 16, 1, 1}},
      {{3, 5, 1, 1}, {17, 5, 1, 1}},
      {{1, 3, 33, 29}, {16, 3, 7, 7}, {{"pad_type", custom}, {"pad", list({3, 3, 3, 3})}, {"strides", two}}},
      {{1, 8, 15, 16}, {9, 8, 1, 1}, {{"strides", two}}},
      {{1, 4, 12, 40}, {6, 2, 3, 3}, {{"groups", std::int64_t{2}}, {"dilations", two}, {"pad_type", lower}}},
      {{1, 6, 10, 31}, {6, 1, 3, 3}, {{"groups", std::int64_t{6}}, {"pad_type", same}}},
      {{2, 5, 11, 47}, {5, 1, 5, 5}, {{"groups", std::int64_t{5}}, {"pad_type", same}, {"strides", two}}},
      {{1, 4, 9, 9}, {8, 1, 3, 3}, {{"groups", std::int64_t{4}}}},
      {{1, 3, 32, 32}, {12, 3, 16, 16}, {{"strides", list({16, 16})}}},
      {{1, 2, 50}, {3, 2, 5}, {{"strides", list({3})}, {"pad_type", custom}, {"pad", list({4, 9})}}},
      {{1, 2, 5, 6, 7}, {4, 2, 3, 2, 3}, {{"pad_type", same}, {"strides", list({2, 1, 2})}}},
      {{1, 2, 2, 2}, {4, 2, 2, 2}, {{"pad_type", custom}, {"pad", list({5, 5, 6, 6})}}},
      {{0, 2, 4, 4}, {4, 2, 2, 2}},
      {{1, 64, 14, 14}, {70, 64, 3, 3}, {{"pad_type", same}}},
      {{2, 32, 30, 27}, {33, 32, 3, 3}, {{"pad_type", same}}},
      {{1, 32, 19, 70}, {40, 32, 3, 3}, {{"pad_type", custom}, {"pad", list({0, 2, 1, 0})}}},
      {{2, 10, 11, 13}, {30, 10, 1, 1}},
      {{1, 12, 12, 24}, {12, 3, 1, 1}, {{"groups", std::int64_t{4}}}},
      {{1, 6, 7, 7}, {6, 1, 5, 5}, {{"groups", std::int64_t{6}}, {"pad_type", same}}},
      {{1, 6, 15, 14}, {6, 1, 5, 5}, {{"groups", std::int64_t{6}}, {"pad_type", lower}, {"strides", two}}},
      {{1, 3, 8, 70},
       {3, 1, 3, 4},
       {{"groups", std::int64_t{3}}, {"strides", list({1, 3})}, {"dilations", list({2, 1})}}},
  };
  for (const Case& c : cases)
    for (DType dtype : {DType::f32, DType::f16})
      for (bool constant : {true, false})
        check_case(ops::conv, c, dtype, constant ? c.weight[0] : 0, constant);
}

TEST_CASE("transposed convolutions are as the reference") {
  std::string same = "same", custom = "custom";
  auto two = list({2, 2});
  const Case cases[] = {
      {{1, 3, 5, 6}, {3, 4, 3, 3}},
      {{2, 4, 5, 6}, {4, 17, 3, 3}, {{"strides", two}, {"pad_type", custom}, {"pad", list({1, 0, 1, 1})}}},
      {{1, 4, 7}, {4, 3, 4}, {{"groups", std::int64_t{2}}, {"strides", list({3})}, {"pad_type", same}}},
      {{1, 2, 3, 3, 3}, {2, 2, 2, 3, 2}, {{"dilations", list({2, 1, 1})}, {"strides", list({1, 2, 3})}}},
      {{1, 2, 3, 3},
       {2, 1, 3, 3},
       {{"groups", std::int64_t{2}}, {"strides", two}, {"output_shape", list({1, 2, 7, 7})}}},
      {{1, 2, 3, 3}, {2, 3, 2, 2}, {{"strides", list({4, 4})}}},
  };
  for (const Case& c : cases) {
    std::int64_t groups =
        complete({ops::conv_transpose.attrs.begin(), ops::conv_transpose.attrs.end()}, attrs_of(c.attrs))
            .integer("groups");
    for (DType dtype : {DType::f32, DType::f16})
      for (bool constant : {true, false})
        check_case(ops::conv_transpose, c, dtype, constant ? c.weight[1] * groups : 0, constant);
  }
}

TEST_CASE("a clip and a sum are fused before rounding") {
  Tensor x = random_tensor(DType::f16, {1, 5, 9, 9}, 1), w = random_tensor(DType::f16, {7, 5, 3, 3}, 2);
  Tensor residual = random_tensor(DType::f16, {1, 7, 7, 7}, 3);
  Trial trial{ops::conv, {}, {x, w, Tensor(), residual}, {false, true}};
  const OpDef& relu = find_op("relu");
  const OpDef& add = find_op("add");
  Attrs none;
  trial.post = {{&relu, &none}, {&add, &none, 3}, {&relu, &none}};
  std::vector<double> sum =
      to_doubles(run_reference(ops::conv, complete({ops::conv.attrs.begin(), ops::conv.attrs.end()}, {}),
                               std::vector{converted(x, DType::f32), converted(w, DType::f32), Tensor()})
                     .front());
  std::vector<double> other = to_doubles(residual);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = std::max(0.0, std::max(0.0, sum[i]) + other[i]);
  ThreadPool pool(1);
  for (Isa isa : isas_here()) {
    std::optional<Tensor> got = run_kernel(trial, kernels::conv(isa), {isa, &pool});
    REQUIRE(got.has_value());
    CHECK(worst_error(*got, from_doubles(sum, DType::f16, {1, 7, 7, 7}), 1e-5) <= 1);
  }
}

TEST_CASE("a row and a sum are fused before rounding") {
  const OpDef &silu = find_op("silu"), &add = find_op("add");
  Attrs none, groups = attrs_of({{"groups", std::int64_t{5}}});
  ThreadPool pool(1);
  for (bool depthwise : {false, true}) {
    Tensor x = random_tensor(DType::f32, {1, 5, 9, 9}, 1),
           w = random_tensor(DType::f32, {5, depthwise ? 1 : 5, 3, 3}, 2);
    Tensor bias = random_tensor(DType::f32, {5}, 4), residual = random_tensor(DType::f32, {1, 5, 7, 7}, 3);
    Trial trial{ops::conv, depthwise ? groups : none, {x, w, bias, residual}, {false, true, true}};
    trial.post = {{&silu, &none}, {&add, &none, 3}};
    Attrs attrs = complete({ops::conv.attrs.begin(), ops::conv.attrs.end()}, trial.attrs);
    std::vector<double> sum = to_doubles(run_reference(ops::conv, attrs, std::vector{x, w, bias}).front());
    std::vector<double> other = to_doubles(residual);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = sum[i] / (1 + std::exp(-sum[i])) + other[i];
    for (Isa isa : isas_here()) {
      KernelTable table = depthwise ? kernels::conv_depthwise(isa) : kernels::conv(isa);
      std::optional<Tensor> got = run_kernel(trial, table, {isa, &pool});
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, from_doubles(sum, DType::f32, {1, 5, 7, 7}), 3e-6) <= 1);
    }
  }
}

}  // namespace tl
