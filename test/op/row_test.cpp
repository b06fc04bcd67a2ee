// SPDX-License-Identifier: Apache-2.0
// The vector kernels of the elementwise rows against the reference: special values, every half, random
// floats, lengths that end where readable memory ends, and broadcasts.
#include <sys/mman.h>

#include <bit>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/post.h"
#include "op/reference.h"
#include "sample.h"

namespace tl::test {
namespace {

// Bytes that end where memory ends, so that reading or writing past them crashes.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : mapped_((bytes + 4095) / 4096 * 4096 + 4096) {
    base_ = static_cast<std::byte*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + mapped_ - 4096, 4096, PROT_NONE);
    data = base_ + mapped_ - 4096 - bytes;
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() { munmap(base_, mapped_); }
  std::byte* data;

 private:
  std::size_t mapped_;
  std::byte* base_;
};

const double special[] = {
    0.0,   -0.0, 1,    -1,    0.5,        -0.5,          1.5,        2.5,      -2.5,      2,
    3,     -3,   6,    7,     -7,         1e-8,          -1e-8,      6e-8,     6.1e-5,    1e-40,
    88,    88.8, 89.2, -88,   -104,       127.5,         128,        -149,     -150,      255,
    256,   300,  2048, 32768, 40000,      65504,         65519,      65520,    -65520,    1e5,
    39001, 1e10, 3e38, -3e38, 2147483647, -2147483648.0, 2147483520, INFINITY, -INFINITY, NAN};

// Special values against special values, then random bits.
Tensor stimulus(DType d, const Shape& shape, int operand) {
  constexpr std::int64_t k = std::size(special);
  Random random(static_cast<unsigned>(operand) + 1);
  std::vector<double> data(static_cast<std::size_t>(volume(shape)));
  for (std::int64_t i = 0; i < std::ssize(data); ++i) {
    double& x = data[static_cast<std::size_t>(i)];
    auto bits = static_cast<std::uint32_t>(random());
    if (i < k * k) x = special[operand == 0 ? i % k : i / k];
    else if (d == DType::f16) x = to_double(Half{static_cast<std::uint16_t>(operand == 0 ? i : bits)});
    else if (d == DType::f32)
      x = i % 2 ? std::bit_cast<float>(bits)
                : std::ldexp(static_cast<double>(static_cast<std::int32_t>(bits)), -27);
    else if (d == DType::boolean) x = bits & 1;
    else x = i % 2 ? static_cast<std::int32_t>(bits) : static_cast<std::int32_t>(bits) % 20;
    if (d == DType::i32 && !(std::fabs(x) < 3e9)) x = 5;
  }
  return from_doubles(data, d, shape);
}

Tensor run(const KernelRow& row, const Case& c, const Type& type, const Machine& machine) {
  std::vector<Type> in;
  std::vector<std::unique_ptr<Guarded>> guards;
  std::vector<const std::byte*> data;
  for (const Tensor& t : c.inputs) {
    in.push_back(t.type());
    guards.push_back(std::make_unique<Guarded>(t.bytes()));
    std::memcpy(guards.back()->data, t.data(), t.bytes());
    data.push_back(guards.back()->data);
  }
  std::unique_ptr<bool[]> given(new bool[in.size()]);
  std::fill_n(given.get(), in.size(), true);
  std::vector<Type> out{type};
  auto kernel = row.make({*c.op, c.attrs, in, {given.get(), in.size()}, {}, out, machine});
  if (!kernel) return {};
  Tensor result(type.dtype, type.shape);
  Guarded to(result.bytes());
  std::byte* place = to.data;
  kernel->run({data.data(), &place, nullptr, *machine.pool});
  std::memcpy(result.writable_data(), to.data, result.bytes());
  return result;
}

// Compares; the first element that is more than four units off is reported.
bool agree(const Case& c, const Tensor& got, const Tensor& want, std::string_view where) {
  auto g = to_doubles(got), w = to_doubles(want);
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (ulps(want.dtype(), g[i], w[i]) <= 4 || std::fabs(g[i] - w[i]) < c.op->near_zero) continue;
    std::string at;
    for (const Tensor& t : c.inputs)
      if (t.shape() == want.shape()) at += text("{:.9g}, ", to_doubles(t)[i]);
    FAIL_CHECK(where << " " << text_of_case(c) << " at " << at
                     << text("{:.9g}, should be {:.9g}", g[i], w[i]));
    return false;
  }
  return true;
}

