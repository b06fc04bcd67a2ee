// SPDX-License-Identifier: Apache-2.0
// Functions, lexical scopes, constants, nested blocks: everything of a program but the operations themselves,
// which bind.cpp turns into nodes.
#include "format/coreml/program.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/bind.h"

namespace tl::coreml {
namespace {

std::string label(const MilOperation& op) {
  const MilValue* name = op.attribute("name");
  const Tensor* t = name ? std::get_if<Tensor>(&name->content) : nullptr;
  if (t && t->dtype() == DType::string && t->size() == 1) return t->as<std::string>()[0];
  return op.outputs.empty() ? std::string() : std::string(op.outputs.front().name);
}

std::string context_of(const MilOperation& op) {
  std::string name = op.outputs.empty() ? label(op) : std::string(op.outputs.front().name);
  return text("{} '{}'", printable(op.type), printable(name));
}

class Lowering {
 public:
  Lowering(Graph& graph, int opset, WeightFiles& files) : graph_(graph), opset_(opset), files_(files) {}

  void function(const MilFunction& f) {
    scopes_.emplace_back();
    for (const NamedType& input : f.inputs)
      define(input.name, graph_.add_input(with_symbols(input.type), std::string(input.name)));
    operations(f.body, graph_.body, 0);
    for (std::string_view name : f.body.outputs)
      graph_.add_output(with_note([&] { return "outputs"; }, [&] { return find(name); }), std::string(name));
  }

 private:
  using Scope = std::unordered_map<std::string_view, ValueId>;

  Type with_symbols(Type type) {
    if (type.kind != Type::Kind::list)
      for (Dim& d : type.shape)
        if (!is_known(d)) d = graph_.new_symbol();
    return type;
  }

  void define(std::string_view name, ValueId value) {
    if (!scopes_.back().emplace(name, value).second)
      throw Error(Code::bad_input, text("'{}' is defined twice", printable(name)));
  }

  ValueId find(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (auto found = scope->find(name); found != scope->end()) return found->second;
    throw Error(Code::bad_input, text("'{}' is not defined before it is used", printable(name)));
  }

  // ---- constants

  Tensor tensor_of(const MilValue& value) {
    if (const Tensor* t = std::get_if<Tensor>(&value.content)) return *t;
    if (const BlobRef* blob = std::get_if<BlobRef>(&value.content))
      return files_.read(blob->file, blob->offset, value.type).tensor;
    throw Error(Code::unsupported, text("a constant of type {} is not supported here", text_of(value.type)));
  }

  void constant(const MilOperation& op) {
    const MilValue* value = op.attribute("val");
    if (!value) throw Error(Code::bad_input, "has no attribute 'val'");
    if (op.outputs.size() != 1)
      throw Error(Code::bad_input, text("gives 1 output, {} are declared", op.outputs.size()));
    if (const auto* parts = std::get_if<std::vector<MilValue>>(&value->content)) {
      lists_.insert_or_assign(op.outputs.front().name, parts);
      return;
    }
    Tensor t = tensor_of(*value);
    const Type& declared = op.outputs.front().type;
    if (declared.ranked && (declared.dtype != t.dtype() || declared.shape != t.shape()))
      throw Error(Code::bad_input,
                  text("is declared {}, but its value is {}", text_of(declared), text_of(t.type())));
    define(op.outputs.front().name, graph_.add_constant(std::move(t), std::string(op.outputs.front().name)));
  }

  // ---- operations

  // A value written in place: a constant, or, if it is a list or tuple, an attribute.
  void in_place(MilNode& m, std::string_view name, const MilValue& value) {
    if (const auto* parts = std::get_if<std::vector<MilValue>>(&value.content))
      return parts_of(m, name, *parts);
    std::string owner = m.outputs.empty() ? m.name : m.outputs.front();
    m.inputs[std::string(name)].push_back(graph_.add_constant(tensor_of(value), text("{}.{}", owner, name)));
  }

  void parts_of(MilNode& m, std::string_view name, const std::vector<MilValue>& parts) {
    AttrValue value = attr_of_parts(parts);
    const OpDef* op = op_of_mil(m.type);
    bool integers = std::holds_alternative<std::vector<std::int64_t>>(value);
    // A classifier's labels are words or numbers, and an attribute is one of them: the other is called
    // class_ids.
    bool renamed = integers && name == "classes" && op &&
                   std::any_of(op->attrs.begin(), op->attrs.end(),
                               [](const AttrDef& def) { return def.name == "class_ids"; });
    m.set(renamed ? "class_ids" : name, std::move(value));
  }

  void argument(MilNode& m, const Argument& argument) {
    for (const Binding& binding : argument.bindings) {
      if (!binding.value.empty()) in_place(m, argument.name, binding.value.front());
      else if (auto parts = lists_.find(binding.name); parts != lists_.end())
        parts_of(m, argument.name, *parts->second);
      else m.inputs[std::string(argument.name)].push_back(find(binding.name));
    }
  }

