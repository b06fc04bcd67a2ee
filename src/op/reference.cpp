// SPDX-License-Identifier: Apache-2.0
// Tensors to arrays of doubles, the reference, and back with one rounding.
#include "op/reference.h"

#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "op/row.h"

namespace tl {
namespace {

struct Inferred {  // what inference makes of tensors that are all known
  std::vector<Type> in = {}, out = {};
  std::vector<const Tensor*> values = {};
  std::unique_ptr<bool[]> given = {};
};

Inferred infer_from(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs) {
  Inferred facts{.in = std::vector<Type>(inputs.size()),
                 .values = std::vector<const Tensor*>(inputs.size(), nullptr),
                 .given = std::make_unique<bool[]>(inputs.size() + 1)};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    facts.in[i] = inputs[i].type();
    facts.values[i] = &inputs[i];
    facts.given[i] = true;
  }
  facts.out = op.infer({facts.in, facts.values, {facts.given.get(), inputs.size()}, attrs});
  return facts;
}

std::vector<Tensor> by_reference(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                 const Inferred& facts, std::uint64_t seed) {
  std::vector<Array> in(inputs.size()), out(facts.out.size());
  std::vector<const Array*> given(inputs.size(), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    in[i] = {inputs[i].dtype(), inputs[i].shape(), to_doubles(inputs[i])};
    given[i] = &in[i];
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].dtype = facts.out[i].dtype;
    if (!facts.out[i].is_concrete()) continue;
    out[i].shape = facts.out[i].shape;
    out[i].data.resize(static_cast<std::size_t>(volume(out[i].shape)));
  }
  op.reference({given, attrs, out, seed});
  std::vector<Tensor> results;
  for (Array& a : out) results.push_back(from_doubles(a.data, a.dtype, std::move(a.shape)));
  return results;
}

std::vector<Tensor> by_evaluation(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                  const Inferred& facts) {
  std::vector<RunValue> in(inputs.begin(), inputs.end()), out(facts.out.size());
  std::vector<const RunValue*> given(inputs.size(), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i]) given[i] = &in[i];
  op.evaluate({given, attrs, facts.out, out});
  std::vector<Tensor> results;
  for (RunValue& value : out) {
    auto* tensor = std::get_if<Tensor>(&value);
    if (!tensor) throw Error(Code::unsupported, text("{} gives what is not a tensor", op.name));
    results.push_back(std::move(*tensor));
  }
  return results;
}

std::vector<Tensor> by_decomposition(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                     std::uint64_t seed) {
  Graph graph;
  Place place{&graph, &graph.body};
  std::vector<Ex> in;
  for (const Tensor& tensor : inputs) in.push_back(tensor ? constant(place, tensor) : Ex());
  std::vector<Ex> out = op.decompose(in, attrs);
  std::map<ValueId, Tensor> values;
  run_reference(graph, graph.body, values, seed);
  std::vector<Tensor> results;
  for (const Ex& y : out) results.push_back(y.constant() ? *y.constant() : values.at(y.id()));
  return results;
}

}  // namespace

std::vector<Tensor> run_reference(const OpDef& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                  std::uint64_t seed, std::span<const Type> types) {
  Inferred facts = infer_from(op, attrs, inputs);
  for (std::size_t i = 0; i < types.size() && i < facts.out.size(); ++i) facts.out[i].dtype = types[i].dtype;
  if (has(op.traits, Traits::elementwise)) return {run_row(op, attrs, inputs, facts.out.front())};
  if (op.reference) return by_reference(op, attrs, inputs, facts, seed);
  if (op.evaluate) return by_evaluation(op, attrs, inputs, facts);
  if (op.decompose) return by_decomposition(op, attrs, inputs, seed);
  throw Error(Code::unsupported, text("{} cannot be run by itself", op.name));
}

void run_reference(const Graph& graph, const Block& block, std::map<ValueId, Tensor>& values,
                   std::uint64_t seed) {
  for (const Node& node : block.nodes) {
    std::vector<Tensor> in;
    for (ValueId v : node.inputs) {
      if (v == no_value) in.emplace_back();
      else if (graph.value(v).is_constant()) in.push_back(graph.value(v).constant);
      else in.push_back(values.at(v));
    }
    std::vector<Tensor> out = run_reference(*node.op, node.attrs, in, seed++);
    for (std::size_t i = 0; i < out.size(); ++i) values.insert_or_assign(node.outputs[i], std::move(out[i]));
  }
}

}  // namespace tl
