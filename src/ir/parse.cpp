// SPDX-License-Identifier: Apache-2.0
// Reads the text form of a graph that print.cpp writes.
#include <cctype>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "ir/graph.h"

namespace tl {
namespace {

constexpr int most_nested = 64;

class GraphParser {
 public:
  explicit GraphParser(std::string_view source) : rest_(source) {}

  Graph run() {
    try {
      word("graph");
      graph_.name = identifier();
      for (auto& [name, type] : parameters()) names_[name] = graph_.add_input(type, name.substr(1));
      block(graph_.body, true);
      space();
      if (!rest_.empty()) fail("text after the end of the graph");
    } catch (Error& error) { throw error.note(text("line {}", line_)); }
    return std::move(graph_);
  }

 private:
  using Parameters = std::vector<std::pair<std::string, Type>>;

  [[noreturn]] void fail(std::string_view what) { throw Error(Code::bad_input, std::string(what)); }

  void space() {
    while (!rest_.empty() &&
           (std::isspace(static_cast<unsigned char>(rest_[0])) || rest_.starts_with("//"))) {
      if (rest_.starts_with("//")) rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      else {
        line_ += rest_[0] == '\n';
        rest_.remove_prefix(1);
      }
    }
  }

  bool maybe(std::string_view token) {
    space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void word(std::string_view token) {
    if (!maybe(token)) fail(text("'{}' is missing", token));
  }

  std::string identifier() {
    space();
    std::size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) || rest_[n] == '_' ||
                                rest_[n] == '@' || (n == 0 && rest_[n] == '%')))
      ++n;
    if (n == 0) fail("a name is missing");
    std::string name(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return name;
  }

  // Up to and with the bracket that closes the one at the front; quotes are skipped over.
  std::string bracketed() {
    space();
    std::size_t n = 0;
    int depth = 0;
    bool quoted = false;
    for (; n < rest_.size(); ++n) {
      if (rest_[n] == '"') quoted = !quoted;
      if (!quoted && rest_[n] == '[') ++depth;
      if (!quoted && rest_[n] == ']' && --depth == 0) break;
    }
    if (n == rest_.size()) fail("']' is missing");
    std::string all(rest_.substr(0, n + 1));
    rest_.remove_prefix(n + 1);
    return all;
  }

  Dim dimension(std::string_view item) {
    if (item == "?") return unknown;
    if (item.starts_with('s')) {
      int k = static_cast<int>(std::get<std::int64_t>(parse_attr(AttrKind::integer, item.substr(1))));
      while (symbols_ <= k && symbols_ < 1 << 20) graph_.new_symbol(), ++symbols_;
      return symbol(k);
    }
    return std::get<std::int64_t>(parse_attr(AttrKind::integer, item));
  }

  DType dtype() {
    std::string name = identifier();
    std::optional<DType> d = dtype_named(name);
    if (!d) fail(text("'{}' is no element type", name));
    return *d;
  }

  Type tensor_type() {
    DType d = dtype();
    space();
    if (!rest_.starts_with('[')) return Type(d, {});
    std::string dims = bracketed();
    if (dims == "[*]") return unranked(d);
    Shape shape;
    const AttrValue items = parse_attr(AttrKind::words, dims);
    for (const std::string& item : std::get<std::vector<std::string>>(items))
      shape.push_back(dimension(item));
    return Type(d, std::move(shape));
  }

  Type type() {
    Type t;
    if (maybe("state<")) t = tensor_type(), t.kind = Type::Kind::state;
    else if (maybe("list<")) {
      t = tensor_type();
      word(",");
      t = list_of(t.dtype, t.shape, maybe("?") ? unknown : dimension(identifier()));
    } else if (maybe("dict<")) {
      DType key = dtype();
      word(",");
      t = dictionary_of(key, dtype());
    } else return tensor_type();
    word(">");
    return t;
  }

  Parameters parameters() {
    Parameters all;
    word("(");
    while (!maybe(")")) {
      if (!all.empty()) word(",");
      std::string name = identifier();
      word(":");
      all.emplace_back(name, type());
    }
    return all;
  }