  MilNode mil_node(const MilOperation& op, Block& into) {
    MilNode m{{&graph_, &into}, std::string(op.type), label(op), opset_, {}, {}, {}, {}};
    for (const NamedType& output : op.outputs) {
      m.declared.push_back(output.type);
      m.outputs.emplace_back(output.name);
    }
    for (const Argument& a : op.inputs)
      with_note([&] { return text("input '{}'", printable(a.name)); }, [&] { argument(m, a); });
    if (op.type.substr(0, 10) == "constexpr_")  // those of iOS 16 have their parameters as attributes
      for (const NamedMilValue& a : op.attributes)
        if (a.name != "name")
          with_note([&] { return text("attribute '{}'", printable(a.name)); },
                    [&] { in_place(m, a.name, a.value); });
    return m;
  }

  void operation(const MilOperation& op, Block& into, int depth) {
    if (op.type == "const") return with_note([&] { return context_of(op); }, [&] { constant(op); });
    MilNode m = with_note([&] { return context_of(op); }, [&] { return mil_node(op, into); });
    std::vector<Block> blocks;
    for (const MilBlock& inner : op.blocks)
      with_note([&] { return context_of(op); }, [&] { blocks.push_back(block(inner, depth + 1)); });
    std::vector<ValueId> outputs = add_mil_node(m, std::move(blocks));
    for (std::size_t i = 0; i < op.outputs.size(); ++i)
      with_note([&] { return context_of(op); }, [&] { define(op.outputs[i].name, outputs[i]); });
  }

  void operations(const MilBlock& from, Block& into, int depth) {
    if (depth > deepest) throw Error(Code::bad_input, text("blocks are nested deeper than {}", deepest));
    into.nodes.reserve(from.operations.size());
    for (const MilOperation& op : from.operations) operation(op, into, depth);
  }

  Block block(const MilBlock& from, int depth) {
    Block out;
    scopes_.emplace_back();
    for (const NamedType& input : from.inputs) {
      out.inputs.push_back(graph_.add_value(input.type, std::string(input.name)));
      define(input.name, out.inputs.back());
    }
    operations(from, out, depth);
    for (std::string_view name : from.outputs) out.outputs.push_back(find(name));
    scopes_.pop_back();
    return out;
  }

  Graph& graph_;
  int opset_;
  WeightFiles& files_;
  std::vector<Scope> scopes_ = {};
  std::unordered_map<std::string_view, const std::vector<MilValue>*> lists_ = {};
};

// ---- functions

const MilOperation* first_unsupported(const MilBlock& block) {
  for (const MilOperation& op : block.operations) {
    if (op.type != "const" && !op_of_mil(op.type)) return &op;
    for (const MilBlock& inner : op.blocks)
      if (const MilOperation* found = first_unsupported(inner)) return found;
  }
  return nullptr;
}

void count_operations(const MilBlock& block, std::map<std::string, std::int64_t>& counts) {
  for (const MilOperation& op : block.operations) {
    if (op.type != "const") ++counts[std::string(op.type)];
    for (const MilBlock& inner : op.blocks) count_operations(inner, counts);
  }
}

Feature feature_of(const NamedType& named) {
  Feature out;
  out.name = named.name;
  out.kind = named.type.kind == Type::Kind::state ? FeatureKind::state : FeatureKind::tensor;
  out.dtype = named.type.dtype;
  out.shape = named.type.shape;
  return out;
}

// For a function that the description does not mention.
Interface interface_of(const MilFunction& f) {
  Interface out;
  for (const NamedType& input : f.inputs)
    (input.type.kind == Type::Kind::state ? out.states : out.inputs).push_back(feature_of(input));
  for (std::string_view name : f.body.outputs) {
    Type type = unranked(DType::f32);
    for (const MilOperation& op : f.body.operations)
      for (const NamedType& output : op.outputs)
        if (output.name == name) type = output.type;
    out.outputs.push_back(feature_of({name, type}));
  }
  return out;
}

void check_interface(const Interface& interface, const MilFunction& f) {
  auto takes = [&](std::string_view name) {
    return std::any_of(f.inputs.begin(), f.inputs.end(), [&](const NamedType& i) { return i.name == name; });
  };
  auto described = [](const std::vector<Feature>& features, std::string_view name) {
    return std::any_of(features.begin(), features.end(), [&](const Feature& x) { return x.name == name; });
  };
  for (const auto* features : {&interface.inputs, &interface.states})
    for (const Feature& x : *features)
      if (!takes(x.name))
        throw Error(Code::bad_input,
                    text("the input '{}' is described, but the program does not take it", printable(x.name)));
  for (const NamedType& input : f.inputs)
    if (!described(interface.inputs, input.name) && !described(interface.states, input.name))
      throw Error(Code::bad_input,
                  text("the program takes an input '{}' that is not described", printable(input.name)));
  for (const Feature& x : interface.outputs)
    if (std::find(f.body.outputs.begin(), f.body.outputs.end(), x.name) == f.body.outputs.end())
      throw Error(Code::bad_input,
                  text("the output '{}' is described, but the program does not give it", printable(x.name)));
}

// ---- weights by name

constexpr std::int64_t fewest_listed =
    16;  // elements of a constant written in the program, to be called a weight

class Listing {
 public:
  Listing(WeightFiles& files, std::vector<NamedTensor>& to) : files_(files), to_(to) {}

