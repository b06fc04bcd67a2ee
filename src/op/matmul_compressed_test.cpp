// SPDX-License-Identifier: Apache-2.0
// Products by compressed weights against the reference on what they expand to: every form, every instruction
// set here, lengths that fill no vector, blocks, groups, few and many rows.
#include <functional>

#include "base/text.h"
#include "op/compressed_test.h"
#include "op/ops.h"

namespace tl {
namespace {

void check(const Trial& trial, const Weight& w, const Tensor& want) {
  static const ThreadPool one(1), two(2);
  double terms = 1 + static_cast<double>(trial.inputs[0].shape().back());
  for (const ThreadPool* pool : {&one, &two})
    for (Isa isa : isas_here()) {
      if (pool == &two && isa != best_isa() && isa != Isa::avx512) continue;
      std::optional<Tensor> got = run(trial, w.how(), kernels::matmul_compressed(isa), {isa, pool});
      INFO(w.op.name, " ", text_of(w.inputs[0].type()), " by ", text_of(w.inputs[1].type()), " for ",
           text_of(trial.inputs[0].type()), " ", name_of(isa), " threads ", pool->threads());
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, want, 1e-6 * terms) <= 1);
    }
}

// As the weight of linear, with and without a bias; and of matmul.
void check_linear(const Weight& w, DType dtype, Dim rows) {
  Tensor dense = w.expanded();
  Dim n = dense.shape()[0], k = dense.shape()[1];
  Tensor x = random_tensor(dtype, {rows, k}, 5), bias = random_tensor(dtype, {n}, 6);
  check({ops::linear, {}, {x, dense, {}}}, w, run_reference(ops::linear, {}, std::vector{x, dense}).front());
  check({ops::linear, {}, {x, dense, bias}}, w,
        run_reference(ops::linear, {}, std::vector{x, dense, bias}).front());
}

void check_product(const Weight& w, DType dtype, Dim rows, bool turned) {
  Tensor dense = w.expanded();
  Tensor x = random_tensor(dtype, {2, rows, dense.shape()[turned ? 1 : 0]}, 5);
  Attrs attrs =
      complete({ops::matmul.attrs.begin(), ops::matmul.attrs.end()}, attrs_of({{"transpose_y", turned}}));
  check({ops::matmul, attrs, {x, dense}}, w,
        run_reference(ops::matmul, attrs, std::vector{x, dense}).front());
}

void check_everywhere(const std::function<Weight(DType)>& make) {
  for (DType dtype : {DType::f16, DType::f32})
    for (Dim rows : {1, 7, 20}) check_linear(make(dtype), dtype, rows);
}

}  // namespace

TEST_CASE("products by weights with scales are as the reference") {
  for (DType codes : {DType::i4, DType::u4, DType::i8, DType::u8}) {
    check_everywhere([&](DType d) { return blockwise(codes, d, {37, 96}, {37, 3}, true); });
    check_everywhere([&](DType d) { return blockwise(codes, d, {32, 80}, {4, 5}, false); });
    check_everywhere([&](DType d) { return blockwise(codes, d, {5, 51}, {5, 3}, true); });
    check_everywhere([&](DType d) { return blockwise(codes, d, {70, 300}, {1, 1}, false); });
  }
  for (DType codes : {DType::i8, DType::u8})
    for (Dim k : {1, 7, 33, 290}) {
      check_everywhere([&](DType d) { return affine(codes, d, {9, k}, {9}, 0); });
      check_everywhere([&](DType d) { return affine(codes, d, {33, k}, {}, 0); });
    }
}

TEST_CASE("products by weights with tables are as the reference") {
  for (DType codes : {DType::u1, DType::u2, DType::u3, DType::u4, DType::u6, DType::u8}) {
    check_everywhere([&](DType d) { return palette(codes, d, {200, 97}, 1, 1); });
    check_everywhere([&](DType d) { return palette(codes, d, {128, 128}, 2, 1); });
  }
  check_everywhere([&](DType d) { return palette(DType::u4, d, {200, 96}, 4, 3); });
  check_everywhere([&](DType d) { return palette(DType::u2, d, {1, 7}, 1, 1); });
}

TEST_CASE("matmul takes compressed weights both ways") {
  for (DType dtype : {DType::f16, DType::f32})
    for (Dim rows : {1, 3, 20})
      for (bool turned : {false, true}) {
        check_product(blockwise(DType::i4, dtype, {64, 96}, {2, 3}, true), dtype, rows, turned);
        check_product(blockwise(DType::u8, dtype, {48, 48}, {3, 1}, true), dtype, rows, turned == false);
        check_product(palette(DType::u4, dtype, {90, 75}, 2, 1), dtype, rows, turned);
        check_product(affine(DType::i8, dtype, {40, 41}, {}, 0), dtype, rows, turned);
      }
}

TEST_CASE("what follows a product by a compressed weight is fused") {
  const OpDef &tanh = find_op("tanh"), &add = find_op("add");
  Attrs none;
  Weight w = blockwise(DType::i4, DType::f32, {50, 64}, {50, 2}, true);
  Tensor dense = w.expanded();
  for (Dim rows : {1, 5, 17}) {
    Tensor x = random_tensor(DType::f32, {rows, 64}, 1), bias = random_tensor(DType::f32, {50}, 3);
    Tensor residual = random_tensor(DType::f32, {rows, 50}, 4);
    std::vector<double> sum = to_doubles(run_reference(ops::linear, {}, std::vector{x, dense, bias}).front());
    std::vector<double> other = to_doubles(residual);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = std::tanh(sum[i]) + other[i];
    Trial trial{ops::linear, {}, {x, dense, bias, residual}};
    trial.post = {{&tanh, &none}, {&add, &none, 3}};
    check(trial, w, from_doubles(sum, DType::f32, {rows, 50}));
  }
}

TEST_CASE("compressions without a kernel are refused") {
  static const ThreadPool pool(1);
  Tensor x = random_tensor(DType::f32, {2, 64}, 1);
  auto refused = [&](const Weight& w) {
    CHECK(!run({ops::linear, {}, {x, w.expanded(), {}}}, w.how(), kernels::matmul_compressed(Isa::base),
               {Isa::base, &pool})
               .has_value());
  };
  refused(blockwise(DType::i4, DType::f32, {8, 64}, {8, 8}, false));  // blocks of 8
  refused(affine(DType::i8, DType::f32, {8, 64}, {64}, 1));
  Weight vectors = palette(DType::u4, DType::f32, {4, 64}, 1, 1);
  vectors.inputs[1] = random_tensor(DType::f32, {1, 1, 16, 2}, 2);
  vectors.attrs = attrs_of({{"vector_axis", std::int64_t{0}}});
  refused(vectors);
}

}  // namespace tl
