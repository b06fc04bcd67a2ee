// SPDX-License-Identifier: Apache-2.0
// Plans share what their kernels pack, and give what they would give alone.
#include "op/packed.h"

#include "base/reader.h"
#include "op/kernel_test.h"
#include "op/ops.h"
#include "plan/plan.h"

namespace tl {
namespace {

std::vector<double> run(const Graph& graph, Dim length, const Machine& machine,
                        std::vector<std::shared_ptr<const plan::Plan>>& plans) {
  Tensor x = random_tensor(DType::f16, {1, 32, length, 12}, 7);
  std::vector<Type> types{x.type()};
  plans.push_back(plan::Plan::make(graph, types, machine));
  std::vector<RunValue> inputs{x}, outputs;
  plans.back()->run(inputs, outputs);
  return to_doubles(std::get<Tensor>(outputs[0]));
}

}  // namespace

TEST_CASE("a constant is packed once in a form, as long as someone holds it") {
  PackedStore store;
  int fills = 0;
  auto get = [&](const Tensor& t, const char* form) {
    return store.get(t, form, 64, [&](std::byte* to) { *to = std::byte(++fills); });
  };
  Tensor a = random_tensor(DType::f16, {8}, 1), b = random_tensor(DType::f16, {8}, 2);
  StoragePtr first = get(a, "x"), again = get(a, "x"), other = get(a, "y"), second = get(b, "x");
  CHECK(first == again);
  CHECK(fills == 3);
  CHECK(other != first);
  CHECK(second != first);
  first.reset(), again.reset();
  get(a, "x");
  CHECK(fills == 4);
}

TEST_CASE("plans of other shapes share packed weights and give the same") {
  Graph graph;
  ValueId x = graph.add_input(Type(DType::f16, {1, 32, graph.new_symbol(), 12}), "x");
  auto weight = [&](Shape shape, unsigned seed) {
    return graph.add_constant(random_tensor(DType::f16, std::move(shape), seed, -0.1, 0.1));
  };
  auto add = [&](const OpDef& op, std::vector<ValueId> inputs, Named attrs = {}) {
    return graph.add_node(graph.body, op, std::move(inputs), attrs_of(attrs)).outputs[0];
  };
  ValueId a = add(ops::conv, {x, weight({32, 32, 3, 3}, 1), no_value}, {{"pad_type", std::string("same")}});
  ValueId b = add(ops::conv, {a, weight({40, 32, 1, 1}, 2), no_value});
  graph.add_output(add(ops::linear, {b, weight({24, 12}, 3), no_value}), "y");
  ThreadPool pool(2);
  PackedStore store;
  std::vector<std::shared_ptr<const plan::Plan>> plans;
  for (Dim length : {9, 1, 30, 9}) {
    Machine alone{best_isa(), &pool}, shared = alone;
    shared.packed = &store;
    CHECK(run(graph, length, shared, plans) == run(graph, length, alone, plans));
  }
}

TEST_CASE("what an archive has is not packed again: every matrix of a layer with states and of a product") {
  struct Kept : PackedStore::Archive {
    std::map<std::pair<std::string, std::string>, StoragePtr> all = {};
    int added = 0;
    static auto key(const Tensor& t, std::string_view form) {
      return std::pair(text_of(t.type()), std::string(form).append(as_text({t.data(), t.bytes()})));
    }
    StoragePtr find(const Tensor& t, std::string_view form, std::size_t bytes) override {
      auto found = all.find(key(t, form));
      return found != all.end() && found->second->size() == bytes ? found->second : nullptr;
    }
    void add(const Tensor& t, std::string_view form, const StoragePtr& packed) override {
      all[key(t, form)] = packed, ++added;
    }
  } kept;
  Graph graph;
  ValueId x = graph.add_input(Type(DType::f32, {3, 2, 40}), "x");
  unsigned seed = 20;
  auto constant = [&](Shape shape) {
    return graph.add_constant(random_tensor(DType::f32, std::move(shape), ++seed, -0.2, 0.2));
  };
  ValueId zeros = graph.add_constant(Tensor(from_doubles(std::vector<double>(2 * 48), DType::f32, {2, 48})));
  ValueId w = constant({192, 40}), r = constant({192, 48});
  const Node& lstm =
      graph.add_node(graph.body, ops::lstm,
                     {x, zeros, zeros, w, r, no_value, no_value, no_value, no_value, no_value, no_value},
                     attrs_of({{"output_sequence", true}}));
  ValueId y = lstm.outputs[0];
  graph.add_output(graph.add_node(graph.body, ops::linear, {y, constant({64, 48}), no_value}, {}).outputs[0],
                   "y");
  ThreadPool pool(2);
  Machine machine{best_isa(), &pool};
  auto result = [&](PackedStore* store) {
    machine.packed = store;
    std::vector<Type> types{graph.type(x)};
    std::vector<RunValue> inputs{random_tensor(DType::f32, {3, 2, 40}, 4)}, outputs;
    plan::Plan::make(graph, types, machine)->run(inputs, outputs);
    return to_doubles(std::get<Tensor>(outputs[0]));
  };
  std::vector<double> alone = result(nullptr);
  PackedStore first(&kept), second(&kept);
  CHECK(result(&first) == alone);
  CHECK(kept.added == 3);
  CHECK(result(&second) == alone);
  CHECK(kept.added == 3);
}

}  // namespace tl