  void block(const MilBlock& b) {
    for (const MilOperation& op : b.operations) {
      with_note([&] { return context_of(op); }, [&] { operation(op); });
      for (const MilBlock& inner : op.blocks) block(inner);
    }
  }

 private:
  void operation(const MilOperation& op) {
    std::string name = op.outputs.empty() ? std::string() : std::string(op.outputs.front().name);
    for (const NamedMilValue& a : op.attributes)
      value(a.name == "val" ? name : text("{}.{}", name, a.name), a.value);
    for (const Argument& argument : op.inputs)
      for (const Binding& b : argument.bindings)
        if (!b.value.empty()) value(text("{}.{}", name, argument.name), b.value.front());
  }

  void value(std::string name, const MilValue& v) {
    if (const BlobRef* ref = std::get_if<BlobRef>(&v.content)) {
      Blob blob = files_.read(ref->file, ref->offset, v.type);
      add(std::move(name), v.type, blob.file, blob.offset, blob.bytes);
    } else if (const Tensor* t = std::get_if<Tensor>(&v.content);
               t && t->dtype() != DType::string && t->size() >= fewest_listed) {
      add(std::move(name), t->type(), t->storage(), t->offset(), t->bytes());
    }
  }

  void add(std::string name, const Type& type, const StoragePtr& file, std::uint64_t offset,
           std::uint64_t size) {
    to_.push_back({std::move(name), std::string(name_of(type.dtype)), type.shape, file, offset, size, true});
  }

  WeightFiles& files_;
  std::vector<NamedTensor>& to_;
};

void lower(const MilFunction& f, WeightFiles& files, Function& out) {
  if (const MilOperation* op = first_unsupported(f.body)) {
    out.why_not = text("{} '{}': there is no operation of this name (opset {})", printable(op->type),
                       op->outputs.empty() ? "" : printable(op->outputs.front().name), printable(f.opset));
    return;
  }
  try {
    Graph graph;
    graph.name = f.name;
    Lowering(graph, opset_number(f.opset), files).function(f);
    out.graph = std::move(graph);
  } catch (const Error& error) {
    if (error.code() != Code::unsupported) throw;
    out.why_not = error.what();
  }
}

void add_function(const MilFunction& f, const Description& description, WeightFiles& files, ModelFile& file) {
  Function out;
  out.name = f.name;
  out.opset = f.opset;
  const Interface* described = description.of(f.name);
  out.interface = described ? *described : interface_of(f);
  check_interface(out.interface, f);
  Listing(files, file.tensors).block(f.body);
  lower(f, files, out);
  file.functions.push_back(std::move(out));
}

std::string default_of(const Description& description, const ModelFile& file) {
  if (!description.default_function.empty()) return description.default_function;
  auto main = std::find_if(file.functions.begin(), file.functions.end(),
                           [](const Function& f) { return f.name == "main"; });
  return main != file.functions.end() ? "main" : file.functions.front().name;
}

// Several functions share weights: each is listed once.
void drop_repeated(std::vector<NamedTensor>& tensors) {
  auto key = [](const NamedTensor& t) {
    return std::tuple(t.file.get(), t.offset, std::string_view(t.name));
  };
  std::vector<NamedTensor> kept;
  std::map<std::tuple<const Storage*, std::uint64_t, std::string>, bool> seen;
  for (NamedTensor& t : tensors)
    if (seen.emplace(key(t), true).second) kept.push_back(std::move(t));
  tensors = std::move(kept);
}

}  // namespace

void lower_program(const MilProgram& program, const Description& description, WeightFiles& files,
                   ModelFile& file) {
  if (program.functions.empty()) throw Error(Code::bad_input, "the program has no function");
  std::map<std::string, std::int64_t> counts;
  for (const MilFunction& f : program.functions)
    with_note([&] { return text("function '{}'", printable(f.name)); },
              [&] {
                add_function(f, description, files, file);
                if (!file.functions.back().graph) count_operations(f.body, counts);
              });
  file.layers.assign(counts.begin(), counts.end());
  file.default_function = default_of(description, file);
  if (program.functions.size() > 1) drop_repeated(file.tensors);
  file.read_tensor = [](const NamedTensor& t) {
    return Tensor(*dtype_named(t.stored), t.shape, t.file, t.offset);
  };
}

}  // namespace tl::coreml
