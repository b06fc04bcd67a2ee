// SPDX-License-Identifier: Apache-2.0
// Kernels of matmul, linear and einsum against the reference: every instruction set here, odd shapes, all
// layouts.
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

// Every instruction set, one and several threads, every set of constants of `masks` (bit i: input i).
void check(const OpDef& op, std::vector<Tensor> inputs, Named attrs, std::initializer_list<int> masks) {
  Trial trial{op, attrs_of(attrs), inputs};
  std::vector<Tensor> all = inputs;
  all.resize(std::max(all.size(), op.inputs.size()));
  Tensor want = run_reference(op, complete({op.attrs.begin(), op.attrs.end()}, trial.attrs), all).front();
  double terms =
      1 + static_cast<double>(inputs[0].size()) / static_cast<double>(std::max<std::int64_t>(1, want.size()));
  static const ThreadPool one(1), three(3);
  for (int mask : masks)
    for (const ThreadPool* pool : {&one, &three}) {
      trial.constant = {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0};
      for (Isa isa : isas_here()) {
        std::optional<Tensor> got = run_kernel(trial, kernels::matmul(isa), {isa, pool});
        INFO(op.name, " ", name_of(isa), " ", text_of(inputs[0].type()), " ", text_of(inputs[1].type()),
             " constants ", mask, " threads ", pool->threads());
        REQUIRE(got.has_value());
        CHECK(worst_error(*got, want, 1e-6 * std::max(1.0, terms)) <= 1);
      }
    }
}

void check_product(Shape x, Shape y, bool tx = false, bool ty = false) {
  for (DType dtype : {DType::f32, DType::f16})
    check(ops::matmul, {random_tensor(dtype, x, 1), random_tensor(dtype, y, 2)},
          {{"transpose_x", tx}, {"transpose_y", ty}}, {0, 1, 2});
}

}  // namespace

TEST_CASE("matrix products are as the reference") {
  check_product({3, 5}, {5, 4});
  check_product({1, 70}, {70, 97});
  check_product({1, 70}, {70, 64});
  check_product({29, 33}, {33, 65});
  check_product({15, 8}, {8, 16});
  check_product({29, 33}, {65, 33}, false, true);
  check_product({33, 29}, {33, 65}, true, false);
  check_product({33, 29}, {65, 33}, true, true);
  check_product({7}, {7});
  check_product({7}, {7, 19});
  check_product({19, 7}, {7});
  check_product({2, 1, 17, 9}, {3, 9, 6});
  check_product({4, 6, 9}, {4, 9, 37});
  check_product({4, 6, 9}, {4, 37, 9}, false, true);
  check_product({5, 40, 3}, {3, 50});
  check_product({0, 4}, {4, 3});
  check_product({3, 0}, {0, 4});
  check_product({3, 4}, {4, 0});
  check_product({100, 1}, {1, 100});
}

TEST_CASE("linear layers are as the reference") {
  for (DType dtype : {DType::f32, DType::f16})
    for (Shape x : {Shape{9}, Shape{1, 9}, Shape{31, 9}, Shape{2, 3, 9}}) {
      check(ops::linear, {random_tensor(dtype, x, 1), random_tensor(dtype, {37, 9}, 2)}, {}, {0, 2});
      check(ops::linear,
            {random_tensor(dtype, x, 1), random_tensor(dtype, {37, 9}, 2), random_tensor(dtype, {37}, 3)}, {},
            {0, 2, 6});
      check(ops::linear,
            {random_tensor(dtype, x, 1), random_tensor(dtype, {1, 9}, 2), random_tensor(dtype, {1}, 3)}, {},
            {0, 6});
    }
  check(ops::linear, {random_tensor(DType::f16, {6, 40}, 1), random_tensor(DType::f32, {5, 40}, 2)}, {},
        {0, 2});
  check(ops::linear, {random_tensor(DType::f32, {6, 40}, 1), random_tensor(DType::f16, {5, 40}, 2)}, {},
        {0, 2});
}

TEST_CASE("einsum is as the reference") {
  auto sum = [](const char* equation, Shape x, Shape y) {
    for (DType dtype : {DType::f32, DType::f16})
      check(ops::einsum, {random_tensor(dtype, x, 1), random_tensor(dtype, y, 2)},
            {{"equation", std::string(equation)}}, {0, 1, 2});
  };
  sum("nchw,nwhu->nchu", {2, 3, 4, 35}, {2, 35, 4, 18});
  sum("chw,whr->chr", {3, 4, 5}, {5, 4, 7});
  sum("bchq,bkhc->bkhq", {1, 8, 2, 20}, {1, 30, 2, 8});
  sum("ij,k->kj", {3, 40}, {5});
  sum("ij,jk->ki", {20, 6}, {6, 18});
  sum("iij,jk->ik", {4, 4, 6}, {6, 3});
  sum("i,j->ij", {40}, {33});
  sum("ij,ij->", {7, 9}, {7, 9});
  sum("...ij,...jk->...ik", {2, 3, 4}, {5, 1, 4, 6});
}

TEST_CASE("integer products wrap") {
  Tensor x = random_tensor(DType::i32, {5, 7}, 1, -50, 50), y = random_tensor(DType::i32, {7, 3}, 2, -50, 50);
  check(ops::matmul, {x, y}, {}, {0});
  check(ops::linear,
        {x, random_tensor(DType::i32, {4, 7}, 2, -50, 50), random_tensor(DType::i32, {4}, 3, -50, 50)}, {},
        {0});
}

TEST_CASE("a row is fused with a linear layer") {
  const OpDef &tanh = find_op("tanh"), &add = find_op("add");
  Attrs none;
  Tensor x = random_tensor(DType::f32, {17, 9}, 1), w = random_tensor(DType::f32, {50, 9}, 2);
  Tensor bias = random_tensor(DType::f32, {50}, 3), residual = random_tensor(DType::f32, {17, 50}, 4);
  Trial trial{ops::linear, {}, {x, w, bias, residual}, {false, true, true}};
  trial.post = {{&tanh, &none}, {&add, &none, 3}};
  std::vector<double> sum = to_doubles(run_reference(ops::linear, {}, std::vector{x, w, bias}).front());
  std::vector<double> other = to_doubles(residual);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = std::tanh(sum[i]) + other[i];
  ThreadPool pool(1);
  for (Isa isa : isas_here()) {
    std::optional<Tensor> got = run_kernel(trial, kernels::matmul(isa), {isa, &pool});
    REQUIRE(got.has_value());
    CHECK(worst_error(*got, from_doubles(sum, DType::f32, {17, 50}), 2e-6) <= 1);
  }
}

}  // namespace tl
