// SPDX-License-Identifier: Apache-2.0
// Rebuilds the graph node by node. A value may be wanted in its old type and in the new one: the cast between
// is made once, where it is first wanted.
#include "pass/precision.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "op/ops.h"

namespace tl::pass {
namespace {

constexpr double largest_half = 65504;
constexpr double smallest_half = 0x1p-14;  // with all its digits

bool is_working(DType d) { return d == DType::f16 || d == DType::f32 || d == DType::bf16; }

class Converter {
 public:
  // Without `stays` everything changes: the types of inputs, outputs and states too.
  Converter(const Graph& from, DType floating, const std::function<bool(const OpDef&)>* stays)
      : from_(from), floating_(floating), stays_(stays), map_(from.value_count(), no_value) {
    to_.name = from.name;
  }

  Graph run() {
    for (ValueId v : from_.body.inputs) map_[index(v)] = to_.add_input(edge(v), from_.value(v).name);
    nodes(from_.body, to_.body);
    for (std::size_t i = 0; i < from_.body.outputs.size(); ++i) {
      ValueId v = from_.body.outputs[i];
      to_.add_output(in_type(v, edge(v).dtype, to_.body), from_.output_names[i]);
    }
    return std::move(to_);
  }

 private:
  bool changes(const Type& t) const {
    return is_working(t.dtype) && t.kind != Type::Kind::dictionary &&
           (!stays_ || t.kind != Type::Kind::state);
  }
  Type edge(ValueId v) const { return stays_ ? from_.type(v) : changed(from_.type(v)); }
  Type changed(Type t) const {
    if (changes(t)) t.dtype = floating_;
    return t;
  }

  // ---- values

  ValueId mapped(ValueId v) {
    ValueId& now = map_[index(v)];
    if (now == no_value) {
      TL_ASSERT(from_.value(v).is_constant());
      now = to_.add_constant(from_.value(v).constant, from_.value(v).name);
    }
    return now;
  }

  // The value as this type, cast in `block` if it is not yet.
  ValueId in_type(ValueId v, DType wanted, Block& block) {
    const Value& old = from_.value(v);
    bool constant = old.is_constant();
    const Type& type = constant ? old.type : to_.type(mapped(v));
    if (type.dtype == wanted || !type.is_tensor() || !is_working(type.dtype)) return mapped(v);
    auto found = cast_.find({v, wanted});
    if (found != cast_.end()) return found->second;
    ValueId made = constant ? to_.add_constant(converted(old.constant, wanted), old.name)
                            : add_cast(mapped(v), wanted, block);
    if (constant || &block == &to_.body) cast_[{v, wanted}] = made;  // a nested block's is not seen outside
    return made;
  }

  ValueId add_cast(ValueId v, DType wanted, Block& block) {
    Attrs attrs;
    attrs.set("dtype", std::string(tl::name_of(wanted)));
    ValueId made = to_.add_node(block, ops::cast, {v}, attrs).outputs.front();
    std::string name = to_.value(v).name;
    if (!name.empty()) to_.value(made).name = name + "_to_" + std::string(tl::name_of(wanted));
    return made;
  }

  // ---- nodes

  // Numbers that fp16 turns into infinity, or constants for scaling that lose most of their digits.
  bool loses(const Node& node) const {
    if (floating_ != DType::f16) return false;
    bool scales = has(node.op->traits, Traits::dequantize);
    for (ValueId v : node.inputs) {
      if (v == no_value || !from_.value(v).is_constant() || from_.type(v).dtype != DType::f32) continue;
      for (double x : to_doubles(from_.value(v).constant)) {
        double size = std::abs(x);
        if (std::isfinite(x) && size > largest_half) return true;
        if (scales && size > 0 && size < smallest_half) return true;
      }
    }
    for (const auto& [name, value] : node.attrs)
      if (const double* x = std::get_if<double>(&value);
          x && std::isfinite(*x) && std::abs(*x) > largest_half)
        return node.op != &ops::clip;
    return false;
  }

  bool keeps(const Node& node) const {
    if (!stays_) return false;
    for (ValueId v : node.inputs)
      if (v != no_value && from_.type(v).kind != Type::Kind::tensor)
        return from_.type(v).kind == Type::Kind::state;
    return (*stays_)(*node.op) || loses(node) || casts_as_given(node);
  }

  // A cast to whole numbers of a value that still has the type it had: an input of the graph.
  bool casts_as_given(const Node& node) const {
    if (node.op != &ops::cast || is_float(from_.type(node.outputs[0]).dtype)) return false;
    ValueId now = map_[index(node.inputs[0])];
    return now != no_value && to_.type(now).dtype == from_.type(node.inputs[0]).dtype;
  }

  // A cast between types that are now one changes nothing.
  bool is_idle(const Node& node) const {
    return node.op == &ops::cast && is_working(from_.type(node.inputs[0]).dtype) &&
           is_working(from_.type(node.outputs[0]).dtype);
  }

  Attrs attributes(const Node& node) const {
    Attrs now = node.attrs;
    for (std::string_view name : {"dtype", "output_dtype"}) {
      const AttrValue* value = node.attrs.find(name);
      const auto* word = value ? std::get_if<std::string>(value) : nullptr;
      std::optional<DType> d = word ? dtype_named(*word) : std::nullopt;
      if (d && is_working(*d)) now.set(name, std::string(tl::name_of(floating_)));
    }
    return now;
  }

  void nodes(const Block& in, Block& out) {
    for (const Node& node : in.nodes) {
      if (is_idle(node)) map_[index(node.outputs[0])] = in_type(node.inputs[0], floating_, out);
      else one(node, out, keeps(node));
    }
  }

  void one(const Node& node, Block& out, bool kept) {
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) {
      if (v == no_value) inputs.push_back(v);
      else inputs.push_back(in_type(v, kept ? from_.type(v).dtype : changed(from_.type(v)).dtype, out));
    }
    std::vector<Block> blocks;
    for (const Block& block : node.blocks) blocks.push_back(nested(block));
    const Node& made = to_.add_node(out, *node.op, std::move(inputs), kept ? node.attrs : attributes(node),
                                    {node.name, std::move(blocks)});
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const Value& old = from_.value(node.outputs[i]);
      Value& now = to_.value(made.outputs[i]);
      now.name = old.name;
      Type declared = kept ? old.type : changed(old.type);  // the file may know shapes better than inference
      if (declared.dtype == now.type.dtype && declared.kind == now.type.kind) now.type = std::move(declared);
      map_[index(node.outputs[i])] = made.outputs[i];
    }
  }

  Block nested(const Block& block) {
    Block out;
    for (ValueId v : block.inputs)
      out.inputs.push_back(map_[index(v)] = to_.add_value(changed(from_.type(v)), from_.value(v).name));
    nodes(block, out);
    for (ValueId v : block.outputs) out.outputs.push_back(in_type(v, changed(from_.type(v)).dtype, out));
    return out;
  }

  const Graph& from_;
  DType floating_;
  const std::function<bool(const OpDef&)>* stays_;
  std::vector<ValueId> map_;
  std::map<std::pair<ValueId, DType>, ValueId> cast_ = {};
  Graph to_;
};

}  // namespace

Graph with_precision(const Graph& graph, DType floating, const std::function<bool(const OpDef&)>& stays) {
  return Converter(graph, floating, &stays).run();
}

Graph retyped(const Graph& graph, DType floating) { return Converter(graph, floating, nullptr).run(); }

}  // namespace tl::pass
