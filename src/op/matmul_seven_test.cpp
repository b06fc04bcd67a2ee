// SPDX-License-Identifier: Apache-2.0
// Products in seven parts against the reference: odd sizes, slices, blocks, rows and columns that are not
// alike, activations.
#include <tuple>

#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

// Every instruction set that has it, one thread and three.
void check(const Trial& trial, const Tensor& want, double absolute) {
  static const ThreadPool one(1), three(3);
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here()) {
      if (isa == Isa::base) continue;
      std::optional<Tensor> got = run_kernel(trial, kernels::matmul_seven(isa), {isa, pool});
      INFO(name_of(isa), " ", text_of(trial.inputs[0].type()), " ", text_of(trial.inputs[1].type()),
           " threads ", pool->threads());
      if (isa == Isa::avx2 && !got) continue;  // does not pay there
      REQUIRE(got.has_value());
      CHECK(worst_error(*got, want, absolute) <= 1);
    }
}

void check_linear(Tensor x, Tensor w) {
  Tensor bias = random_tensor(DType::f16, {w.shape()[0]}, 3);
  Trial trial{ops::linear, {}, {x, w, bias}, {false, true, true}};
  check(trial, run_reference(ops::linear, {}, trial.inputs).front(),
        3e-8 * static_cast<double>(w.shape()[1]));
}

// Row or column `i` times a power of two.
Tensor scaled_row(const Tensor& t, std::int64_t row, double scale) {
  std::vector<double> all = to_doubles(t);
  std::int64_t width = t.shape().back();
  for (std::int64_t i = row * width; i < (row + 1) * width; ++i) all[static_cast<std::size_t>(i)] *= scale;
  return from_doubles(all, t.dtype(), t.shape());
}

// 256 elements from `first` on.
Tensor picked(const Tensor& t, int first, int step) {
  std::vector<double> all = to_doubles(t), some;
  for (int i = 0; i < 256; ++i) some.push_back(all[static_cast<std::size_t>(first + i * step)]);
  return from_doubles(some, t.dtype(), {256});
}

}  // namespace

TEST_CASE("products in seven parts are as the reference") {
  for (auto [m, n, k] : {std::array<Dim, 3>{256, 512, 256},
                         {197, 384, 384},
                         {192, 350, 256},
                         {231, 320, 401},
                         {192, 512, 2000},
                         {700, 256, 416},
                         {128, 4000, 256}})
    check_linear(random_tensor(DType::f16, {m, k}, 1), random_tensor(DType::f16, {n, k}, 2, -0.2, 0.2));
}

TEST_CASE("what is not alike is multiplied plainly") {
  Tensor x = random_tensor(DType::f16, {256, 256}, 1),
         w = random_tensor(DType::f16, {512, 256}, 2, -0.2, 0.2);
  check_linear(scaled_row(x, 3, INFINITY), w);
  check_linear(scaled_row(x, 200, NAN), w);
  check_linear(scaled_row(x, 200, 0), w);
  // Small ones beside large ones keep their digits.
  Tensor large = random_tensor(DType::f16, {256, 256}, 1, -1000, 1000);
  Tensor broad = random_tensor(DType::f16, {512, 256}, 2, -4, 4);
  static const ThreadPool pool(2);
  for (auto [a, b, first, step] : {std::tuple(scaled_row(large, 7, 0x1p-20), w, 7 * 512, 1),
                                   {x, scaled_row(broad, 40, 0x1p-14), 40, 512}}) {
    Trial trial{ops::linear, {}, {a, b}, {false, true}};
    Tensor want = run_reference(ops::linear, {}, std::vector{a, b, Tensor()}).front();
    for (Isa isa : isas_here()) {
      if (isa == Isa::base) continue;
      std::optional<Tensor> got = run_kernel(trial, kernels::matmul_seven(isa), {isa, &pool});
      REQUIRE(got.has_value());
      CHECK(worst_error(picked(*got, first, step), picked(want, first, step), 1e-7) <= 1);
    }
  }
}

TEST_CASE("activations and residuals follow products in seven parts") {
  Tensor x = random_tensor(DType::f16, {256, 256}, 1, -2, 2),
         w = random_tensor(DType::f16, {520, 256}, 2, -0.2, 0.2);
  Tensor bias = random_tensor(DType::f16, {520}, 3), residual = random_tensor(DType::f16, {256, 520}, 4);
  Tensor product = run_reference(ops::linear, {},
                                 std::vector{from_doubles(to_doubles(x), DType::f32, x.shape()),
                                             from_doubles(to_doubles(w), DType::f32, w.shape()),
                                             from_doubles(to_doubles(bias), DType::f32, bias.shape())})
                       .front();
  const OpDef& add = find_op("add");
  Attrs none;
  for (const auto& row : {std::pair("silu", ""),
                          {"gelu", "EXACT"},
                          {"gelu", "TANH_APPROXIMATION"},
                          {"gelu", "SIGMOID_APPROXIMATION"},
                          {"tanh", ""},
                          {"relu", ""}}) {
    const char *name = row.first, *mode = row.second;
    const OpDef& op = find_op(name);
    Attrs attrs = *mode ? attrs_of({{"mode", std::string(mode)}}) : Attrs();
    Tensor after = run_reference(op, attrs, std::vector{product}).front();
    std::vector<double> sum = to_doubles(after), more = to_doubles(residual);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
    INFO(name, " ", mode);
    Trial trial{ops::linear, {}, {x, w, bias, residual}, {false, true, true}};
    trial.post = {{&op, &attrs}};
    check(trial, from_doubles(to_doubles(after), DType::f16, after.shape()), 1e-5);
    trial.post = {{&op, &attrs}, {&add, &none, 3}};
    check(trial, from_doubles(sum, DType::f16, after.shape()), 2e-4);
  }
}

}  // namespace tl
