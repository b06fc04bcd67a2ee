// SPDX-License-Identifier: Apache-2.0
// A plan with control flow, lists, or shapes that depend on data: nodes run in order, values are made as they
// come, and a node's kernel is made anew only when its shapes change.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "op/ops.h"
#include "op/reference.h"
#include "plan/executor.h"
#include "plan/node.h"

namespace tl::plan {
namespace {

constexpr int most_ways = 4;  // kernels kept per node

// What one run keeps of its own between runs.
struct Workspace {
  struct Made {
    std::vector<Type> in = {}, out = {};
    Compute compute;
  };
  std::vector<RunValue> values = {};
  std::map<const Node*, std::vector<Made>> made = {};
  StoragePtr scratch = allocate(0);
  std::uint64_t draws = 0;  // each has a seed of its own
};

class DynamicPlan final : public Plan {
 public:
  DynamicPlan(Graph graph, const Machine& machine) : graph_(std::move(graph)), machine_(machine) {
    last_use_.resize(graph_.body.nodes.size());
    std::vector<bool> seen(graph_.value_count(), false);
    for (ValueId v : graph_.body.outputs) seen[index(v)] = true;
    for (std::size_t k = graph_.body.nodes.size(); k-- > 0;)
      note_uses(graph_.body.nodes[k], seen, last_use_[k]);
  }

  void run(std::span<const RunValue> inputs, std::vector<RunValue>& outputs,
           const RunOptions& options) const override {
    std::unique_ptr<Workspace> space = shelf_.take([&] { return std::make_unique<Workspace>(); });
    space->values.assign(graph_.value_count(), {});
    space->draws = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) space->values[index(graph_.body.inputs[i])] = inputs[i];
    if (options.profile) start_profile(*options.profile);
    for (std::size_t k = 0; k < graph_.body.nodes.size(); ++k) {
      Stopwatch watch(options.profile, k);
      one(graph_.body.nodes[k], *space, options);
      for (ValueId v : last_use_[k]) space->values[index(v)] = {};
    }
    outputs.resize(graph_.body.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i] = value(graph_.body.outputs[i], *space);
    space->values.clear();
    shelf_.give(std::move(space));
  }

  std::size_t arena_bytes() const override { return 0; }
  std::string describe() const override {
    return text("{} nodes, run one by one\n", graph_.body.nodes.size());
  }

 private:
  // Walking backwards: the values that nobody reads after this node.
  static void note_uses(const Node& node, std::vector<bool>& seen, std::vector<ValueId>& dead) {
    auto use = [&](ValueId v) {
      if (v == no_value || seen[index(v)]) return;
      seen[index(v)] = true;
      dead.push_back(v);
    };
    for (ValueId v : node.inputs) use(v);
    for (const Block& block : node.blocks) {
      for (ValueId v : block.outputs) use(v);
      for (const Node& inner : block.nodes) note_uses(inner, seen, dead);
    }
  }

  RunValue value(ValueId v, const Workspace& space) const {
    if (graph_.value(v).is_constant()) return graph_.value(v).constant;
    return space.values[index(v)];
  }

  void block(const Block& body, Workspace& space, const RunOptions& options) const {
    for (const Node& node : body.nodes) one(node, space, options);
  }

  void one(const Node& node, Workspace& space, const RunOptions& options) const {
    check_stop(options);
    auto context = [&] {
      return node.name.empty() ? std::string(node.op->name) : text("{} '{}'", node.op->name, node.name);
    };
    with_note(context, [&] {
      if (node.op == &ops::cond) choose(node, space, options);
      else if (node.op == &ops::while_loop) repeat(node, space, options);
      else if (node.op == &ops::write_state) write_state(node, space);
      else if (node.op->evaluate) evaluate(node, space);
      else compute(node, space, options);
    });
  }

  bool truth(ValueId v, const Workspace& space) const {
    RunValue pred = value(v, space);
    const auto* tensor = std::get_if<Tensor>(&pred);
    if (!tensor || tensor->size() != 1) throw Error(Code::bad_input, "the condition must be one truth value");
    return to_doubles(*tensor).front() != 0;
  }

  void choose(const Node& node, Workspace& space, const RunOptions& options) const {
    const Block& branch = node.blocks[truth(node.inputs[0], space) ? 0 : 1];
    block(branch, space, options);
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      space.values[index(node.outputs[i])] = value(branch.outputs[i], space);
  }