  ValueId value() {
    std::string name = identifier();
    if (name == "_") return no_value;
    auto found = names_.find(name);
    if (found == names_.end()) fail(text("there is no value {}", name));
    return found->second;
  }

  void block(Block& body, bool outermost) {
    if (++depth_ > most_nested) fail("blocks are nested too deep");
    word("{");
    while (!maybe("return")) statement(body);
    space();
    while (!maybe("}")) {
      body.outputs.push_back(value());
      if (outermost)
        graph_.output_names.push_back(maybe("as") ? quoted() : graph_.value(body.outputs.back()).name);
      maybe(",");
    }
    --depth_;
  }

  std::string quoted() {
    word("\"");
    std::size_t end = rest_.find('"');
    if (end == std::string_view::npos) fail("'\"' is missing");
    std::string name(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return name;
  }

  void statement(Block& body) {
    Parameters results;
    space();
    if (rest_.starts_with('%')) {
      do {
        std::string name = identifier();
        word(":");
        results.emplace_back(name, type());
      } while (maybe(","));
      word("=");
    }
    std::string op = identifier();
    if (op == "constant") return constant(results);
    call(body, find_op(op), results);
  }

  void constant(const Parameters& results) {
    if (results.size() != 1) fail("a constant has one name");
    const auto& [name, type] = results.front();
    std::string all = bracketed();
    Tensor t;
    if (type.dtype == DType::string)
      t = from_strings(std::get<std::vector<std::string>>(parse_attr(AttrKind::words, all)), type.shape);
    else {
      std::vector<double> numbers = std::get<std::vector<double>>(parse_attr(AttrKind::numbers, all));
      if (!is_known(type.shape) || volume(type.shape) != static_cast<std::int64_t>(numbers.size()))
        fail("the constant does not fill its shape");
      t = from_doubles(numbers, type.dtype, type.shape);
    }
    names_[name] = graph_.add_constant(std::move(t), name.substr(1));
  }

  void call(Block& body, const OpDef& op, const Parameters& results) {
    std::vector<ValueId> inputs;
    word("(");
    while (!maybe(")")) {
      if (!inputs.empty()) word(",");
      inputs.push_back(value());
    }
    Attrs attrs = maybe("{") ? attributes(op) : Attrs();
    std::vector<Block> blocks;
    for (space(); rest_.starts_with('('); space()) {
      blocks.emplace_back();
      for (auto& [name, type] : parameters()) {
        names_[name] = graph_.add_value(type, name.substr(1));
        blocks.back().inputs.push_back(names_[name]);
      }
      block(blocks.back(), false);
    }
    const Node& node = graph_.add_node(body, op, std::move(inputs), attrs, {{}, std::move(blocks)});
    if (node.outputs.size() != results.size()) fail(text("{} gives {} values", op.name, node.outputs.size()));
    for (std::size_t i = 0; i < results.size(); ++i) {
      graph_.value(node.outputs[i]).name = results[i].first.substr(1);
      graph_.value(node.outputs[i]).type = results[i].second;
      names_[results[i].first] = node.outputs[i];
    }
  }

  // Up to the comma or brace that ends an attribute.
  std::string item() {
    space();
    if (rest_.starts_with('[')) return bracketed();
    if (rest_.starts_with('"')) return "\"" + quoted() + "\"";
    std::size_t n = std::min(rest_.find_first_of(",}"), rest_.size());
    std::string all(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return all;
  }

  Attrs attributes(const OpDef& op) {
    Attrs attrs;
    while (!maybe("}")) {
      std::string name = identifier();
      word("=");
      std::string written = item();
      AttrKind kind = AttrKind::word;
      for (const AttrDef& def : op.attrs)
        if (def.name == name) kind = def.kind;
      attrs.set(name, parse_attr(kind, written));
      maybe(",");
    }
    return attrs;
  }

  std::string_view rest_;
  int line_ = 1, depth_ = 0, symbols_ = 0;
  Graph graph_;
  std::unordered_map<std::string, ValueId> names_;
};

}  // namespace

Graph parse_graph(std::string_view source) { return GraphParser(source).run(); }

}  // namespace tl
