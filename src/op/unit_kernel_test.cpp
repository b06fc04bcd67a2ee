// SPDX-License-Identifier: Apache-2.0
// Kernels on matrix units against the reference: operands that bf16 holds exactly, so that only sums differ,
// and, where a unit keeps all of a half, any halves.
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"
#include "simd/unit.h"

namespace tl {
namespace {

Tensor kept_by_bf16(const Tensor& t) {
  std::vector<double> values = to_doubles(t);
  for (double& x : values) x = to_float(to_bfloat(static_cast<float>(x)));
  return from_doubles(values, t.dtype(), t.shape());
}

struct Case {
  const OpDef& op;
  std::vector<Shape> inputs;
  Named attrs = {};
  double scale = 1;  // of the second input
};

// With `bf16` in the unit that rounds to it, else in the one for halves, if there are such.
void check(const Case& c, KernelTable (*table)(Isa), std::span<const DType> dtypes, int mask, bool bf16) {
  static const ThreadPool one(1), three(3);
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    double scale = i == 1 ? c.scale : 1;
    inputs.push_back(random_tensor(dtypes[std::min(i, dtypes.size() - 1)], c.inputs[i],
                                   static_cast<unsigned>(i + 1), -scale, scale));
    if (bf16 && i < 2) inputs[i] = kept_by_bf16(inputs[i]);
  }
  Trial trial{c.op, attrs_of(c.attrs), inputs, {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0}};
  inputs.resize(std::max(inputs.size(), c.op.inputs.size()));
  Tensor want =
      run_reference(c.op, complete({c.op.attrs.begin(), c.op.attrs.end()}, trial.attrs), inputs).front();
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here()) {
      if (!matrix_unit(isa, bf16)) continue;
      std::optional<Tensor> got = run_kernel(trial, table(isa), {isa, pool, bf16});
      INFO(c.op.name, " ", name_of(isa), " bf16 ", bf16, " x ", text_of(inputs[0].type()), " y ",
           text_of(inputs[1].type()), " constants ", mask, " threads ", pool->threads());
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, want, 3e-5) <= 1);
    }
}

constexpr DType halves[] = {DType::f16}, singles[] = {DType::f32},
                mixed[] = {DType::f16, DType::f32, DType::f16};

void check_conv(Shape x, Shape w, Named attrs, bool bias = true) {
  double scale = 1 / std::sqrt(static_cast<double>(volume(w) / w[0]));
  Case c{ops::conv, {x, w}, attrs, scale};
  if (bias) c.inputs.push_back({w[0]});
  check(c, kernels::conv_unit, halves, 6, true);
  check(c, kernels::conv_unit, singles, 6, true);
  check(c, kernels::conv_unit, mixed, 6, true);
  check(c, kernels::conv_unit, halves, 6, false);
}

void check_product(const OpDef& op, std::vector<Shape> inputs, Named attrs = {}) {
  double scale = 1 / std::sqrt(static_cast<double>(inputs[0].back()));
  Case c{op, inputs, attrs, scale};
  for (int mask : {0, 2, 6}) {
    check(c, kernels::matmul_unit, halves, mask, true);
    check(c, kernels::matmul_unit, singles, mask, true);
    check(c, kernels::matmul_unit, halves, mask, false);
  }
}

std::vector<std::int64_t> list(std::initializer_list<std::int64_t> values) { return values; }

}  // namespace

