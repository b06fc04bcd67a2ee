// SPDX-License-Identifier: Apache-2.0
// The copy engine against the walk that the reference takes, over shapes that meet its tiles, widened
// elements and split work.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "ir/ex.h"
#include "op/kernels.h"
#include "op/ops.h"
#include "op/reference.h"

namespace tl {
namespace {

std::unique_ptr<Kernel> kernel_of(const KernelRequest& request) {
  for (KernelTable table : {kernels::move(Isa::base), kernels::index(Isa::base), kernels::order(Isa::base)})
    for (const KernelRow& row : table)
      if (row.op == &request.op)
        if (auto kernel = row.make(request)) return kernel;
  return nullptr;
}

// The kernel's outputs, its inputs after the first constant or not.
struct Call {
  const OpDef& op;
  const Attrs& attrs;
};
std::vector<Tensor> run_kernel(const Call& call, std::span<const Tensor> in, std::span<const Tensor> like,
                               bool constants, const ThreadPool& pool) {
  std::vector<Type> types, out;
  std::vector<const Tensor*> known(in.size(), nullptr);
  std::unique_ptr<bool[]> given(new bool[in.size()]);
  std::vector<const std::byte*> from;
  for (std::size_t i = 0; i < in.size(); ++i) {
    types.push_back(in[i].type());
    given[i] = true;
    if (constants && i > 0) known[i] = &in[i];
    from.push_back(in[i].data());
  }
  std::vector<Tensor> results;
  std::vector<std::byte*> to;
  for (const Tensor& t : like) {
    out.push_back(t.type());
    results.emplace_back(t.dtype(), t.shape());
  }
  for (Tensor& t : results) {
    to.push_back(t.writable_data());
    std::fill_n(to.back(), t.bytes(), std::byte{0x3b});
  }
  Machine machine{Isa::base, &pool};
  auto kernel = kernel_of({call.op, call.attrs, types, {given.get(), in.size()}, known, out, machine});
  if (!kernel) return {};
  StoragePtr scratch = allocate(kernel->scratch + 1);
  kernel->run({from.data(), to.data(), scratch->data(), pool});
  return results;
}

Tensor numbered(DType d, Shape shape, std::int64_t modulus) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(volume(shape)));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int64_t>(i * 7 + i / 251) % modulus;
  return from_integers(values, d, std::move(shape));
}

Tensor vector_of(std::vector<std::int64_t> values) {
  Shape shape{static_cast<Dim>(values.size())};
  return from_integers(values, DType::i32, std::move(shape));
}

void compare(const OpDef& op, std::vector<Tensor> in, Named given) {
  Attrs attrs = complete({op.attrs.begin(), op.attrs.size()}, attrs_of(given));
  std::vector<Tensor> want = run_reference(op, attrs, in);
  for (int threads : {1, 3})
    for (bool constants : {false, true}) {
      ThreadPool pool(threads);
      std::vector<Tensor> got = run_kernel({op, attrs}, in, want, constants, pool);
      REQUIRE_MESSAGE(got.size() == want.size(), op.name);
      for (std::size_t i = 0; i < want.size(); ++i)
        CHECK_MESSAGE(same(got[i], want[i]),
                      op.name << " of " << text_of(in[0].type()) << " with " << threads << " threads");
    }
}

using Ints = std::vector<std::int64_t>;
constexpr DType sizes[] = {DType::u8, DType::f16, DType::i32, DType::f64};

}  // namespace

TEST_CASE("transposes of all orders and element sizes") {
  for (DType d : sizes)
    for (Shape shape : {Shape{3, 5, 2, 4}, Shape{2, 33, 17, 8}, Shape{1, 40, 3, 50}, Shape{2, 16, 16, 6},
                        Shape{65, 1, 9, 16}}) {
      Tensor x = numbered(d, shape, 251);
      Ints perm{0, 1, 2, 3};
      do compare(ops::transpose, {x}, {{"perm", perm}});
      while (std::next_permutation(perm.begin(), perm.end()));
    }
  compare(ops::transpose, {numbered(DType::f32, {700, 301}, 1 << 20)}, {{"perm", Ints{1, 0}}});
  compare(ops::transpose, {numbered(DType::f16, {4, 300, 64, 5}, 2048)}, {{"perm", Ints{0, 2, 1, 3}}});
}

TEST_CASE("joins, parts, repeats and borders of every element size") {
  for (DType d : sizes) {
    Tensor x = numbered(d, {5, 36, 30}, 251), y = numbered(d, {5, 7, 30}, 100);
    compare(ops::concat, {x, y, x}, {{"axis", std::int64_t{1}}});
    compare(ops::concat, {x, x}, {{"axis", std::int64_t{2}}, {"interleave", true}});
    compare(ops::concat, {x, x, x}, {{"axis", std::int64_t{1}}, {"interleave", true}});
    compare(ops::stack, {x, x}, {{"axis", std::int64_t{3}}});
    compare(ops::split, {x}, {{"axis", std::int64_t{2}}, {"split_sizes", Ints{1, 8, 0, 21}}});
    compare(ops::tile, {y, vector_of({2, 3, 1})}, {});
    compare(ops::tile, {numbered(d, {70, 1}, 99), vector_of({1, 600})}, {});
    compare(ops::reverse, {x}, {{"axes", Ints{0, 2}}});
    compare(ops::slice_by_index, {x, vector_of({4, 3, -1}), vector_of({0, 33, 2})},
            {{"stride", Ints{-2, 3, -1}}});
    compare(ops::slice_update,
            {x, numbered(d, {2, 10, 27}, 90), vector_of({4, 3, -1}), vector_of({0, 33, 2})},
            {{"stride", Ints{-2, 3, -1}}});
    compare(ops::slice_by_size, {x, vector_of({1, -30, 2}), vector_of({3, 25, -1})}, {});
    compare(ops::sliding_windows, {x},
            {{"axis", std::int64_t{1}}, {"size", std::int64_t{6}}, {"stride", std::int64_t{5}}});
    compare(ops::reverse_sequence, {x, vector_of({0, 1, 36, 7, 20})}, {{"seq_axis", std::int64_t{1}}});
    compare(ops::pad, {x, vector_of({0, 0, 3, 1, 2, 5})}, {{"constant_val", 3.0}});
  }
  for (const char* mode : {"reflect", "replicate", "constant"}) {
    Attrs attrs;
    Tensor x = numbered(DType::f16, {3, 40, 61}, 2000), amounts = vector_of({2, 1, 39, 0, 5, 60});
    attrs.set("mode", std::string(mode));
    attrs = complete({ops::pad.attrs.begin(), ops::pad.attrs.size()}, attrs);
    std::vector<Tensor> in{x, amounts}, want = run_reference(ops::pad, attrs, in);
    CHECK(same(run_kernel({ops::pad, attrs}, in, want, true, ThreadPool(2)).at(0), want[0]));
  }
}

