// SPDX-License-Identifier: Apache-2.0
// The graph: values, and nodes in the order they run, in blocks that may nest. Copied with `=`.
#pragma once
#include <deque>

#include "ir/op_def.h"

namespace tl {

enum class ValueId : std::uint32_t {};
inline constexpr ValueId no_value{0xffffffffu};  // an absent optional input
constexpr std::size_t index(ValueId v) { return static_cast<std::size_t>(v); }

struct Block;

struct Node {
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs = {};  // one per declared input (no_value: absent), then the rest of a `many`
  std::vector<ValueId> outputs = {};
  Attrs attrs = {};
  std::vector<Block> blocks;  // cond: then, else; while_loop: condition, body
  std::string name = {};      // as the file had it; for messages
  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != no_value; }
};

struct Block {
  std::vector<ValueId> inputs = {};
  std::vector<Node> nodes = {};
  std::vector<ValueId> outputs = {};
};

struct Value {
  Type type = {};
  std::string name = {};  // unique in a graph where it matters: inputs, outputs, what --keep names
  Tensor constant = {};   // set: this value is a constant, and no node gives it
  bool is_constant() const { return static_cast<bool>(constant); }
};

struct NodeParts {  // what few nodes are made with
  std::string name = {};
  std::vector<Block> blocks = {};
};

class Graph {
 public:
  std::string name = "main";
  Block body;                             // its inputs (states too) and outputs are the graph's
  std::vector<std::string> output_names;  // of body.outputs: one value may have several names

  const Value& value(ValueId v) const { return values_[index(v)]; }
  Value& value(ValueId v) { return values_[index(v)]; }
  const Type& type(ValueId v) const { return values_[index(v)].type; }
  std::size_t value_count() const { return values_.size(); }

  ValueId add_value(Type, std::string name = {});
  ValueId add_input(Type, std::string name);
  ValueId add_constant(Tensor, std::string name = {});
  void add_output(ValueId, std::string name);
  Dim new_symbol() { return symbol(symbols_++); }

  // Appends a node whose attributes are completed and whose outputs are inferred and made. Throws Error,
  // noted with the node's name. The reference to it lasts until the next node is added.
  Node& add_node(Block&, const OpDef&, std::vector<ValueId> inputs, const Attrs& = {}, NodeParts parts = {});

 private:
  std::deque<Value> values_;  // references to values outlive the adding of others
  int symbols_ = 0;
};

// The types that a node's inputs imply for its outputs.
std::vector<Type> infer(const Graph&, const OpDef&, std::span<const ValueId> inputs, const Attrs&,
                        std::span<const Block> blocks = {});

// Calls visit(Node&) for every node, those of nested blocks before the node that holds them.
template <class G, class Visit> void for_each_node(G& block, const Visit& visit) {
  for (auto& node : block.nodes) {
    for (auto& inner : node.blocks) for_each_node(inner, visit);
    visit(node);
  }
}

std::string print(const Graph&);  // the text form (doc/pipeline.md), constants of up to 16 elements in full
Graph parse_graph(std::string_view text);  // of what print gives; throws Error with the line
void verify(const Graph&,
            std::string_view after);  // aborts through TL_ASSERT style message: a pass broke the graph

}  // namespace tl
