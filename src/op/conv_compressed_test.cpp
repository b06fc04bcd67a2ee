// SPDX-License-Identifier: Apache-2.0
// Convolutions by compressed weights against the reference on what they expand to: every form, every
// instruction set here, blocks, groups, taps, phases of transposed ones.
#include <functional>

#include "op/compressed_test.h"

namespace tl {
namespace {

Weight table(DType codes, DType real, Shape shape, Dim outer, Dim inner) {
  Shape tables(shape.size(), 1);
  tables[0] = outer, tables[1] = inner;
  tables.push_back(Dim{1} << bits_of(codes));
  tables.push_back(1);
  return {ops::constexpr_lut_to_dense, {}, {integers(codes, shape, 1), random_tensor(real, tables, 2)}};
}

std::vector<KernelTable> tables_of(Isa isa) {
  return {kernels::conv(isa), kernels::conv_pointwise(isa), kernels::conv_winograd(isa)};
}

// True if some kernel has taken it.
bool check(const OpDef& op, const Attrs& given, const Weight& w, Shape x_shape, bool with_bias) {
  static const ThreadPool one(1), three(3);
  Tensor dense = w.expanded();
  Attrs attrs = complete({op.attrs.begin(), op.attrs.end()}, given);
  Dim outs = &op == &ops::conv ? dense.shape()[0] : dense.shape()[1] * attrs.integer("groups");
  std::vector<Tensor> inputs{random_tensor(dense.dtype(), std::move(x_shape), 5), dense};
  inputs.push_back(with_bias ? random_tensor(dense.dtype(), {outs}, 6) : Tensor());
  Tensor want = run_reference(op, attrs, inputs).front();
  double terms = 1 + static_cast<double>(volume(dense.shape())) / static_cast<double>(outs);
  bool taken = false;
  for (const ThreadPool* pool : {&one, &three})
    for (Isa isa : isas_here())
      for (KernelTable kernels : tables_of(isa)) {
        std::optional<Tensor> got = run({op, attrs, inputs}, w.how(), kernels, {isa, pool});
        INFO(kernels[0].name, " ", w.op.name, " ", text_of(w.inputs[0].type()), " by ",
             text_of(w.inputs[1].type()), " for ", text_of(inputs[0].type()), " ", name_of(isa));
        bool winograd = kernels[0].name == "conv_winograd";
        if (got) CHECK(worst_error(*got, want, (winograd ? 1e-5 : 1e-6) * terms) <= 1);
        taken = taken || got.has_value();
      }
  return taken;
}

void check_all(const std::function<Weight(DType)>& make, const Shape& x, const Named& attrs = {}) {
  for (DType dtype : {DType::f16, DType::f32}) CHECK(check(ops::conv, attrs_of(attrs), make(dtype), x, true));
}

}  // namespace

TEST_CASE("convolutions by weights with scales are as the reference") {
  std::string same = "same";
  for (DType codes : {DType::i4, DType::u4, DType::i8, DType::u8}) {
    check_all(
        [&](DType d) {
          return blockwise(codes, d, {37, 64, 1, 1}, {37, 2, 1, 1}, true);
        },
        {1, 64, 9, 9});
    check_all(
        [&](DType d) {
          return blockwise(codes, d, {40, 32, 3, 3}, {40, 1, 1, 1}, true);
        },
        {2, 32, 8, 7}, {{"pad_type", same}});
    check_all(
        [&](DType d) {
          return blockwise(codes, d, {33, 48, 3, 2}, {11, 3, 1, 1}, false);
        },
        {1, 48, 9, 5});
    check_all([&](DType d) { return blockwise(codes, d, {50, 33, 5}, {1, 1, 1}, false); }, {2, 33, 9});
  }
  check_all([&](DType d) { return affine(DType::u8, d, {34, 33, 3, 3}, {34}, 0); }, {1, 33, 9, 9});
  check_all([&](DType d) { return affine(DType::i8, d, {64, 64, 1, 1}, {}, 0); }, {1, 64, 16, 16});
}

TEST_CASE("convolutions by weights with tables are as the reference") {
  std::string same = "same";
  for (DType codes : {DType::u1, DType::u2, DType::u3, DType::u4, DType::u6, DType::u8}) {
    check_all([&](DType d) { return table(codes, d, {70, 64, 1, 1}, 1, 1); }, {1, 64, 12, 12});
    check_all([&](DType d) { return table(codes, d, {64, 33, 3, 3}, 4, 1); }, {1, 33, 6, 7});
    check_all(
        [&](DType d) {
          return table(codes, d, {64, 128, 3, 3}, 2, 1);
        },
        {1, 128, 16, 20}, {{"pad_type", same}});
    check_all([&](DType d) { return table(codes, d, {60, 256, 2, 2}, 10, 1); }, {1, 256, 6, 7});
  }
  check_all([&](DType d) { return table(DType::u4, d, {64, 256, 3, 3}, 2, 2); }, {1, 256, 4, 4});
}

TEST_CASE("groups, strides and dilations of convolutions by compressed weights") {
  Named groups{{"groups", std::int64_t{2}}, {"strides", std::vector<std::int64_t>{2, 1}}};
  check_all([&](DType d) { return table(DType::u4, d, {68, 32, 3, 3}, 1, 1); }, {1, 64, 9, 9}, groups);
  check_all(
      [&](DType d) {
        return blockwise(DType::i4, d, {68, 32, 3, 3}, {68, 2, 1, 1}, true);
      },
      {2, 64, 9, 9}, groups);
  check_all(
      [&](DType d) {
        return blockwise(DType::i8, d, {68, 32, 1, 1}, {34, 1, 1, 1}, true);
      },
      {1, 64, 12, 16}, {{"groups", std::int64_t{2}}});
  check_all([&](DType d) { return table(DType::u6, d, {32, 32, 3, 3, 2}, 1, 1); }, {1, 32, 5, 4, 6});
}

TEST_CASE("transposed convolutions by compressed weights are as the reference") {
  auto two = std::vector<std::int64_t>{2, 2};
  Attrs strides = attrs_of({{"strides", two}}), groups = attrs_of({{"groups", std::int64_t{2}}});
  for (DType d : {DType::f16, DType::f32}) {
    CHECK(
        check(ops::conv_transpose, strides, table(DType::u4, d, {64, 40, 3, 3}, 1, 1), {1, 64, 5, 4}, true));
    CHECK(check(ops::conv_transpose, strides, blockwise(DType::i4, d, {64, 40, 2, 2}, {4, 40, 1, 1}, true),
                {1, 64, 5, 4}, false));
    CHECK(check(ops::conv_transpose, groups, blockwise(DType::i8, d, {64, 40, 2, 2}, {2, 20, 1, 1}, true),
                {1, 64, 5, 4}, true));
    CHECK(check(ops::conv_transpose, groups, blockwise(DType::i4, d, {64, 40, 2, 2}, {1, 1, 1, 1}, true),
                {1, 64, 5, 4}, true));
  }
}

TEST_CASE("compressed weights of convolutions without a kernel are refused") {
  CHECK(!check(ops::conv, {}, blockwise(DType::i4, DType::f32, {8, 8, 4, 4}, {8, 8, 2, 2}, false),
               {1, 8, 6, 6}, false));
  CHECK(!check(ops::conv, attrs_of({{"groups", std::int64_t{8}}}),
               table(DType::u4, DType::f16, {8, 1, 3, 3}, 1, 1), {1, 8, 6, 6}, false));
}

}  // namespace tl
