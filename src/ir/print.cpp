// SPDX-License-Identifier: Apache-2.0
// The text form of a graph, which parse.cpp reads back: what pass tests and `tl show --graph` are written in.
#include <cctype>
#include <unordered_map>

#include "base/text.h"
#include "ir/graph.h"

namespace tl {
namespace {

constexpr std::int64_t most_printed = 16;  // elements of a constant

bool is_plain(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  for (char c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '@') return false;
  return true;
}

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph) {
    std::unordered_map<std::string_view, int> uses;
    for (std::size_t i = 0; i < graph.value_count(); ++i) ++uses[graph.value(ValueId(i)).name];
    for (std::size_t i = 0; i < graph.value_count(); ++i) {
      const std::string& name = graph.value(ValueId(i)).name;
      names_.push_back(is_plain(name) && uses[name] == 1 ? "%" + name : text("%v{}", i));
    }
    printed_.assign(graph.value_count(), false);
  }

  std::string run() {
    out_ = text("graph {}(", is_plain(graph_.name) ? graph_.name : "main");
    parameters(graph_.body);
    out_ += ") {\n";
    nodes(graph_.body, 1);
    constants(graph_.body.outputs, 1);
    out_ += "  return";
    for (std::size_t i = 0; i < graph_.body.outputs.size(); ++i)
      out_ += text("{}{} as {}", i ? ", " : " ", name(graph_.body.outputs[i]),
                   text_of(AttrValue(graph_.output_names[i])));
    return out_ + "\n}\n";
  }

 private:
  std::string name(ValueId v) const { return v == no_value ? "_" : names_[index(v)]; }
  std::string typed(ValueId v) const { return name(v) + ": " + text_of(graph_.type(v)); }
  void indent(int depth) { out_.append(static_cast<std::size_t>(depth) * 2, ' '); }

  void parameters(const Block& block) {
    for (std::size_t i = 0; i < block.inputs.size(); ++i) out_ += (i ? ", " : "") + typed(block.inputs[i]);
  }

  void constants(std::span<const ValueId> values, int depth) {
    for (ValueId v : values) {
      if (v == no_value || !graph_.value(v).is_constant() || printed_[index(v)]) continue;
      printed_[index(v)] = true;
      indent(depth);
      out_ += typed(v) + " = constant " + content(graph_.value(v).constant) + "\n";
    }
  }

  static std::string content(const Tensor& t) {
    if (t.size() > most_printed) return text("<{} bytes>", t.bytes());
    if (t.dtype() == DType::string) {
      std::span<const std::string> all = t.as<std::string>();
      return text_of(AttrValue(std::vector<std::string>(all.begin(), all.end())));
    }
    if (is_float(t.dtype())) return text_of(AttrValue(to_doubles(t)));
    return text_of(AttrValue(to_integers(t)));
  }

  void nodes(const Block& block, int depth) {
    for (const Node& node : block.nodes) {
      constants(node.inputs, depth);
      indent(depth);
      for (std::size_t i = 0; i < node.outputs.size(); ++i) out_ += (i ? ", " : "") + typed(node.outputs[i]);
      out_ += (node.outputs.empty() ? "" : " = ") + std::string(node.op->name) + "(";
      for (std::size_t i = 0; i < node.inputs.size(); ++i) out_ += (i ? ", " : "") + name(node.inputs[i]);
      out_ += ")";
      attributes(node.attrs);
      for (const Block& inner : node.blocks) nested(inner, depth);
      out_ += "\n";
    }
  }

  void attributes(const Attrs& attrs) {
    if (attrs.size() == 0) return;
    out_ += " {";
    bool first = true;
    for (const auto& [key, value] : attrs) {
      out_ += text("{}{}={}", first ? "" : ", ", key, text_of(value));
      first = false;
    }
    out_ += "}";
  }

  void nested(const Block& block, int depth) {
    out_ += " (";
    parameters(block);
    out_ += ") {\n";
    nodes(block, depth + 1);
    constants(block.outputs, depth + 1);
    indent(depth + 1);
    out_ += "return";
    for (std::size_t i = 0; i < block.outputs.size(); ++i) out_ += (i ? ", " : " ") + name(block.outputs[i]);
    out_ += "\n";
    indent(depth);
    out_ += "}";
  }

  const Graph& graph_;
  std::vector<std::string> names_;
  std::vector<bool> printed_;
  std::string out_;
};

}  // namespace

std::string print(const Graph& graph) { return Printer(graph).run(); }

}  // namespace tl
