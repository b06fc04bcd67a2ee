// SPDX-License-Identifier: Apache-2.0
// `tl show`: a program as text one can read, weights summarised.
#include <utility>

#include "base/text.h"
#include "cli/show.h"

namespace tl::cli {
namespace {

constexpr std::int64_t most_elements = 8;
constexpr std::size_t longest_text = 60;

class ProgramText {
 public:
  ProgramText(const Function& f, std::size_t most_lines) : graph_(*f.graph), most_(most_lines) {
    page_ = text("{}{}(", printable(f.name), f.opset.empty() ? "" : text("<{}>", printable(f.opset)));
    parameters(graph_.body);
    page_ += ") {\n";
    nodes(graph_.body, 1);
    if (left_out_) page_ += text("  … and {} more operations (--program shows all)\n", left_out_);
    page_ += "} -> (";
    for (std::size_t i = 0; i < graph_.output_names.size(); ++i)
      page_ += (i ? ", " : "") + printable(graph_.output_names[i]);
    page_ += ")\n";
  }

  std::string page() && { return std::move(page_); }

 private:
  std::string name(ValueId v) const {
    const std::string& given = graph_.value(v).name;
    return given.empty() ? text("%{}", index(v)) : printable(given, longest_text);
  }
  std::string typed(ValueId v) const { return text("{}: {}", name(v), text_of(graph_.type(v))); }
  void indent(int depth) { page_.append(static_cast<std::size_t>(depth) * 2, ' '); }

  static std::string content(const Tensor& t) {
    std::string all;
    if (t.dtype() == DType::string)
      for (const std::string& s : t.as<std::string>())
        all += text("{}\"{}\"", all.empty() ? "" : ", ", printable(s, longest_text));
    else if (is_float(t.dtype()))
      for (double x : to_doubles(t)) all += text("{}{:.6g}", all.empty() ? "" : ", ", x);
    else
      for (std::int64_t n : to_integers(t)) all += text("{}{}", all.empty() ? "" : ", ", n);
    return t.rank() == 0 ? all : "[" + all + "]";
  }

  std::string operand(ValueId v) const {
    const Value& value = graph_.value(v);
    if (!value.is_constant()) return name(v);
    if (value.constant.size() <= most_elements) return content(value.constant);
    return text("<{} {}>", name(v), text_of(value.type));
  }

  void parameters(const Block& block) {
    for (std::size_t i = 0; i < block.inputs.size(); ++i) page_ += (i ? ", " : "") + typed(block.inputs[i]);
  }

  void inputs(const Node& node) {
    bool first = true;
    auto comma = [&] { return std::exchange(first, false) ? "" : ", "; };
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == no_value) continue;
      const InputDef& def = node.op->inputs[std::min(i, node.op->inputs.size() - 1)];
      bool many = def.arity == Arity::many;
      page_ += many ? text("{}{}", comma(), operand(node.inputs[i]))
                    : text("{}{}={}", comma(), def.name, operand(node.inputs[i]));
    }
    for (const AttrDef& def : node.op->attrs) {
      const AttrValue* value = node.attrs.find(def.name);
      bool usual = value && def.fallback != required && def.fallback != absent &&
                   parse_attr(def.kind, def.fallback) == *value;
      if (value && !usual) page_ += text("{}{}={}", comma(), def.name, shortened(text_of(*value)));
    }
  }

  static std::string shortened(std::string value) {
    constexpr std::size_t longest = 100;
    if (value.size() > longest) value = value.substr(0, longest) + "…";
    return value;
  }

  void nodes(const Block& block, int depth) {
    for (const Node& node : block.nodes) {
      if (++lines_ > most_) {
        ++left_out_;
        continue;
      }
      indent(depth);
      for (std::size_t i = 0; i < node.outputs.size(); ++i) page_ += (i ? ", " : "") + typed(node.outputs[i]);
      page_ += text("{}{}(", node.outputs.empty() ? "" : " = ", node.op->name);
      inputs(node);
      page_ += ")";
      for (const Block& inner : node.blocks) nested(inner, depth);
      page_ += "\n";
    }
  }

  void nested(const Block& block, int depth) {
    page_ += " (";
    parameters(block);
    page_ += ") {\n";
    nodes(block, depth + 1);
    indent(depth);
    page_ += "} -> (";
    for (std::size_t i = 0; i < block.outputs.size(); ++i)
      page_ += (i ? ", " : "") + operand(block.outputs[i]);
    page_ += ")";
  }

  const Graph& graph_;
  std::size_t most_, lines_ = 0, left_out_ = 0;
  std::string page_ = {};
};

}  // namespace

std::string program_text(const Function& f, std::size_t most_lines) {
  return f.graph ? ProgramText(f, most_lines).page() : "";
}

}  // namespace tl::cli
