// SPDX-License-Identifier: Apache-2.0
// Every kernel that is not a row's, on every instruction set of this machine, against the reference: the
// samples of its operation in fp32 and fp16, those with other lengths (0, 1, odd ones), with values that are
// not finite, with the parameters known when it is made and not.
#include "backend/cpu/cpu.h"

#include <map>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/reference.h"
#include "sample.h"

namespace tl::test {
namespace {

struct Family {
  std::string_view name;
  KernelTable (*table)(Isa);
};
constexpr Family families[] = {
#define KERNELS(family) {#family, kernels::family},
#include "op/kernels.def"
#undef KERNELS
};

std::vector<Type> infer_of(const Case& c) {
  std::vector<Type> types(c.inputs.size());
  std::vector<const Tensor*> values(c.inputs.size(), nullptr);
  std::unique_ptr<bool[]> given(new bool[c.inputs.size() + 1]());
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    if (c.inputs[i]) types[i] = c.inputs[i].type(), values[i] = &c.inputs[i], given[i] = true;
  return c.op->infer({types, values, {given.get(), c.inputs.size()}, c.attrs});
}

std::size_t aligned(std::size_t n) { return (n + 63) / 64 * 64; }

// Empty where the kernel refuses. With `known`, all inputs but the first are constants.
std::vector<Tensor> run(const KernelRow& row, const Case& c, std::span<const Type> out,
                        const Machine& machine, bool known) {
  std::vector<Type> in(c.inputs.size());
  std::vector<const Tensor*> constants(c.inputs.size(), nullptr);
  std::vector<const std::byte*> data(c.inputs.size(), nullptr);
  std::unique_ptr<bool[]> given(new bool[c.inputs.size() + 1]());
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i]) continue;
    in[i] = c.inputs[i].type();
    given[i] = true;
    data[i] = c.inputs[i].data();
    if (known && i > 0) constants[i] = &c.inputs[i];
  }
  auto kernel = cpu::make(row, {*c.op, c.attrs, in, {given.get(), c.inputs.size()}, constants, out, machine});
  if (!kernel) return {};
  std::vector<Tensor> results;
  std::vector<std::byte*> places;
  for (const Type& type : out) {
    results.emplace_back(type.dtype, type.shape);
    places.push_back(results.back().writable_data());
  }
  StoragePtr scratch = allocate(aligned(kernel->scratch) + 64);
  std::fill_n(scratch->data(), scratch->size(), std::byte{0xff});
  kernel->run({data.data(), places.data(), scratch->data(), *machine.pool, 1});
  for (std::byte* end = scratch->data() + kernel->scratch; end < scratch->data() + scratch->size(); ++end)
    CHECK_MESSAGE(*end == std::byte{0xff}, text_of_case(c) << " writes past its scratch memory");
  return results;
}

double tolerance(const Tensor& want) {
  return want.dtype() == DType::f16 ? 2e-3 : want.dtype() == DType::f32 ? 1e-5 : 1e-12;
}

struct Expected {  // a case and what its reference gives
  Case given = {};
  std::vector<Type> types = {};
  std::vector<Tensor> results = {};
};

void check(const Family& family, const KernelRow& row, const Machine& machine, const Expected& e) {
  for (bool known : {false, true}) {
    std::vector<Tensor> got = run(row, e.given, e.types, machine, known);
    std::string why;
    for (std::size_t i = 0; i < got.size(); ++i)
      CHECK_MESSAGE(close(got[i], e.results[i], tolerance(e.results[i]), why),
                    family.name << " " << row.name << " " << name_of(machine.isa) << " "
                                << text_of_case(e.given) << (known ? " constants" : "") << ": " << why);
  }
}

constexpr std::int64_t most_varied = 1000;  // elements; large samples are for threads, small ones for edges

// NaN, infinities and what overflows fp16, wherever they land, must come out as the reference has them.
Case with_odd_values(Case c) {
  Tensor& x = c.inputs[0];
  auto data = to_doubles(x);
  const double odd[] = {NAN, INFINITY, -INFINITY, 65504, -65504};
  for (std::size_t k = 0; k < std::size(odd) && !data.empty(); ++k)
    data[(k * 7919 + 3) % data.size()] = odd[k];
  x = from_doubles(data, x.dtype(), x.shape());
  return c;
}

bool takes_odd_values(const Case& c) {
  return !c.inputs.empty() && c.inputs[0] && is_float(c.inputs[0].dtype()) &&
         c.inputs[0].size() <= most_varied;
}

// Nothing where the operation refuses the case or its results are no tensors.
void expect(Case c, std::vector<Expected>& all) {
  try {
    Expected e{std::move(c)};
    e.types = infer_of(e.given);
    for (const Type& type : e.types)
      if (!type.is_concrete() || !type.is_tensor()) return;
    e.results = run_reference(*e.given.op, e.given.attrs, e.given.inputs);
    all.push_back(std::move(e));
  } catch (const Error&) { return; }
}

// The case with another length wherever `was` stands in a shape: what agreed still agrees.
Case with_length(const Case& c, Dim was, Dim length) {
  Case other{c.op, c.attrs, {}};
  Random random(11);
  for (const Tensor& t : c.inputs) {
    Shape shape = t ? t.shape() : Shape{};
    std::replace(shape.begin(), shape.end(), was, length);
    if (!t || shape == t.shape()) other.inputs.push_back(t);
    else other.inputs.push_back(random_tensor(t.dtype(), shape, random, is_float(t.dtype()) ? -2 : 0, 2));
  }
  return other;
}

