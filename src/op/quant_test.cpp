// SPDX-License-Identifier: Apache-2.0
// Kernels of quantised constants against the references, and how the older forms of MIL are upgraded.
#include "base/text.h"
#include "ir/mil.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

Tensor random_integers(DType dtype, Shape shape, std::int64_t low, std::int64_t high) {
  std::mt19937 random(7);
  std::vector<std::int64_t> values(static_cast<std::size_t>(volume(shape)));
  for (std::int64_t& v : values)
    v = low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  return from_integers(values, dtype, std::move(shape));
}

void check_kernel(const OpDef& op, std::vector<Tensor> inputs, Named attrs = {}) {
  Trial trial{op, attrs_of(attrs), inputs, std::vector<bool>(inputs.size(), true)};
  Attrs full = complete({op.attrs.begin(), op.attrs.end()}, trial.attrs);
  inputs.resize(op.inputs.size());
  Tensor want = run_reference(op, full, inputs)[0];
  for (Isa isa : isas_here()) {
    ThreadPool pool(3);
    std::optional<Tensor> got = run_kernel(trial, kernels::quant(isa), {isa, &pool});
    REQUIRE_MESSAGE(got, op.name << " " << text_of(want.type()));
    INFO(op.name, " ", name_of(isa), " ", text_of(want.type()));
    CHECK(worst_error(*got, want, 1e-7) <= 1);
  }
}

Tensor mask_of(Shape shape, std::int64_t& count) {
  Tensor mask = random_integers(DType::u1, std::move(shape), 0, 1);
  count = 0;
  for (std::int64_t bit : to_integers(mask)) count += bit;
  return mask;
}

}  // namespace

TEST_CASE("dequantising kernels are as the reference") {
  Tensor bytes = random_integers(DType::i8, {33, 70}, -128, 127);
  check_kernel(ops::dequantize, {bytes, scalar(0.1, DType::f32), scalar(3, DType::i8)});
  check_kernel(ops::dequantize, {bytes, random_tensor(DType::f16, {33}, 1)}, {{"axis", std::int64_t{0}}});
  check_kernel(ops::constexpr_affine_dequantize,
               {bytes, random_tensor(DType::f32, {70}, 1), random_integers(DType::i8, {70}, -5, 5)},
               {{"axis", std::int64_t{1}}});
  for (DType dtype : {DType::i4, DType::u4, DType::u1, DType::u2, DType::u3, DType::u6, DType::u8}) {
    std::int64_t low = dtype == DType::i4 ? -8 : 0, high = low + (std::int64_t{1} << bits_of(dtype)) - 1;
    Tensor data = random_integers(dtype, {6, 20, 35}, low, high);
    for (Shape grid : {Shape{1, 1, 1}, Shape{6, 1, 1}, Shape{3, 4, 7}, Shape{1, 1, 35}, Shape{2, 20, 35}})
      check_kernel(ops::constexpr_blockwise_shift_scale,
                   {data, random_tensor(DType::f16, grid, 2), random_integers(dtype, grid, low, high)});
  }
}

TEST_CASE("the quantising kernel is as the reference") {
  Tensor x = random_tensor(DType::f32, {40, 31}, 3, -20, 20);
  check_kernel(ops::quantize, {x, scalar(0.125, DType::f32), scalar(-3, DType::i8)},
               {{"output_dtype", std::string("int8")}});
  check_kernel(ops::quantize, {x, random_tensor(DType::f32, {31}, 1, 0.05, 0.1)},
               {{"output_dtype", std::string("uint8")}, {"axis", std::int64_t{1}}});
}

TEST_CASE("table kernels are as the reference") {
  for (DType dtype : {DType::u1, DType::u2, DType::u3, DType::u4, DType::u6, DType::u8}) {
    std::int64_t entries = std::int64_t{1} << bits_of(dtype);
    Tensor indices = random_integers(dtype, {8, 150, 3}, 0, entries - 1);
    check_kernel(ops::constexpr_lut_to_dense, {indices, random_tensor(DType::f16, {1, 1, 1, entries, 1}, 1)});
    check_kernel(ops::constexpr_lut_to_dense, {indices, random_tensor(DType::f32, {4, 1, 3, entries, 1}, 1)});
    check_kernel(ops::constexpr_lut_to_dense, {indices, random_tensor(DType::f32, {2, 5, 1, entries, 3}, 1)},
                 {{"vector_axis", std::int64_t{1}}});
  }
}

TEST_CASE("mask kernels are as the reference") {
  std::int64_t count = 0;
  Tensor mask = mask_of({3, 77, 101}, count);
  check_kernel(ops::constexpr_sparse_to_dense, {random_tensor(DType::f16, {count}, 1), mask});
  check_kernel(ops::constexpr_sparse_to_dense, {random_integers(DType::i8, {count}, -9, 9), mask});
  Attrs none;
  std::vector<Tensor> short_by_one{random_tensor(DType::f32, {count - 1}, 1), mask};
  CHECK_THROWS_WITH(run_reference(ops::constexpr_sparse_to_dense, none, short_by_one),
                    doctest::Contains("the mask has"));
}

TEST_CASE("blocks must divide") {
  Graph graph;
  ValueId data = graph.add_constant(random_integers(DType::u4, {4, 6}, 0, 15));
  ValueId scale = graph.add_constant(random_tensor(DType::f32, {4, 4}, 1));
  CHECK_THROWS_WITH(graph.add_node(graph.body, ops::constexpr_blockwise_shift_scale, {data, scale}),
                    doctest::Contains("do not divide"));
}

TEST_CASE("packed bytes beside a shape become a tensor of small integers") {
  Graph graph;
  MilNode node{{&graph, &graph.body}, "constexpr_lut_to_dense", "w", 6};
  auto add = [&](const char* name, Tensor t) { node.inputs[name] = {graph.add_constant(std::move(t))}; };
  add("indices", from_integers(std::vector<std::int64_t>{0x6c, 0x03}, DType::u8, {2}));
  add("lut", from_doubles(std::vector<double>{10, 11, 12, 13}, DType::f32, {4}));
  add("shape", from_integers(std::vector<std::int64_t>{5, 1}, DType::u32, {2}));
  ops::constexpr_lut_to_dense.mil.upgrade(node);
  CHECK(node.inputs.count("shape") == 0);
  CHECK(node.type_of("indices") == Type(DType::u2, {5, 1}));
  CHECK(to_integers(*node.constant("indices")) == std::vector<std::int64_t>{0, 3, 2, 1, 3});
  CHECK(node.type_of("lut").shape == Shape{1, 1, 4, 1});
  add("shape", from_integers(std::vector<std::int64_t>{50, 1}, DType::u32, {2}));
  add("lut", from_doubles(std::vector<double>{10, 11, 12, 13}, DType::f32, {4}));
  add("indices", from_integers(std::vector<std::int64_t>{0x6c, 0x03}, DType::u8, {2}));
  CHECK_THROWS_WITH(ops::constexpr_lut_to_dense.mil.upgrade(node), doctest::Contains("2 bytes are too few"));
}

}  // namespace tl
