// SPDX-License-Identifier: Apache-2.0
// The attention kernel against the reference: every instruction set here, odd shapes, every form of mask.
#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

void check(DType dtype, Shape q, Dim keys, Dim out_width, Tensor mask) {
  Shape k = q, v = q;
  k[q.size() - 2] = v[q.size() - 2] = keys;
  v.back() = out_width;
  std::vector<Tensor> inputs{random_tensor(dtype, q, 1, -3, 3), random_tensor(dtype, k, 2, -3, 3),
                             random_tensor(dtype, v, 3), mask};
  Trial trial{ops::scaled_dot_product_attention, {}, inputs};
  Tensor want = run_reference(trial.op, {}, inputs).front();
  static const ThreadPool one(1), three(3);
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here()) {
      std::optional<Tensor> got = run_kernel(trial, kernels::attention(isa), {isa, pool});
      INFO(name_of(isa), " ", text_of(inputs[0].type()), " keys ", keys, " values ", out_width);
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, want, 1e-5) <= 1);
    }
}

}  // namespace

TEST_CASE("attention is as the reference") {
  for (DType dtype : {DType::f32, DType::f16}) {
    check(dtype, {2, 3, 5, 4}, 7, 6, {});
    check(dtype, {1, 2, 40, 16}, 70, 32, {});
    check(dtype, {3, 1, 33}, 45, 20, {});
    check(dtype, {1, 4, 100, 8}, 1, 48, random_tensor(dtype, {100, 1}, 4));
    check(dtype, {2, 3, 17, 8}, 21, 16, random_tensor(dtype, {2, 1, 1, 21}, 4, -4, 4));
    std::vector<double> keep(17 * 21);
    for (std::size_t i = 0; i < keep.size(); ++i)
      keep[i] = i >= 21 && i % 3 != 0;  // the first query sees nothing: NaN
    check(dtype, {2, 3, 17, 8}, 21, 16, from_doubles(keep, DType::boolean, {17, 21}));
  }
}

}  // namespace tl
