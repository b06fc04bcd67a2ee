// SPDX-License-Identifier: Apache-2.0
// Binding by definition alone: nothing here knows an operation by name.
#include "format/coreml/bind.h"

#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/fold.h"

namespace tl::coreml {
namespace {

// ---- attributes out of constants

bool one_of(const Tensor& t, std::string_view name) {
  if (t.size() == 1) return true;
  throw Error(Code::bad_input, text("attribute '{}' is one value, {} are given", name, t.size()));
}

void need_strings(const Tensor& t, std::string_view name, bool strings) {
  if ((t.dtype() == DType::string) == strings) return;
  throw Error(Code::bad_input, text("attribute '{}' is {}, a {} is given", name,
                                    strings ? "a string" : "a number", text_of(t.type())));
}

AttrValue scalar_attr(const AttrDef& def, const Tensor& t) {
  one_of(t, def.name);
  need_strings(t, def.name, def.kind == AttrKind::word);
  if (def.kind == AttrKind::word) return t.as<std::string>()[0];
  if (is_float(t.dtype())) return to_doubles(t)[0];
  std::int64_t n = to_integers(t)[0];
  if (def.kind == AttrKind::number) return static_cast<double>(n);
  return def.kind == AttrKind::boolean ? AttrValue(n != 0) : AttrValue(n);
}

AttrValue attr_of(const AttrDef& def, const Tensor& t) {
  switch (def.kind) {
    case AttrKind::boolean:
    case AttrKind::integer:
    case AttrKind::number:
    case AttrKind::word: return scalar_attr(def, t);
    case AttrKind::words:
      need_strings(t, def.name, true);
      return std::vector<std::string>(t.as<std::string>().begin(), t.as<std::string>().end());
    case AttrKind::integers: need_strings(t, def.name, false); return to_integers(t);
    case AttrKind::numbers: need_strings(t, def.name, false); return to_doubles(t);
  }
  TL_ASSERT(false);
  return {};
}

// Several constants, one binding each: make_list.elem_shape.
AttrValue joined(const AttrDef& def, std::span<const Tensor> values) {
  std::vector<std::int64_t> integers;
  for (const Tensor& t : values) {
    if (t.dtype() == DType::string)
      integers.insert(integers.end(), static_cast<std::size_t>(t.size()), unknown);
    else
      for (std::int64_t n : to_integers(t)) integers.push_back(n);
  }
  if (def.kind == AttrKind::integers) return integers;
  throw Error(Code::bad_input, text("attribute '{}' is one value, {} are given", def.name, values.size()));
}

// Symbols among integers stand for lengths that are not known; integers among words are written out.
AttrValue fitted(const AttrDef& def, AttrValue value) {
  if (auto* words = std::get_if<std::vector<std::string>>(&value); words && def.kind == AttrKind::integers) {
    std::vector<std::int64_t> integers;
    for (const std::string& word : *words) {
      std::int64_t n = unknown;
      std::from_chars(word.data(), word.data() + word.size(), n);
      integers.push_back(n);
    }
    return integers;
  }
  return value;
}

std::optional<AttrValue> bound_attr(const MilNode& m, const AttrDef& def) {
  if (auto given = m.given.find(def.name); given != m.given.end()) return fitted(def, given->second);
  auto found = m.inputs.find(def.name);
  if (found == m.inputs.end() || found->second.empty()) return std::nullopt;
  std::vector<Tensor> constants;
  for (ValueId v : found->second) {
    if (v == no_value) return std::nullopt;
    constants.push_back(constant_of(m.place, v));
    if (!constants.back()) throw Error(Code::unsupported, text("'{}' must be constant", def.name));
  }
  return constants.size() > 1 ? joined(def, constants) : attr_of(def, constants.front());
}

Attrs bound_attrs(const MilNode& m, const OpDef& op) {
  Attrs out;
  for (const AttrDef& def : op.attrs)
    if (std::optional<AttrValue> value = bound_attr(m, def)) out.set(def.name, std::move(*value));
  return out;
}

// ---- inputs

std::vector<ValueId> bound_inputs(const MilNode& m, const OpDef& op) {
  std::vector<ValueId> out;
  for (const InputDef& def : op.inputs) {
    auto found = m.inputs.find(def.name);
    bool there = found != m.inputs.end() && !found->second.empty();
    if (def.arity == Arity::many) {
      if (there) out.insert(out.end(), found->second.begin(), found->second.end());
      continue;
    }
    if (!there && def.arity == Arity::one)
      throw Error(Code::bad_input, text("input '{}' is missing", def.name));
    if (there && found->second.size() > 1)
      throw Error(Code::bad_input,
                  text("input '{}' is one value, {} are given", def.name, found->second.size()));
    out.push_back(there ? found->second.front() : no_value);
  }
  return out;
}

template <class List> bool holds(const List& list, std::string_view name) {
  for (const auto& item : list)
    if (item.name == name) return true;
  return false;
}

void check_names(const MilNode& m, const OpDef& op) {
  auto check = [&](std::string_view name) {
    if (holds(op.attrs, name) || holds(op.inputs, name)) return;
    throw Error(Code::unsupported, text("it has no input '{}'", printable(name)));
  };
  for (const auto& [name, values] : m.inputs) check(name);
  for (const auto& [name, value] : m.given)
    if (!holds(op.attrs, name)) check(name);
}

// ---- outputs

Dim better(Dim inferred, Dim declared) {
  return is_known(inferred) ? inferred : is_known(declared) ? declared : inferred;
}

[[noreturn]] void mismatch(std::string_view name, const Type& declared, const Type& inferred) {
  throw Error(Code::bad_input, text("output '{}' is declared {}, but is {}", printable(name),
                                    text_of(declared), text_of(inferred)));
}

bool lengths_differ(const Shape& a, const Shape& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (is_known(a[i]) && is_known(b[i]) && a[i] != b[i]) return true;
  return false;
}

// What inference and the file say together.
Type settled(const Type& inferred, const Type& declared, std::string_view name) {
  if (inferred.kind != declared.kind) mismatch(name, declared, inferred);
  if (!inferred.ranked) return declared.ranked || declared.dtype != inferred.dtype ? declared : inferred;
  if (inferred.dtype != declared.dtype) mismatch(name, declared, inferred);
  if (!declared.ranked) return inferred;
  if (inferred.rank() != declared.rank() || lengths_differ(inferred.shape, declared.shape))
    mismatch(name, declared, inferred);
  Type out = inferred;
  for (std::size_t i = 0; i < out.rank(); ++i) out.shape[i] = better(inferred.shape[i], declared.shape[i]);
  out.length = better(inferred.length, declared.length);
  return out;
}

bool mixes_floats(const Graph& graph, const Node& node) {
  const DType* first = nullptr;
  for (ValueId v : node.inputs) {
    if (v == no_value || !is_float(graph.type(v).dtype)) continue;
    if (first && graph.type(v).dtype != *first) return true;
    first = &graph.type(v).dtype;
  }
  return false;
}

// Where an operation mixes float types, files differ in whose type the output has: theirs is kept, by a cast.
void cast_as_declared(const MilNode& m, std::size_t i, ValueId& output) {
  Graph& graph = *m.place.graph;
  const Type &declared = m.declared[i], &inferred = graph.type(output);
  const OpDef* cast = op_of_mil("cast");
  if (!cast || !inferred.is_tensor() || !declared.is_tensor() || inferred.dtype == declared.dtype) return;
  if (!is_float(inferred.dtype) || !is_float(declared.dtype) ||
      !mixes_floats(graph, m.place.block->nodes.back()))
    return;
  Attrs attrs;
  attrs.set("dtype", std::string(name_of(declared.dtype)));
  output = graph.add_node(*m.place.block, *cast, {output}, attrs, {m.name}).outputs.front();
}

void settle_outputs(const MilNode& m, std::vector<ValueId>& outputs) {
  if (m.declared.size() > outputs.size())
    throw Error(Code::bad_input,
                text("it gives {} outputs, {} are declared", outputs.size(), m.declared.size()));
  if (m.declared.size() == 1) cast_as_declared(m, 0, outputs.front());
  for (std::size_t i = 0; i < m.declared.size(); ++i) {
    Value& value = m.place.graph->value(outputs[i]);
    value.type = settled(value.type, m.declared[i], m.outputs[i]);
    value.name = m.outputs[i];
  }
}

// An upgrade may give an operation another type.
const OpDef& upgraded(MilNode& m) {
  for (int times = 0; times < 4; ++times) {
    const OpDef* op = op_of_mil(m.type);
    if (!op) op = op_named(m.type);
    if (!op)
      throw Error(Code::unsupported,
                  text("operation '{}' (opset CoreML{}) is not supported", printable(m.type), m.opset));
    std::string before = m.type;
    if (op->mil.upgrade) op->mil.upgrade(m);
    if (m.type == before) return *op;
  }
  throw Error(Code::unsupported, text("operation '{}' cannot be upgraded", printable(m.type)));
}

}  // namespace

const OpDef* op_of_mil(std::string_view type) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const OpDef*> map;
    for (const OpDef* op : all_ops())
      if (!op->mil.name.empty()) map.emplace(op->mil.name, op);
    return map;
  }();
  auto found = by_name.find(type);
  return found == by_name.end() ? nullptr : found->second;
}

