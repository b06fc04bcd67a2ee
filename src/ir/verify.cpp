// SPDX-License-Identifier: Apache-2.0
// Holds a graph to its rules after every pass: order, scopes, arity, and types that inference confirms.
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "ir/graph.h"

namespace tl {
namespace {

class Verifier {
 public:
  Verifier(const Graph& graph, std::string_view after)
      : graph_(graph), after_(after), known_(graph.value_count(), false) {}

  void run() {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) known_[i] = graph_.value(ValueId(i)).is_constant();
    if (graph_.body.outputs.size() != graph_.output_names.size()) bug("has outputs without names", nullptr);
    block(graph_.body);
  }

 private:
  void block(const Block& body) {
    for (ValueId v : body.inputs) known_[index(v)] = true;
    for (const Node& node : body.nodes) {
      for (ValueId v : node.inputs)
        if (v != no_value && !known_[index(v)]) bug("reads a value before it is computed", &node);
      for (const Block& inner : node.blocks) block(inner);
      check_types(node);
      for (ValueId v : node.outputs) known_[index(v)] = true;
    }
    for (ValueId v : body.outputs)
      if (!known_[index(v)]) bug("gives a value that nobody computes", nullptr);
  }

  // Values may be known better than inference says (a file declares shapes), never otherwise.
  static bool agrees(const Type& now, const Type& inferred) {
    if (now.kind != inferred.kind || now.dtype != inferred.dtype) return false;
    if (!now.ranked || !inferred.ranked) return true;
    if (now.rank() != inferred.rank()) return false;
    for (std::size_t d = 0; d < now.rank(); ++d)
      if (is_known(now.shape[d]) && is_known(inferred.shape[d]) && now.shape[d] != inferred.shape[d])
        return false;
    return true;
  }

  void check_types(const Node& node) {
    std::vector<Type> types;
    try {
      types = infer(graph_, *node.op, node.inputs, node.attrs, node.blocks);
    } catch (const Error& error) { bug(error.what(), &node); }
    if (types.size() != node.outputs.size()) bug("has another number of outputs than inference gives", &node);
    for (std::size_t i = 0; i < types.size(); ++i)
      if (!agrees(graph_.type(node.outputs[i]), types[i]))
        bug(text("has type {} where its inputs imply {}", text_of(graph_.type(node.outputs[i])),
                 text_of(types[i])),
            &node);
  }

  [[noreturn]] void bug(const std::string& what, const Node* node) {
    std::string where =
        node ? text("{} '{}' ", node->op->name, node->name) : text("graph '{}' ", graph_.name);
    std::fprintf(stderr, "tl: internal error after %.*s: %s%s (please report it)\n",
                 static_cast<int>(after_.size()), after_.data(), where.c_str(), what.c_str());
    std::abort();
  }

  const Graph& graph_;
  std::string_view after_;
  std::vector<bool> known_;
};

}  // namespace

void verify(const Graph& graph, std::string_view after) { Verifier(graph, after).run(); }

}  // namespace tl
