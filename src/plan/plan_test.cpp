// SPDX-License-Identifier: Apache-2.0
// What no script can reach of plans: that running allocates nothing, that threads do not disturb each other,
// that the arena is laid out without overlaps.
#include "plan/plan.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <thread>

#include "ir/ex.h"
#include "op/ops.h"
#include "op/reference.h"
#include "plan/memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TL_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TL_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef TL_COUNTS_ALLOCATIONS
#define TL_COUNTS_ALLOCATIONS 1
#endif

#if TL_COUNTS_ALLOCATIONS
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // GCC 12 does not see that both are replaced
#endif
static std::atomic<long> allocations{0};
void* operator new(std::size_t n) {
  ++allocations;
  if (void* at = std::malloc(n ? n : 1)) return at;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
#endif

using namespace tl;

namespace {

const ThreadPool one_thread(1), two_threads(2);

constexpr const char* network = R"(graph main(%x: fp16[1, 2, 6, 6]) {
  %w: fp16[2, 2, 1, 1] = constant [0.5, -1, 2, 1]
  %b: fp16[2] = constant [0.25, -0.5]
  %c: fp16[1, 2, 6, 6] = conv(%x, %w, %b)
  %r: fp16[1, 2, 6, 6] = relu(%c)
  %s: fp16[1, 2, 6, 6] = sigmoid(%r)
  %sum: fp16[1, 2, 6, 6] = add(%s, %x)
  %m: fp16[1, 2, 3, 3] = max_pool(%sum) {kernel_sizes=[2, 2], strides=[2, 2]}
  %shape: int32[2] = constant [1, 18]
  %flat: fp16[1, 18] = reshape(%m, %shape)
  %y: fp16[1, 18] = softmax(%flat) {axis=-1}
  return %y as "y"
}
)";

Tensor ramp(const Type& type, double start) {
  std::vector<double> values(static_cast<std::size_t>(volume(type.shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = start + 0.01 * static_cast<double>(i);
  return from_doubles(values, type.dtype, type.shape);
}

std::shared_ptr<const plan::Plan> plan_of(const Graph& graph, const ThreadPool& pool,
                                          plan::Options options = {}) {
  std::vector<Type> types;
  for (ValueId v : graph.body.inputs) types.push_back(graph.type(v));
  return plan::Plan::make(graph, types, Machine{best_isa(), &pool}, options);
}

Tensor run_once(const plan::Plan& plan, const Tensor& x) {
  std::vector<RunValue> in{x}, out;
  plan.run(in, out);
  return std::get<Tensor>(out.front());
}

}  // namespace

TEST_CASE("attention reads heads where a projection left them, and writes where the next reads") {
  // The second output keeps the scores from being joined: the way of separate steps.
  const std::string text = R"(graph main(%x: fp32[9, 1, 48]) {
  %q0: fp32[9, 1, 16], %k0: fp32[9, 1, 16], %v0: fp32[9, 1, 16] = split(%x) {num_splits=3, axis=-1}
  %shape: int32[3] = constant [9, 4, 4]
  %q1: fp32[9, 4, 4] = reshape(%q0, %shape)
  %k1: fp32[9, 4, 4] = reshape(%k0, %shape)
  %v1: fp32[9, 4, 4] = reshape(%v0, %shape)
  %half: fp32[] = constant [0.5]
  %q2: fp32[9, 4, 4] = mul(%q1, %half)
  %q: fp32[4, 9, 4] = transpose(%q2) {perm=[1, 0, 2]}
  %k: fp32[4, 4, 9] = transpose(%k1) {perm=[1, 2, 0]}
  %v: fp32[4, 9, 4] = transpose(%v1) {perm=[1, 0, 2]}
  %s: fp32[4, 9, 9] = matmul(%q, %k)
  %p: fp32[4, 9, 9] = softmax(%s) {axis=-1}
  %o: fp32[4, 9, 4] = matmul(%p, %v)
  %t: fp32[9, 4, 4] = transpose(%o) {perm=[1, 0, 2]}
  %flat: int32[2] = constant [9, 16]
  %y: fp32[9, 16] = reshape(%t, %flat)
  return %y as "y")";
  Graph joined = parse_graph(text + "\n}\n"), apart = parse_graph(text + ", %s as \"s\"\n}\n");
  Machine machine{best_isa(), &two_threads};
  const Type type(DType::f32, {9, 1, 48});
  Tensor x = ramp(type, -2);
  std::vector<RunValue> one, two;
  auto plan = plan::Plan::make(joined, {&type, 1}, machine);
  plan->run(std::vector<RunValue>{x}, one);
  plan::Plan::make(apart, {&type, 1}, machine)->run(std::vector<RunValue>{x}, two);
  std::vector<double> a = to_doubles(std::get<Tensor>(one[0])), b = to_doubles(std::get<Tensor>(two[0]));
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-4));
  CHECK(plan->describe().find("transpose") == std::string::npos);
  CHECK(plan->describe().find("split") == std::string::npos);
}

