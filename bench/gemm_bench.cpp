// SPDX-License-Identifier: Apache-2.0
// Sums of products on this machine: a product that stays in the first caches, matrix products, the
// convolutions of ResNet-50 and MobileNetV2. GFLOP/s is the figure to compare with the peak.
#include <benchmark/benchmark.h>

#include <random>

#include "base/text.h"
#include "ir/ex.h"
#include "op/kernels.h"
#include "op/ops.h"

namespace {

using namespace tl;

Tensor random_tensor(DType dtype, Shape shape) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> values(static_cast<std::size_t>(volume(shape)));
  for (double& v : values) v = uniform(random);
  return from_doubles(values, dtype, std::move(shape));
}

struct Call {
  const OpDef& op;
  Attrs attrs = {};
  std::vector<Tensor> inputs = {};
  KernelTable table = {};
  bool dynamic = false;  // else all inputs but the first are constants
};

// Runs the first kernel that takes the call.
void run(benchmark::State& state, Call call) {
  auto& [op, given, inputs, table, dynamic] = call;
  ThreadPool pool(static_cast<int>(state.range(0)));
  Machine machine{best_isa(), &pool};
  Attrs attrs = complete({op.attrs.begin(), op.attrs.end()}, given);
  std::vector<Type> types;
  std::vector<const Tensor*> constants(op.inputs.size(), nullptr);
  auto has = std::make_unique<bool[]>(op.inputs.size());
  inputs.resize(op.inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    types.push_back(inputs[i] ? inputs[i].type() : Type());
    has[i] = static_cast<bool>(inputs[i]);
    if (i > 0 && !dynamic && has[i]) constants[i] = &inputs[i];
  }
  std::vector<Type> out = op.infer({types, constants, {has.get(), inputs.size()}, attrs});
  KernelRequest request{op, attrs, types, {has.get(), inputs.size()}, constants, out, machine};
  std::unique_ptr<Kernel> kernel;
  for (const KernelRow& row : table)
    if (row.op == &op && (kernel = row.make(request))) {
      state.SetLabel(std::string(row.name));
      break;
    }
  if (!kernel) return state.SkipWithError("no kernel");
  Tensor result(out[0].dtype, out[0].shape);
  StoragePtr scratch = allocate(kernel->scratch + 1);
  std::vector<const std::byte*> in;
  for (const Tensor& t : inputs) in.push_back(t ? t.data() : nullptr);
  std::byte* to = result.writable_data();
  KernelCall once{in.data(), &to, scratch->data(), pool};
  kernel->run(once);
  for (auto _ : state) kernel->run(once);
  state.counters["GFLOP/s"] =
      benchmark::Counter(kernel->flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

struct Layer {
  std::int64_t channels, size, outs, kernel, stride, count;
  bool depthwise = false;
};

// Every distinct convolution of ResNet-50 at 224 x 224, and how often it occurs.
constexpr Layer resnet50[] = {
    {3, 224, 64, 7, 2, 1},     {64, 56, 64, 1, 1, 1},    {64, 56, 64, 3, 1, 3},    {64, 56, 256, 1, 1, 4},
    {256, 56, 64, 1, 1, 2},    {256, 56, 128, 1, 1, 1},  {128, 56, 128, 3, 2, 1},  {128, 28, 512, 1, 1, 4},
    {256, 56, 512, 1, 2, 1},   {512, 28, 128, 1, 1, 3},  {128, 28, 128, 3, 1, 3},  {512, 28, 256, 1, 1, 1},
    {256, 28, 256, 3, 2, 1},   {256, 14, 1024, 1, 1, 6}, {512, 28, 1024, 1, 2, 1}, {1024, 14, 256, 1, 1, 5},
    {256, 14, 256, 3, 1, 5},   {1024, 14, 512, 1, 1, 1}, {512, 14, 512, 3, 2, 1},  {512, 7, 2048, 1, 1, 3},
    {1024, 14, 2048, 1, 2, 1}, {2048, 7, 512, 1, 1, 2},  {512, 7, 512, 3, 1, 2},
};
constexpr Layer mobilenet_v2[] = {
    {3, 224, 32, 3, 2, 1},         {32, 112, 32, 3, 1, 1, true},  {32, 112, 16, 1, 1, 1},
    {16, 112, 96, 1, 1, 1},        {96, 112, 96, 3, 2, 1, true},  {96, 56, 24, 1, 1, 1},
    {24, 56, 144, 1, 1, 2},        {144, 56, 144, 3, 1, 1, true}, {144, 28, 32, 1, 1, 1},
    {192, 28, 192, 3, 1, 2, true}, {192, 14, 64, 1, 1, 1},        {384, 14, 384, 3, 1, 4, true},
    {64, 14, 384, 1, 1, 4},        {576, 14, 96, 1, 1, 2},        {960, 7, 960, 3, 1, 3, true},
    {160, 7, 960, 1, 1, 3},        {960, 7, 160, 1, 1, 2},        {320, 7, 1280, 1, 1, 1},
};

KernelTable table_of(const Layer& l) {
  if (l.depthwise) return kernels::conv_depthwise(best_isa());
  return l.kernel == 1 && l.stride == 1 && l.size > 14 ? kernels::conv_pointwise(best_isa())
                                                       : kernels::conv(best_isa());
}

void convolution(benchmark::State& state, Layer l, DType dtype) {
  std::int64_t pad = l.kernel / 2, groups = l.depthwise ? l.channels : 1;
  Attrs attrs = attrs_of({{"strides", std::vector{l.stride, l.stride}},
                          {"pad_type", std::string("custom")},
                          {"pad", std::vector{pad, pad, pad, pad}},
                          {"groups", groups}});
  run(state, {ops::conv,
              attrs,
              {random_tensor(dtype, {1, l.channels, l.size, l.size}),
               random_tensor(dtype, {l.outs, l.channels / groups, l.kernel, l.kernel}),
               random_tensor(dtype, {l.outs})},
              table_of(l)});
}

// Small enough for the first caches: close to what the multipliers can do.
void cached(benchmark::State& state) {
  std::int64_t depth = 256;
  run(state, {ops::matmul,
              {},
              {random_tensor(DType::f32, {84, depth}), random_tensor(DType::f32, {depth, 64})},
              kernels::matmul(best_isa())});
}

void product(benchmark::State& state, Shape x, Shape y, DType dtype, bool dynamic) {
  run(state, {ops::matmul,
              {},
              {random_tensor(dtype, x), random_tensor(dtype, y)},
              kernels::matmul(best_isa()),
              dynamic});
}

void add_layers(std::string_view model, std::span<const Layer> layers) {
  for (const Layer& l : layers)
    for (DType dtype : {DType::f16, DType::f32}) {
      std::string name = text("{}/{}/{}x{}{} {}x{}->{} /{} x{}", model, name_of(dtype), l.kernel, l.kernel,
                              l.depthwise ? "dw" : "", l.channels, l.size, l.outs, l.stride, l.count);
      benchmark::RegisterBenchmark(name.c_str(), convolution, l, dtype)->Arg(1)->Arg(2)->UseRealTime();
    }
}

const int registered = [] {
  benchmark::RegisterBenchmark("matmul/cached", cached)->Arg(1)->UseRealTime();
  add_layers("resnet50", resnet50);
  add_layers("mobilenet_v2", mobilenet_v2);
  const std::pair<Shape, Shape> sizes[] = {{{1, 4096}, {4096, 4096}},    {{8, 1024}, {1024, 4096}},
                                           {{128, 768}, {768, 3072}},    {{512, 512}, {512, 512}},
                                           {{1024, 1024}, {1024, 1024}}, {{12, 197, 64}, {12, 64, 197}}};
  for (const auto& [x, y] : sizes)
    for (DType dtype : {DType::f16, DType::f32})
      for (bool dynamic : {false, true}) {
        std::string name = text("matmul/{}/{} by {}{}", name_of(dtype), join(x, "x"), join(y, "x"),
                                dynamic ? "/dynamic" : "");
        benchmark::RegisterBenchmark(name.c_str(), product, x, y, dtype, dynamic)
            ->Arg(1)
            ->Arg(2)
            ->UseRealTime();
      }
  return 0;
}();

}  // namespace