void expect_other_lengths(const Case& c, std::vector<Expected>& all) {
  if (c.inputs.empty() || !c.inputs[0] || c.inputs[0].size() > most_varied) return;
  Shape lengths = c.inputs[0].shape();
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  for (Dim was : lengths)
    for (Dim length : {0, 1, 7})
      if (length != was) expect(with_length(c, was, length), all);
}

std::vector<Expected> expected_of(const OpDef& op) {
  std::vector<Expected> all;
  if (is_row(op) || has(op.traits, Traits::random)) return all;
  for (std::optional<DType> d : {std::optional<DType>(), std::optional<DType>(DType::f16)})
    for (const Case& c : cases_of(op, d)) {
      expect(c, all);
      if (takes_odd_values(c)) expect(with_odd_values(c), all);
      expect_other_lengths(c, all);
    }
  return all;
}

void check_op(const OpDef& op, const ThreadPool& pool) {
  std::vector<Expected> all = expected_of(op);
  for (const Family& family : families)
    for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512, Isa::avx512fp16, Isa::amx}) {
      if (isa > best_isa()) continue;
      for (const KernelRow& row : family.table(isa))
        if (row.op == &op)
          for (const Expected& e : all) check(family, row, {isa, &pool}, e);
    }
}

}  // namespace

TEST_CASE("kernels hold the reference on every instruction set") {
  ThreadPool pool(2);
  for (const OpDef* op : all_ops()) check_op(*op, pool);
}

TEST_CASE("large reductions split among threads keep their accuracy") {
  ThreadPool pool(2);
  Random random(3);
  Tensor x = random_tensor(DType::f32, {1, 3, 200000}, random, 0, 1);
  for (const OpDef* op : {&ops::reduce_sum, &ops::reduce_mean, &ops::reduce_max, &ops::reduce_l2_norm})
    for (std::string_view axes : {"axes=[2]", "axes=[0, 1, 2]", "axes=[0, 2]"}) {
      Case c{op, attrs_from(*op, axes), {x}};
      Tensor want = run_reference(*op, c.attrs, c.inputs)[0];
      std::vector<Type> out = infer_of(c);
      for (const KernelRow& row : kernels::reduce(best_isa()))
        if (row.op == op) {
          std::string why;
          CHECK_MESSAGE(close(run(row, c, out, {best_isa(), &pool}, false).at(0), want, 5e-7, why),
                        text_of_case(c) << why);
        }
    }
}

TEST_CASE("decompositions give what the references give") {
  for (const OpDef* op : all_ops()) {
    if (!op->decompose || !op->reference) continue;
    for (const Case& c : cases_of(*op)) {
      if (is_row(*op)) continue;
      Graph graph;
      Place place{&graph, &graph.body};
      std::vector<Ex> in;
      for (const Tensor& t : c.inputs) in.push_back(t ? Ex(place, graph.add_input(t.type(), "x")) : Ex());
      try {
        std::vector<Ex> out = op->decompose(in, c.attrs);
        std::map<ValueId, Tensor> values;
        for (std::size_t i = 0; i < in.size(); ++i)
          if (in[i]) values[in[i].id()] = c.inputs[i];
        run_reference(graph, graph.body, values);
        std::vector<Tensor> want = run_reference(*op, c.attrs, c.inputs);
        std::string why;
        for (std::size_t i = 0; i < out.size(); ++i)
          CHECK_MESSAGE(close(values.at(out[i].id()), want[i], 4 * tolerance(want[i]), why),
                        text_of_case(c) << " decomposed: " << why);
      } catch (const Error& error) {
        if (error.code() != Code::unsupported)
          FAIL_CHECK(text_of_case(c) << " decomposed: " << std::string(error.what()));
      }
    }
  }
}

TEST_CASE("inference with unknown dimensions agrees with what is known") {
  for (const OpDef* op : all_ops())
    for (const Case& c : cases_of(*op)) {
      if (!op->infer || op->evaluate) continue;
      std::vector<Type> exact = infer_of(c), types(c.inputs.size());
      std::vector<const Tensor*> values(c.inputs.size(), nullptr);
      std::unique_ptr<bool[]> given(new bool[c.inputs.size() + 1]());
      for (std::size_t i = 0; i < c.inputs.size(); ++i) {
        if (!c.inputs[i]) continue;
        types[i] = c.inputs[i].type();
        given[i] = true;
        for (Dim& dim : types[i].shape) dim = unknown;
      }
      try {
        std::vector<Type> open = op->infer({types, values, {given.get(), c.inputs.size()}, c.attrs});
        REQUIRE(open.size() == exact.size());
        for (std::size_t i = 0; i < open.size(); ++i) {
          bool agrees =
              open[i].dtype == exact[i].dtype && (!open[i].ranked || open[i].rank() == exact[i].rank());
          for (std::size_t d = 0; agrees && open[i].ranked && d < open[i].rank(); ++d)
            agrees = !is_known(open[i].shape[d]) || open[i].shape[d] == exact[i].shape[d];
          CHECK_MESSAGE(agrees, text_of_case(c) << " with unknown dimensions is " << text_of(open[i])
                                                << ", but " << text_of(exact[i]));
        }
      } catch (const Error&) {
        continue;  // some need to know a length, and say so
      }
    }
}

}  // namespace tl::test