TEST_CASE("fusing changes no more than the roundings it saves") {
  Graph graph = parse_graph(network);
  Tensor x = ramp(graph.type(graph.body.inputs[0]), -0.3);
  std::vector<double> fused = to_doubles(run_once(*plan_of(graph, one_thread), x));
  std::vector<double> apart = to_doubles(run_once(*plan_of(graph, one_thread, {.fuse = false}), x));
  for (std::size_t i = 0; i < fused.size(); ++i) CHECK(fused[i] == doctest::Approx(apart[i]).epsilon(2e-3));
}

#if TL_COUNTS_ALLOCATIONS
TEST_CASE("running a plan of known shapes allocates nothing") {
  Graph graph = parse_graph(network);
  std::shared_ptr<const plan::Plan> plan = plan_of(graph, one_thread);
  std::vector<RunValue> in{ramp(graph.type(graph.body.inputs[0]), 0)}, out;
  plan->run(in, out);  // makes the arena and the outputs
  CAPTURE(plan->describe());
  long before = allocations;
  for (int i = 0; i < 10; ++i) plan->run(in, out);
  CHECK_EQ(allocations - before, 0);
}
#endif

TEST_CASE("compressed weights are expanded where they are packed, and kept where a step reads them") {
  Graph graph;
  Place place{&graph, &graph.body};
  constexpr Dim rows = 192, columns = 384;
  std::vector<std::int64_t> numbers(rows * columns);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int64_t>(i % 251) - 125;
  Tensor codes = from_integers(numbers, DType::i8, {rows, columns});
  std::vector<double> scales(rows, 0.01);
  Ex x(place, graph.add_input(Type(DType::f32, {1, columns}), "x"));
  Ex weight = emit(ops::constexpr_affine_dequantize,
                   {constant(place, codes), constant(place, from_doubles(scales, DType::f32, {rows})),
                    constant(place, from_integers(std::vector<std::int64_t>(rows, 0), DType::i8, {rows}))},
                   {{"axis", 0}});
  Ex turned = emit(ops::transpose, {weight}, {{"perm", std::vector<std::int64_t>{1, 0}}});
  graph.add_output(emit(ops::linear, {x, weight}).id(), "packed");
  graph.add_output(emit(ops::matmul, {x, turned}).id(), "turned");
  graph.add_output(emit(ops::add, {weight, x}).id(), "read");
  graph.add_output(weight.id(), "itself");
  std::vector<Type> types{Type(DType::f32, {1, columns})};
  std::vector<RunValue> in{ramp(types[0], 0.1)}, out;
  auto plan = plan::Plan::make(graph, types, Machine{best_isa(), &one_thread});
  plan->run(in, out);
  std::map<ValueId, Tensor> want{{graph.body.inputs[0], std::get<Tensor>(in[0])}};
  run_reference(graph, graph.body, want);
  for (std::size_t k = 0; k < out.size(); ++k) {
    std::vector<double> got = to_doubles(std::get<Tensor>(out[k])),
                        right = to_doubles(want.at(graph.body.outputs[k]));
    REQUIRE_EQ(got.size(), right.size());
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(right[i]).epsilon(1e-4));
  }
  CHECK_EQ(plan->describe().find("constexpr"), std::string::npos);
  CHECK_EQ(plan->describe().find("transpose"), std::string::npos);
}