TEST_CASE("convolutions on matrix units are as the reference") {
  std::string same = "same", custom = "custom", lower = "same_lower";
  std::vector<std::int64_t> two = list({2, 2});
  check_conv({1, 3, 9, 11}, {8, 3, 3, 3}, {});
  check_conv({2, 7, 13, 13}, {33, 7, 3, 3}, {{"pad_type", same}});
  check_conv({1, 16, 7, 7}, {40, 16, 1, 1}, {}, false);
  check_conv({1, 3, 33, 29}, {16, 3, 7, 7},
             {{"pad_type", custom}, {"pad", list({3, 3, 3, 3})}, {"strides", two}});
  check_conv({1, 8, 15, 16}, {9, 8, 1, 1}, {{"strides", two}});
  check_conv({2, 10, 12, 40}, {18, 5, 3, 3},
             {{"groups", std::int64_t{2}}, {"dilations", two}, {"pad_type", lower}});
  check_conv({1, 3, 48, 64}, {12, 3, 16, 16}, {{"strides", list({16, 16})}});
  check_conv({1, 4, 60}, {9, 4, 5}, {{"strides", list({3})}, {"pad_type", custom}, {"pad", list({4, 9})}});
  check_conv({1, 4, 2, 2}, {8, 4, 2, 2}, {{"pad_type", custom}, {"pad", list({5, 5, 6, 6})}});
  check_conv({1, 64, 14, 14}, {70, 64, 3, 3}, {{"pad_type", same}});
  check_conv({1, 32, 19, 70}, {40, 32, 3, 3}, {{"pad_type", custom}, {"pad", list({0, 2, 1, 0})}});
  check_conv({1, 32, 19, 20}, {40, 32, 3, 3}, {{"pad_type", custom}, {"pad", list({1, 0, 0, 3})}});
  check_conv({1, 40, 16, 16}, {20, 40, 3, 3},
             {{"pad_type", custom}, {"pad", list({1, 1, 1, 1})}, {"strides", two}});
  check_conv({1, 33, 50, 50}, {65, 33, 1, 1}, {});
  check_conv({1, 256, 7, 7}, {300, 256, 3, 3}, {{"pad_type", same}});
}

TEST_CASE("products on matrix units are as the reference") {
  check_product(ops::matmul, {{29, 33}, {33, 65}});
  check_product(ops::matmul, {{8, 8}, {8, 16}});
  check_product(ops::matmul, {{29, 33}, {65, 33}}, {{"transpose_y", true}});
  check_product(ops::matmul, {{33, 29}, {33, 65}}, {{"transpose_x", true}});
  check_product(ops::matmul, {{2, 1, 17, 9}, {3, 9, 16}});
  check_product(ops::matmul, {{4, 16, 9}, {4, 37, 9}}, {{"transpose_y", true}});
  check_product(ops::matmul, {{200, 300}, {300, 130}});
  check_product(ops::linear, {{31, 19}, {37, 19}, {37}});
  check_product(ops::linear, {{2, 50, 64}, {200, 64}, {200}});
  check_product(ops::einsum, {{2, 8, 9, 35}, {2, 35, 9, 18}}, {{"equation", std::string("nchw,nwhu->nchu")}});
  check_product(ops::einsum, {{1, 8, 12, 20}, {1, 30, 12, 8}},
                {{"equation", std::string("bchq,bkhc->bkhq")}});
  check_product(ops::einsum, {{20, 9}, {9, 18}}, {{"equation", std::string("ij,jk->ki")}});
}

TEST_CASE("infinities stay where they belong on matrix units") {
  Tensor x = random_tensor(DType::f16, {20, 40}, 1), y = random_tensor(DType::f16, {40, 33}, 2);
  reinterpret_cast<Half*>(x.writable_data())[45] = to_half(INFINITY);
  Trial trial{ops::matmul, {}, {x, y}};
  Attrs attrs = complete({ops::matmul.attrs.begin(), ops::matmul.attrs.end()}, {});
  Tensor want = run_reference(ops::matmul, attrs, std::vector{x, y}).front();
  ThreadPool pool(1);
  for (Isa isa : isas_here())
    for (bool bf16 : {false, true}) {
      if (!matrix_unit(isa, bf16)) continue;
      std::optional<Tensor> got = run_kernel(trial, kernels::matmul_unit(isa), {isa, &pool, bf16});
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, want, bf16 ? 0.1 : 3e-5) <= 1);
    }
}

}  // namespace tl