int opset_number(std::string_view opset) {
  constexpr std::pair<std::string_view, int> table[] = {
      {"CoreML3", 5}, {"CoreML4", 5}, {"CoreML5", 5}, {"CoreML6", 6}, {"CoreML7", 7},
      {"CoreML8", 8}, {"CoreML9", 9}, {"ios13", 5},   {"ios14", 5},   {"ios15", 5},
      {"ios16", 6},   {"ios17", 7},   {"ios18", 8},   {"ios26", 9}};
  for (auto [name, number] : table)
    if (name == opset) return number;
  throw Error(Code::unsupported,
              text("opset '{}' is not known; the newest is CoreML9 (iOS 26)", printable(opset)));
}

AttrValue attr_of_parts(const std::vector<MilValue>& parts) {
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> words;
  bool any_word = false, any_float = false;
  for (const MilValue& part : parts) {
    const Tensor* t = std::get_if<Tensor>(&part.content);
    if (!t || t->size() != 1) throw Error(Code::unsupported, "a list holds something else than scalars");
    bool word = t->dtype() == DType::string;
    any_word = any_word || word;
    any_float = any_float || is_float(t->dtype());
    integers.push_back(word || is_float(t->dtype()) ? unknown : to_integers(*t)[0]);
    numbers.push_back(word ? 0 : to_doubles(*t)[0]);
    words.push_back(word ? t->as<std::string>()[0] : text("{}", integers.back()));
  }
  if (any_word) return words;
  return any_float ? AttrValue(numbers) : AttrValue(integers);
}

std::vector<ValueId> add_mil_node(MilNode& m, std::vector<Block> blocks) {
  auto context = [&] { return text("{} '{}'", m.type, printable(m.name)); };
  const OpDef& op = with_note(context, [&]() -> const OpDef& {
    const OpDef& found = upgraded(m);
    check_names(m, found);
    if (!blocks.empty() && !has(found.traits, Traits::structural))
      throw Error(Code::bad_input, "it takes no nested blocks");
    return found;
  });
  Attrs attrs = with_note(context, [&] { return bound_attrs(m, op); });
  std::vector<ValueId> inputs = with_note(context, [&] { return bound_inputs(m, op); });
  Graph& graph = *m.place.graph;
  std::vector<ValueId> outputs =
      graph.add_node(*m.place.block, op, std::move(inputs), attrs, {m.name, std::move(blocks)}).outputs;
  with_note(context, [&] { settle_outputs(m, outputs); });
  return outputs;
}

}  // namespace tl::coreml