TEST_CASE("blocks of space as channels or batch") {
  for (DType d : sizes) {
    compare(ops::depth_to_space, {numbered(d, {2, 36, 15, 18}, 251)}, {{"block_size", std::int64_t{3}}});
    compare(ops::space_to_depth, {numbered(d, {2, 5, 16, 32}, 251)}, {{"block_size", std::int64_t{2}}});
    compare(ops::pixel_shuffle, {numbered(d, {2, 36, 15, 18}, 251)}, {{"upscale_factor", std::int64_t{2}}});
    compare(ops::pixel_unshuffle, {numbered(d, {2, 5, 16, 32}, 251)},
            {{"downscale_factor", std::int64_t{4}}});
    compare(ops::batch_to_space, {numbered(d, {12, 5, 16, 31}, 251)},
            {{"block_shape", Ints{3, 2}}, {"crops", Ints{4, 5, 0, 3}}});
    compare(ops::space_to_batch, {numbered(d, {2, 5, 16, 31}, 251)},
            {{"block_shape", Ints{3, 2}}, {"paddings", Ints{4, 1, 0, 3}}});
  }
}

TEST_CASE("gathers, scatters and sorts at every element size") {
  for (DType d : {DType::i8, DType::f16, DType::f32, DType::i32}) {
    Tensor x = numbered(d, {6, 50, 24}, 113), at = numbered(DType::i32, {6, 40, 24}, 50),
           row = numbered(DType::u16, {70}, 50);
    compare(ops::gather, {x, row}, {{"axis", std::int64_t{1}}});
    compare(ops::gather, {x, numbered(DType::i16, {9, 9}, 24)}, {{"axis", std::int64_t{-1}}});
    compare(ops::gather_along_axis, {x, at}, {{"axis", std::int64_t{1}}});
    compare(ops::gather_nd, {x, numbered(DType::i32, {30, 2}, 6)}, {});
    for (const char* mode : {"update", "max", "min"}) {
      compare(ops::scatter_along_axis, {x, at, numbered(d, {6, 40, 24}, 90)},
              {{"axis", std::int64_t{1}}, {"mode", std::string(mode)}});
      compare(ops::scatter_nd, {x, numbered(DType::i32, {30, 2}, 6), numbered(d, {30, 24}, 90)},
              {{"mode", std::string(mode)}});
      compare(ops::scatter, {x, row, numbered(d, {6, 70, 24}, 90)},
              {{"axis", std::int64_t{1}}, {"mode", std::string(mode)}});
    }
    compare(ops::topk, {x}, {{"axis", std::int64_t{1}}, {"k", std::int64_t{7}}});
    compare(ops::topk, {x},
            {{"axis", std::int64_t{2}},
             {"k", std::int64_t{-1}},
             {"ascending", true},
             {"output_indices_dtype", std::string("uint16")}});
    compare(ops::argsort, {x}, {{"axis", std::int64_t{0}}});
    compare(ops::cumsum, {x}, {{"axis", std::int64_t{1}}, {"exclusive", true}});
    compare(ops::cumsum, {x}, {{"axis", std::int64_t{2}}, {"reverse", true}});
    for (std::int64_t lower : {-1, 0, 3, 100})
      for (std::int64_t upper : {-1, 0, 5})
        compare(ops::band_part, {x}, {{"lower", lower}, {"upper", upper}});
  }
}

TEST_CASE("an update in its input's place copies only the slice") {
  Tensor x = numbered(DType::f32, {8, 64}, 1000), update = numbered(DType::f32, {1, 64}, 50),
         begin = vector_of({3, 0}), end = vector_of({4, 64});
  Attrs attrs = complete({ops::slice_update.attrs.begin(), ops::slice_update.attrs.size()}, {});
  std::vector<Tensor> in{x, update, begin, end}, want = run_reference(ops::slice_update, attrs, in);
  std::vector<Type> types;
  for (const Tensor& t : in) types.push_back(t.type());
  bool given[] = {true, true, true, true};
  const Tensor* unknown_values[] = {nullptr, nullptr, nullptr, nullptr};
  ThreadPool pool(1);
  Machine machine{Isa::base, &pool};
  std::vector<Type> out{x.type()};
  auto kernel = kernel_of({ops::slice_update, attrs, types, given, unknown_values, out, machine});
  REQUIRE(kernel);
  CHECK(kernel->in_place == 0);
  std::byte* place = x.writable_data();
  const std::byte* from[] = {place, update.data(), begin.data(), end.data()};
  kernel->run({from, &place, nullptr, pool});
  CHECK(same(x, want[0]));
}

}  // namespace tl