const KernelRow* row_of(KernelTable table, const OpDef& op) {
  auto found = std::find_if(table.begin(), table.end(), [&](const KernelRow& row) { return row.op == &op; });
  return found == table.end() ? nullptr : &*found;
}

constexpr DType vector_types[] = {DType::f32, DType::f16, DType::i32, DType::boolean};
bool is_vector_type(DType d) {
  return std::find(std::begin(vector_types), std::end(vector_types), d) != std::end(vector_types);
}

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (isa <= best_isa()) all.push_back(isa);
  return all;
}

void check(const OpDef& op, DType d, std::span<const Shape> shapes, const Attrs& attrs,
           const ThreadPool& pool) {
  Case c{&op, attrs, {}};
  for (std::size_t k = 0; k < op.inputs.size(); ++k) {
    bool condition = op.inputs.size() == 3 && k == 0;
    c.inputs.push_back(
        stimulus(condition ? DType::boolean : d, shapes[k], condition ? 2 : static_cast<int>(k)));
  }
  Tensor want = run_reference(op, attrs, c.inputs)[0];
  for (Isa isa : isas()) {
    const KernelRow* row = row_of(kernels::elementwise(isa), op);
    REQUIRE(row);
    Tensor got = run(*row, c, want.type(), {isa, &pool});
    if (!got)
      REQUIRE_MESSAGE((!is_vector_type(d) || !is_vector_type(want.dtype())),
                      name_of(isa) << " has no kernel: " << text_of_case(c));
    else if (!agree(c, got, want, name_of(isa))) return;
  }
}

std::vector<Attrs> settings(const OpDef& op) {
  Attrs first = attrs_from(op, op.samples.size() ? op.samples[0].attrs : "");
  std::vector<Attrs> all{first};
  Attrs other = first;
  bool differs = false;
  for (const AttrDef& def : op.attrs) {
    if (def.kind == AttrKind::number) other.set(def.name, first.number(def.name) + 0.25), differs = true;
    if (def.choices.empty()) continue;
    for (std::string_view choice : split(def.choices, ' ')) {
      all.push_back(first);
      all.back().set(def.name, std::string(choice));
    }
  }
  if (differs) all.push_back(other);
  return all;
}

bool accepts(const OpDef& op, DType d) {
  std::vector<Type> types(op.inputs.size(), Type(d, {2}));
  if (types.size() == 3) types[0].dtype = DType::boolean;
  std::vector<const Tensor*> values(types.size(), nullptr);
  bool given[3] = {true, true, true};
  Attrs attrs = attrs_from(op, op.samples.size() ? op.samples[0].attrs : "");
  try {
    op.infer({types, values, {given, types.size()}, attrs});
    return true;
  } catch (const Error&) { return false; }
}

template <class Visit> void for_each_row(const Visit& visit) {
  for (const OpDef* op : all_ops())
    if (is_row(*op))
      for (DType d : vector_types)
        if (accepts(*op, d)) visit(*op, d);
}

}  // namespace

TEST_CASE("vector kernels of rows hold the reference at every kind of value") {
  ThreadPool pool(1);
  for_each_row([&](const OpDef& op, DType d) {
    std::int64_t many = d == DType::boolean     ? 2000
                        : op.inputs.size() == 1 ? (d == DType::f16 ? 68000 : 60000)
                                                : 12000;
    std::vector<Shape> shapes(op.inputs.size(), Shape{many});
    for (const Attrs& attrs : settings(op)) check(op, d, shapes, attrs, pool);
  });
}