  void repeat(const Node& node, Workspace& space, const RunOptions& options) const {
    const Block &condition = node.blocks[0], &body = node.blocks[1];
    std::vector<RunValue> state;
    for (ValueId v : node.inputs) state.push_back(value(v, space));
    while (true) {
      for (std::size_t i = 0; i < state.size(); ++i) space.values[index(condition.inputs[i])] = state[i];
      block(condition, space, options);
      if (!truth(condition.outputs.at(0), space)) break;
      for (std::size_t i = 0; i < state.size(); ++i)
        space.values[index(body.inputs[i])] = std::move(state[i]);
      block(body, space, options);
      for (std::size_t i = 0; i < state.size(); ++i) state[i] = value(body.outputs[i], space);
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      space.values[index(node.outputs[i])] = std::move(state[i]);
  }

  void write_state(const Node& node, Workspace& space) const {
    RunValue data = value(node.inputs[1], space);
    std::get<std::shared_ptr<StateCell>>(space.values[index(node.inputs[0])])->value = std::get<Tensor>(data);
  }

  void evaluate(const Node& node, Workspace& space) const {
    std::vector<RunValue> values;
    std::vector<const RunValue*> pointers;
    std::vector<Type> types;
    for (ValueId v : node.inputs) values.push_back(v == no_value ? RunValue() : value(v, space));
    for (std::size_t i = 0; i < values.size(); ++i)
      pointers.push_back(node.inputs[i] == no_value ? nullptr : &values[i]);
    for (ValueId v : node.outputs) types.push_back(graph_.type(v));
    std::vector<RunValue> results(types.size());
    // Their last reader may change them in place: the values of this run must not hold them meanwhile.
    node.op->evaluate({pointers, node.attrs, types, results});
    for (std::size_t i = 0; i < results.size(); ++i)
      space.values[index(node.outputs[i])] = std::move(results[i]);
  }

  const Workspace::Made& made_for(const Node& node, std::span<const Type> in, std::span<const bool> given,
                                  std::span<const Tensor* const> values, Workspace& space) const {
    std::vector<Workspace::Made>& ways = space.made[&node];
    for (const Workspace::Made& made : ways)
      if (std::equal(in.begin(), in.end(), made.in.begin(), made.in.end()) && constants_only(node, values))
        return made;
    std::vector<Type> out = node.op->infer({in, values, given, node.attrs, {}});
    for (std::size_t i = 0; i < out.size(); ++i) out[i].dtype = graph_.type(node.outputs[i]).dtype;
    std::vector<const Tensor*> constants;
    for (ValueId v : node.inputs)
      constants.push_back(v != no_value && graph_.value(v).is_constant() ? &graph_.value(v).constant
                                                                         : nullptr);
    Compute compute({*node.op, node.attrs, in, given, constants, out, machine_});
    if (ways.size() >= most_ways || !constants_only(node, values)) ways.clear();
    ways.push_back({{in.begin(), in.end()}, std::move(out), std::move(compute)});
    return ways.back();
  }

  // Output shapes may depend on the values of small integer inputs (shapes, begins): then types alone do not
  // decide.
  bool constants_only(const Node& node, std::span<const Tensor* const> values) const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!values[i] || graph_.value(node.inputs[i]).is_constant()) continue;
      for (ValueId v : node.outputs)
        if (!graph_.type(v).is_concrete()) return false;
    }
    return true;
  }

  void compute(const Node& node, Workspace& space, const RunOptions& options) const {
    std::size_t n = node.inputs.size();
    std::vector<Tensor> tensors(n);
    std::vector<Type> types(n);
    std::vector<const Tensor*> pointers(n, nullptr), small(n, nullptr);
    std::unique_ptr<bool[]> given(new bool[n + 1]());
    for (std::size_t i = 0; i < n; ++i) {
      if (node.inputs[i] == no_value) continue;
      RunValue v = value(node.inputs[i], space);
      if (!std::holds_alternative<Tensor>(v)) throw Error(Code::bad_input, "takes tensors only");
      tensors[i] = std::get<Tensor>(std::move(v));
      types[i] = tensors[i].type();
      pointers[i] = &tensors[i];
      given[i] = true;
      bool decides_shape = tensors[i].size() <= 64 && !is_float(types[i].dtype);
      if (decides_shape || graph_.value(node.inputs[i]).is_constant()) small[i] = pointers[i];
    }
    const Workspace::Made& made = made_for(node, types, {given.get(), n}, small, space);
    std::uint64_t seed = options.seed + (has(node.op->traits, Traits::random) ? space.draws++ : 0);
    std::vector<Tensor> results = made.compute.kernel()
                                      ? with_kernel(made, pointers, space, seed)
                                      : run_reference(*node.op, node.attrs, tensors, seed, made.out);
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      space.values[index(node.outputs[i])] = std::move(results[i]);
  }

  std::vector<Tensor> with_kernel(const Workspace::Made& made, std::span<const Tensor* const> inputs,
                                  Workspace& space, std::uint64_t seed) const {
    std::vector<const std::byte*> in;
    std::vector<std::byte*> out;
    std::vector<Tensor> results;
    for (const Tensor* t : inputs) in.push_back(t ? t->data() : nullptr);
    for (const Type& t : made.out)
      results.emplace_back(t.dtype, t.shape), out.push_back(results.back().writable_data());
    if (space.scratch->size() < made.compute.kernel()->scratch)
      space.scratch = allocate(made.compute.kernel()->scratch);
    made.compute.run({in.data(), out.data(), space.scratch->data(), *machine_.pool, seed});
    return results;
  }

  void start_profile(std::vector<StepProfile>& profile) const {
    if (profile.size() == graph_.body.nodes.size()) return;
    profile.clear();
    for (const Node& node : graph_.body.nodes)
      profile.push_back({node.outputs.empty() ? node.name : graph_.value(node.outputs[0]).name,
                         std::string(node.op->name), "dynamic", 0, 0, 0});
  }

  Graph graph_;
  Machine machine_;
  std::vector<std::vector<ValueId>> last_use_;
  mutable Shelf<Workspace> shelf_;
};

}  // namespace

std::shared_ptr<const Plan> make_dynamic(Graph graph, const Machine& machine, const Options&) {
  return std::make_shared<DynamicPlan>(std::move(graph), machine);
}

}  // namespace tl::plan
