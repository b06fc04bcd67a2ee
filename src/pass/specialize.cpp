// SPDX-License-Identifier: Apache-2.0
// Walks the graph once, building the new one: shapes become numbers, `shape` nodes and what hangs on them
// constants.
#include "pass/specialize.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "op/ops.h"

namespace tl::pass {
namespace {

// What a nested block takes: as the file declares it, but unknown where the value that comes in differs.
Type block_input_type(const Type& declared, const Type& given) {
  if (declared.kind != given.kind || declared.dtype != given.dtype) return given;
  return join(declared, given);
}

class Specializer {
 public:
  Specializer(const Graph& from, const Fold& fold)
      : from_(from), fold_(fold), map_(from.value_count(), no_value) {
    to_.name = from.name;
  }

  Graph run(std::span<const Type> types) {
    TL_ASSERT(types.size() == from_.body.inputs.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
      ValueId old = from_.body.inputs[i];
      map_[index(old)] = to_.add_input(types[i], from_.value(old).name);
    }
    nodes(from_.body, to_.body);
    for (std::size_t i = 0; i < from_.body.outputs.size(); ++i)
      to_.add_output(mapped(from_.body.outputs[i]), from_.output_names[i]);
    return std::move(to_);
  }

 private:
  ValueId mapped(ValueId old) {
    if (old == no_value) return no_value;
    ValueId& now = map_[index(old)];
    if (now == no_value) {  // only constants come without a node
      TL_ASSERT(from_.value(old).is_constant());
      now = to_.add_constant(from_.value(old).constant, from_.value(old).name);
    }
    return now;
  }

  void nodes(const Block& in, Block& out) {
    for (const Node& node : in.nodes) one(node, out);
  }

  void one(const Node& node, Block& out) {
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) inputs.push_back(mapped(v));
    if (node.op == &ops::matmul) settle_types(node, inputs);
    if (node.op == &ops::cond && to_.value(inputs.front()).is_constant())
      return take_branch(node, inputs.front(), out);
    std::vector<Block> blocks;
    for (const Block& block : node.blocks) blocks.push_back(nested(block, node, inputs));
    if (node.blocks.empty() && folded(node, inputs)) return;
    const Node& made = to_.add_node(out, *node.op, inputs, node.attrs, {node.name, std::move(blocks)});
    for (std::size_t i = 0; i < node.outputs.size(); ++i) keep(node.outputs[i], made.outputs[i]);
  }

  // A constant operand of another type counts as cast to that of the operand that is none, as it was when the
  // graph was read.
  void settle_types(const Node& node, std::vector<ValueId>& operands) {
    for (auto [fixed, other] : {std::pair(0, 1), std::pair(1, 0)}) {
      DType wanted = to_.type(operands[other]).dtype;
      bool mixed = from_.value(node.inputs[fixed]).is_constant() &&
                   !from_.value(node.inputs[other]).is_constant() &&
                   to_.type(operands[fixed]).dtype != wanted;
      if (mixed) operands[fixed] = to_.add_constant(converted(to_.value(operands[fixed]).constant, wanted));
    }
  }

  void keep(ValueId old, ValueId now) {
    const Value& before = from_.value(old);
    Value& after = to_.value(now);
    if (after.name.empty()) after.name = before.name;
    if (!after.type.ranked && before.type.ranked) after.type = before.type;
    map_[index(old)] = now;
  }

  Block nested(const Block& block, const Node& node, std::span<const ValueId> inputs) {
    Block out;
    for (std::size_t i = 0; i < block.inputs.size(); ++i) {
      const Value& declared = from_.value(block.inputs[i]);
      Type type = i < inputs.size() && has(node.op->traits, Traits::structural)
                      ? block_input_type(declared.type, to_.type(inputs[i]))
                      : declared.type;
      ValueId v = to_.add_value(type, declared.name);
      map_[index(block.inputs[i])] = v;
      out.inputs.push_back(v);
    }
    nodes(block, out);
    for (ValueId v : block.outputs) out.outputs.push_back(mapped(v));
    return out;
  }

  void take_branch(const Node& node, ValueId pred, Block& out) {
    const Block& branch = node.blocks[to_integers(to_.value(pred).constant).front() ? 0 : 1];
    nodes(branch, out);
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      map_[index(node.outputs[i])] = mapped(branch.outputs[i]);
  }

  bool folded(const Node& node, std::span<const ValueId> inputs) {
    if (has(node.op->traits, Traits::random) || has(node.op->traits, Traits::side_effect) ||
        node.outputs.empty())
      return false;
    bool shape_only = node.op == &ops::shape && to_.type(inputs.front()).is_concrete();
    std::vector<const Tensor*> values;
    for (ValueId v : inputs) {
      bool constant = v == no_value || to_.value(v).is_constant();
      if (!constant && !shape_only) return false;
      values.push_back(v == no_value || !constant ? nullptr : &to_.value(v).constant);
    }
    std::vector<Tensor> results;
    if (shape_only) {
      const Shape& shape = to_.type(inputs.front()).shape;
      results.push_back(from_integers(shape, DType::i32, {static_cast<Dim>(shape.size())}));
    } else if (!node.op->evaluate) {
      results = fold_(node, values, infer(to_, *node.op, inputs, node.attrs));
    }
    for (std::size_t i = 0; i < results.size(); ++i)
      map_[index(node.outputs[i])] =
          to_.add_constant(std::move(results[i]), from_.value(node.outputs[i]).name);
    return !results.empty();
  }

  const Graph& from_;
  const Fold& fold_;
  std::vector<ValueId> map_;
  Graph to_;
};

}  // namespace

Graph specialize(const Graph& graph, std::span<const Type> types, const Fold& fold) {
  return Specializer(graph, fold).run(types);
}

}  // namespace tl::pass
