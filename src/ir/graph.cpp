// SPDX-License-Identifier: Apache-2.0
// Building graphs: values, and nodes with completed attributes and inferred types.
#include "ir/graph.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

bool takes_many(const OpDef& op) {
  return op.inputs.size() && op.inputs[op.inputs.size() - 1].arity == Arity::many;
}

void check_inputs(const Graph& graph, const OpDef& op, std::span<const ValueId> inputs) {
  std::size_t fixed = op.inputs.size() - takes_many(op);
  if (inputs.size() < fixed || (inputs.size() > fixed && !takes_many(op)))
    throw Error(Code::bad_input, text("takes {} inputs, {} are given", op.inputs.size(), inputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    bool may_lack = i < fixed && op.inputs[i].arity == Arity::optional;
    if (inputs[i] == no_value && !may_lack)
      throw Error(Code::bad_input,
                  text("input '{}' is missing", op.inputs[std::min(i, op.inputs.size() - 1)].name));
    TL_ASSERT(inputs[i] == no_value || index(inputs[i]) < graph.value_count());
  }
}

// Whoever names an element type as an attribute gives it; else the first input's is the best guess.
DType dtype_hint(const OpDef&, const Attrs& attrs, std::span<const Type> types) {
  for (std::string_view name : {"dtype", "output_dtype"})
    if (const AttrValue* value = attrs.find(name))
      if (const auto* word = std::get_if<std::string>(value))
        if (std::optional<DType> d = dtype_named(*word)) return *d;
  return types.empty() ? DType::f32 : types.front().dtype;
}

}  // namespace

ValueId Graph::add_value(Type type, std::string name_given) {
  values_.push_back({std::move(type), std::move(name_given), {}});
  return ValueId(values_.size() - 1);
}

ValueId Graph::add_input(Type type, std::string name_given) {
  ValueId v = add_value(std::move(type), std::move(name_given));
  body.inputs.push_back(v);
  return v;
}

ValueId Graph::add_constant(Tensor tensor, std::string name_given) {
  ValueId v = add_value(tensor.type(), std::move(name_given));
  value(v).constant = std::move(tensor);
  return v;
}

void Graph::add_output(ValueId v, std::string name_given) {
  body.outputs.push_back(v);
  output_names.push_back(std::move(name_given));
}

std::vector<Type> infer(const Graph& graph, const OpDef& op, std::span<const ValueId> inputs,
                        const Attrs& attrs, std::span<const Block> blocks) {
  std::vector<Type> types(inputs.size());
  std::vector<const Tensor*> values(inputs.size(), nullptr);
  std::unique_ptr<bool[]> given(new bool[inputs.size() + 1]());
  bool ranked = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == no_value) continue;
    const Value& v = graph.value(inputs[i]);
    given[i] = true;
    types[i] = v.type;
    if (v.is_constant()) values[i] = &v.constant;
    ranked = ranked && v.type.ranked;
  }
  if (!ranked && !has(op.traits, Traits::structural) && !op.evaluate)
    return std::vector<Type>(op.outputs.size(), unranked(dtype_hint(op, attrs, types)));
  std::vector<BlockTypes> block_types(blocks.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (ValueId v : blocks[b].inputs) block_types[b].inputs.push_back(graph.type(v));
    for (ValueId v : blocks[b].outputs) block_types[b].outputs.push_back(graph.type(v));
  }
  return op.infer({types, values, {given.get(), inputs.size()}, attrs, block_types});
}

Node& Graph::add_node(Block& block, const OpDef& op, std::vector<ValueId> inputs, const Attrs& attrs,
                      NodeParts parts) {
  auto context = [&] {
    return parts.name.empty() ? std::string(op.name) : text("{} '{}'", op.name, printable(parts.name));
  };
  return with_note(context, [&]() -> Node& {
    while (inputs.size() < op.inputs.size() - takes_many(op))
      inputs.push_back(no_value);  // left out at the end: absent
    check_inputs(*this, op, inputs);
    Node node{&op,
              std::move(inputs),
              {},
              complete({op.attrs.begin(), op.attrs.size()}, attrs),
              std::move(parts.blocks),
              parts.name};
    for (Type& type : infer(*this, op, node.inputs, node.attrs, node.blocks))
      node.outputs.push_back(add_value(std::move(type)));
    block.nodes.push_back(std::move(node));
    return block.nodes.back();
  });
}

}  // namespace tl
