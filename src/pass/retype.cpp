// SPDX-License-Identifier: Apache-2.0
// Rebuilds the graph node by node; inference gives the new types.
#include "pass/retype.h"

#include "base/error.h"
#include "op/ops.h"

namespace tl::pass {
namespace {

class Retyper {
 public:
  Retyper(const Graph& from, DType floating)
      : from_(from), floating_(floating), map_(from.value_count(), no_value) {
    to_.name = from.name;
  }

  Graph run() {
    for (ValueId v : from_.body.inputs)
      map_[index(v)] = to_.add_input(changed(from_.type(v)), from_.value(v).name);
    nodes(from_.body, to_.body);
    for (std::size_t i = 0; i < from_.body.outputs.size(); ++i)
      to_.add_output(mapped(from_.body.outputs[i]), from_.output_names[i]);
    return std::move(to_);
  }

 private:
  bool changes(DType d) const { return d == DType::f16 || d == DType::f32 || d == DType::bf16; }
  Type changed(Type t) const {
    if (changes(t.dtype) && t.kind != Type::Kind::dictionary) t.dtype = floating_;
    return t;
  }

  ValueId mapped(ValueId v) {
    if (v == no_value) return v;
    ValueId& now = map_[index(v)];
    if (now == no_value) {
      const Value& old = from_.value(v);
      TL_ASSERT(old.is_constant());
      now = to_.add_constant(changes(old.type.dtype) ? converted(old.constant, floating_) : old.constant,
                             old.name);
    }
    return now;
  }

  Attrs changed(const Attrs& attrs) const {
    Attrs now = attrs;
    for (std::string_view name : {"dtype", "output_dtype"}) {
      const AttrValue* value = attrs.find(name);
      const auto* word = value ? std::get_if<std::string>(value) : nullptr;
      std::optional<DType> d = word ? dtype_named(*word) : std::nullopt;
      if (d && changes(*d)) now.set(name, std::string(name_of(floating_)));
    }
    return now;
  }

  void nodes(const Block& in, Block& out) {
    for (const Node& node : in.nodes) {
      std::vector<ValueId> inputs;
      for (ValueId v : node.inputs) inputs.push_back(mapped(v));
      std::vector<Block> blocks;
      for (const Block& block : node.blocks) blocks.push_back(nested(block));
      const Node& made =
          to_.add_node(out, *node.op, std::move(inputs), changed(node.attrs), {node.name, std::move(blocks)});
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        const Value& old = from_.value(node.outputs[i]);
        Value& now = to_.value(made.outputs[i]);
        now.name = old.name;
        Type declared = changed(old.type);  // the file may know shapes better than inference
        if (declared.dtype == now.type.dtype && declared.kind == now.type.kind)
          now.type = std::move(declared);
        map_[index(node.outputs[i])] = made.outputs[i];
      }
    }
  }

  Block nested(const Block& block) {
    Block out;
    for (ValueId v : block.inputs)
      out.inputs.push_back(map_[index(v)] = to_.add_value(changed(from_.type(v)), from_.value(v).name));
    nodes(block, out);
    for (ValueId v : block.outputs) out.outputs.push_back(mapped(v));
    return out;
  }

  const Graph& from_;
  DType floating_;
  std::vector<ValueId> map_;
  Graph to_;
};

}  // namespace

Graph retyped(const Graph& graph, DType floating) { return Retyper(graph, floating).run(); }

}  // namespace tl::pass