TEST_CASE("several threads run one plan at once, each with its own values") {
  Graph graph = parse_graph(network);
  std::shared_ptr<const plan::Plan> plan = plan_of(graph, two_threads);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Tensor x = ramp(graph.type(graph.body.inputs[0]), t), want = run_once(*plan, x);
      for (int i = 0; i < 50; ++i) wrong += !same(run_once(*plan, x), want);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST_CASE("a loop runs until its condition fails, and a shape may grow in it") {
  Graph graph = parse_graph(R"(graph main(%x: fp32[?]) {
  %zero: int32[] = constant [0]
  %n: int32[], %y: fp32[?] = while_loop(%zero, %x) (%i: int32[], %a: fp32[?]) {
    %three: int32[] = constant [3]
    %go: bool[] = less(%i, %three)
    return %go
  } (%j: int32[], %b: fp32[?]) {
    %one: int32[] = constant [1]
    %k: int32[] = add(%j, %one)
    %c: fp32[?] = concat(%b, %b) {axis=0}
    return %k, %c
  }
  return %y as "y", %n as "n"
}
)");
  std::vector<Type> types{Type(DType::f32, {2})};
  auto plan = plan::Plan::make(graph, types, Machine{best_isa(), &one_thread});
  std::vector<RunValue> in{from_doubles(std::vector<double>{1, 2}, DType::f32, {2})}, out;
  plan->run(in, out);
  CHECK_EQ(std::get<Tensor>(out[0]).shape(), Shape{16});
  CHECK_EQ(to_integers(std::get<Tensor>(out[1])).front(), 3);
}

TEST_CASE("an endless loop ends when it is told to stop") {
  Graph graph = parse_graph(R"(graph main(%x: fp32[1]) {
  %y: fp32[1] = while_loop(%x) (%a: fp32[1]) {
    %yes: bool[] = constant [1]
    return %yes
  } (%b: fp32[1]) {
    %c: fp32[1] = relu(%b)
    return %c
  }
  return %y as "y"
}
)");
  auto plan = plan_of(graph, one_thread);
  std::vector<RunValue> in{ramp(Type(DType::f32, {1}), 1)}, out;
  int left = 1000;
  std::function<bool()> stop = [&] { return --left < 0; };
  CHECK_THROWS_WITH(plan->run(in, out, {.stop = &stop}), doctest::Contains("the time is up"));
}

TEST_CASE("a state keeps what is written until the next run") {
  Graph graph = parse_graph(R"(graph main(%x: fp16[2], %s: state<fp16[2]>) {
  %old: fp16[2] = read_state(%s)
  %new: fp16[2] = add(%old, %x)
  write_state(%s, %new)
  return %new as "y"
}
)");
  auto plan = plan_of(graph, one_thread);
  auto cell =
      std::make_shared<StateCell>(StateCell{from_doubles(std::vector<double>{0, 0}, DType::f16, {2})});
  std::vector<RunValue> in{from_doubles(std::vector<double>{1, 2}, DType::f16, {2}), cell}, out;
  for (int i = 1; i <= 3; ++i) {
    plan->run(in, out);
    CHECK_EQ(to_doubles(std::get<Tensor>(out[0]))[1], 2.0 * i);
  }
}

TEST_CASE("lifetimes that overlap in time never overlap in place") {
  std::vector<plan::Lifetime> all;
  std::uint32_t random = 12345;
  auto next = [&](std::uint32_t n) {
    return (random = random * 1664525 + 1013904223) >> 8 & 0xffffff ? (random >> 8) % n : 0;
  };
  for (int i = 0; i < 200; ++i) {
    int first = static_cast<int>(next(50));
    all.push_back({next(5000), first, first + static_cast<int>(next(10)), 0});
  }
  std::size_t size = plan::place(all);
  for (std::size_t a = 0; a < all.size(); ++a) {
    CHECK(all[a].offset + all[a].bytes <= size);
    CHECK(all[a].offset % 64 == 0);
    for (std::size_t b = a + 1; b < all.size(); ++b) {
      bool apart = all[a].last < all[b].first || all[b].last < all[a].first ||
                   all[a].offset + all[a].bytes <= all[b].offset ||
                   all[b].offset + all[b].bytes <= all[a].offset;
      CHECK(apart);
    }
  }
}