TEST_CASE("vector kernels of rows stay within their inputs and broadcast") {
  ThreadPool pool(2);
  for_each_row([&](const OpDef& op, DType d) {
    Attrs attrs = settings(op)[0];
    for (std::int64_t n : {0, 1, 3, 4, 7, 8, 15, 17, 33, 1025})
      check(op, d, std::vector<Shape>(op.inputs.size(), Shape{n}), attrs, pool);
    if (op.inputs.size() < 2 || d == DType::f32) return;
    for (const Shape& last : std::vector<Shape>{{}, {1}, {7}, {30, 1}, {2, 1, 7}, {2, 30, 1}, {1, 30, 7}}) {
      std::vector<Shape> shapes(op.inputs.size(), Shape{2, 30, 7});
      shapes.back() = last;
      check(op, d, shapes, attrs, pool);
      std::swap(shapes.front(), shapes.back());
      check(op, d, shapes, attrs, pool);
    }
  });
}

TEST_CASE("casts hold the reference between all types") {
  ThreadPool pool(1);
  constexpr DType all[] = {DType::boolean, DType::f16, DType::f32, DType::f64, DType::bf16,
                           DType::i8,      DType::u8,  DType::i16, DType::u16, DType::i32,
                           DType::i64,     DType::u32, DType::u64};
  std::vector<Shape> shape{{2600}};
  for (DType from : all)
    for (DType to : all)
      check(ops::cast, from, shape, attrs_from(ops::cast, text("dtype={}", name_of(to))), pool);
}

TEST_CASE("rows as blocks inside other kernels hold the reference") {
  std::int64_t n = 37;
  Tensor x = random_tensor(DType::f32, {n}, *std::make_unique<Random>(1), -3, 3),
         y = random_tensor(DType::f32, {n}, *std::make_unique<Random>(2), 0.5, 3);
  for (const OpDef* op : all_ops()) {
    if (!is_row(*op)) continue;
    Attrs attrs = settings(*op)[0];
    for (Isa isa : isas())
      for (bool swapped : {false, true})
        for (bool one : {false, true}) {
          bool binary = op->inputs.size() == 2;
          PostBlock block = post_block(isa, {op, &attrs, binary ? 1 : -1, swapped && binary});
          if (!block) continue;
          Tensor operand = one ? scalar(1.5, DType::f32) : y, got = x;
          block(got.writable<float>().data(), n, operand.as<float>().data(), one);
          Case c{op, attrs, {x}};
          if (binary) c.inputs.insert(swapped ? c.inputs.begin() : c.inputs.end(), operand);
          if (!agree(c, got, run_reference(*op, attrs, c.inputs)[0], "post")) return;
        }
  }
}

TEST_CASE("a chain of rows is one kernel that rounds once") {
  ThreadPool pool(2);
  Random random(5);
  for (DType d : {DType::f32, DType::f16})
    for (Isa isa : isas()) {
      std::vector<Tensor> in{random_tensor(d, {3, 5, 700}, random, -2, 2),
                             random_tensor(d, {5, 1}, random, -2, 2), random_tensor(d, {}, random, 1, 2),
                             random_tensor(d, {700}, random, -2, 2)};
      Attrs none, gelu = attrs_from(ops::gelu, "");
      std::vector<PostOp> post{
          {&ops::gelu, &gelu, -1, false}, {&ops::mul, &none, 2, false}, {&ops::sub, &none, 3, true}};
      std::vector<Type> types, out{in[0].type()};
      std::vector<const std::byte*> data;
      for (const Tensor& t : in) types.push_back(t.type()), data.push_back(t.data());
      bool given[] = {true, true, true, true};
      Machine machine{isa, &pool};
      auto kernel = row_of(kernels::elementwise(isa), ops::add)
                        ->make({ops::add, none, types, given, {}, out, machine, post});
      REQUIRE(kernel);
      Tensor got(d, in[0].shape());
      std::byte* place = got.writable_data();
      kernel->run({data.data(), &place, nullptr, pool});
      std::vector<Tensor> wide;
      for (const Tensor& t : in) wide.push_back(converted(t, DType::f64));
      Tensor want = run_reference(ops::add, none, std::vector{wide[0], wide[1]})[0];
      want = run_reference(ops::gelu, gelu, std::vector{want})[0];
      want = run_reference(ops::mul, none, std::vector{want, wide[2]})[0];
      want = converted(run_reference(ops::sub, none, std::vector{wide[3], want})[0], d);
      std::string why;
      CHECK_MESSAGE(close(got, want, d == DType::f16 ? 5e-4 : 1e-6, why), name_of(isa) << ": " << why);
    }
}

}  // namespace tl::test
