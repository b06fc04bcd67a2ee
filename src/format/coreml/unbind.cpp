// SPDX-License-Identifier: Apache-2.0
// Attributes become constants, inputs get their names; what else an operation needs is its `downgrade`.
#include "format/coreml/unbind.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace tl::coreml {
namespace {

constexpr int ios17 = 7, ios18 = 8;

const MilParameter* parameter_of(const OpDef& op, std::string_view name) {
  for (const MilParameter& p : op.mil.parameters)
    if (p.name == name) return &p;
  return nullptr;
}

// ---- attributes as constants

// The element type that goes for plain numbers of this node: that of its first tensor of numbers.
DType number_type(const MilWrite& out) {
  for (ValueId v : out.node.inputs)
    if (v != no_value && is_float(out.graph.type(v).dtype)) return out.graph.type(v).dtype;
  ValueId first = out.node.inputs.empty() ? no_value : out.node.inputs.front();
  bool whole = first != no_value && out.graph.type(first).dtype == DType::i32;
  return whole ? DType::i32 : DType::f32;
}

bool holds(DType dtype, double x) {
  double kept = to_doubles(scalar(x, dtype)).front();
  return kept == x || kept != kept ||
         (dtype == DType::f16 && kept == to_doubles(scalar(x, DType::f32)).front());
}

// Whether rounding to fp16 changes what a number means, and not only its last digits.
bool ruined(double x) {
  double kept = to_doubles(scalar(x, DType::f16)).front();
  return (kept == 0 && x != 0) || (std::isinf(kept) && !std::isinf(x));
}

Tensor integers_as(std::span<const std::int64_t> values, const MilParameter* p, Shape shape) {
  return from_integers(values, p && p->dtype ? *p->dtype : DType::i32, std::move(shape));
}

bool is_usual(const AttrDef& def, const AttrValue& value) {
  return def.fallback != required && def.fallback != absent && parse_attr(def.kind, def.fallback) == value;
}

// ---- numbers beside fp16: until iOS 16 they are fp16 as well; later all of an operation may be fp32
// together, with the constant vectors that belong to them (gamma, mean)

struct Numbers {
  bool exact = true, kept = true;  // as fp16; kept: with what they mean
};

Numbers numbers_of(const MilWrite& out) {
  Numbers all;
  for (const AttrDef& def : out.node.op->attrs) {
    const AttrValue* value = out.node.attrs.find(def.name);
    const double* x = value ? std::get_if<double>(value) : nullptr;
    const MilParameter* p = parameter_of(*out.node.op, def.name);
    if (!x || (p && (p->tied || p->dtype))) continue;
    all.exact = all.exact && holds(DType::f16, *x);
    all.kept = all.kept && !(ruined(*x) && (out.opset >= ios17 || !is_usual(def, *value)));
  }
  return all;
}

// The floating inputs after the first: constants that share the numbers' type.
std::vector<ValueId> companions(const MilWrite& out) {
  std::vector<ValueId> all;
  for (std::size_t i = 1; i < out.node.inputs.size(); ++i) {
    ValueId v = out.node.inputs[i];
    if (v != no_value && is_float(out.graph.type(v).dtype)) all.push_back(v);
  }
  return all;
}

// The type of this node's numbers from iOS 17 on.
DType own_number_type(const MilWrite& out) {
  std::vector<ValueId> with = companions(out);
  DType dtype = with.empty() ? number_type(out) : out.graph.type(with.front()).dtype;
  if (dtype != DType::f16) return dtype;
  Numbers numbers = numbers_of(out);
  return (with.empty() ? numbers.exact : numbers.kept) ? DType::f16 : DType::f32;
}

// An empty answer: the file says it by leaving it out.
Tensor number_parameter(MilWrite& out, const AttrDef& def, const MilParameter* p, double x) {
  if (p && p->dtype) return scalar(x, *p->dtype);
  DType dtype = number_type(out);
  if (!is_float(dtype) || (p && p->tied)) return scalar(x, dtype);
  if (out.opset >= ios17) return scalar(x, own_number_type(out));
  if (dtype == DType::f16 && ruined(x)) {
    if (is_usual(def, AttrValue(x))) return {};
    out.need(ios17);
  }
  return scalar(x, dtype);
}

// Vectors that belong to numbers of fp32 become fp32 too.
void widen_companions(MilWrite& out) {
  bool numbers = false;
  for (const AttrDef& def : out.node.op->attrs) {
    const MilParameter* p = parameter_of(*out.node.op, def.name);
    numbers = numbers || (def.kind == AttrKind::number && !(p && (p->tied || p->dtype)));
  }
  if (!numbers || out.opset < ios17 || own_number_type(out) != DType::f32) return;
  for (MilWrite::Parameter& p : out.parameters) {
    const ValueId* v = p.values.empty() ? nullptr : std::get_if<ValueId>(&p.values.front());
    if (!v || *v == out.node.inputs.front() || out.graph.type(*v).dtype != DType::f16) continue;
    if (const Tensor* t = out.constant(p.name)) out.set(p.name, converted(*t, DType::f32));
  }
}

// ---- attributes as constants

Tensor parameter(MilWrite& out, const AttrDef& def, const MilParameter* p, const AttrValue& value) {
  auto length = [](const auto& list) { return Shape{static_cast<Dim>(list.size())}; };
  if (const bool* b = std::get_if<bool>(&value)) return scalar(*b, DType::boolean);
  if (const double* x = std::get_if<double>(&value)) return number_parameter(out, def, p, *x);
  if (const auto* n = std::get_if<std::int64_t>(&value)) return integers_as({n, 1}, p, {});
  if (const auto* word = std::get_if<std::string>(&value)) return from_strings({*word}, {});
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value))
    return integers_as(*list, p, length(*list));
  if (const auto* words = std::get_if<std::vector<std::string>>(&value))
    return from_strings(*words, length(*words));
  const auto& numbers = std::get<std::vector<double>>(value);
  return from_doubles(numbers, number_type(out), length(numbers));
}

void add_attribute(MilWrite& out, const AttrDef& def, const AttrValue& value) {
  const MilParameter* p = parameter_of(*out.node.op, def.name);
  if (p && out.opset < p->since) {
    bool usual =
        def.fallback != required && def.fallback != absent && parse_attr(def.kind, def.fallback) == value;
    if (usual) return;
    out.need(p->since);
  }
  if (Tensor t = parameter(out, def, p, value)) out.set(def.name, std::move(t));
}

// ---- inputs

void add_inputs(MilWrite& out) {
  const OpDef& op = *out.node.op;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const InputDef& def = op.inputs[i];
    std::vector<MilWrite::Operand> values;
    if (def.arity == Arity::many)
      for (std::size_t k = i; k < out.node.inputs.size(); ++k) values.emplace_back(out.node.inputs[k]);
    else if (out.node.has(i)) values.emplace_back(out.node.inputs[i]);
    if (values.empty()) continue;
    if (const MilParameter* p = parameter_of(op, def.name)) out.need(p->since);
    out.set(def.name, std::move(values));
  }
}

// ---- which opset takes these types

bool is_narrow(DType d) { return d == DType::i8 || d == DType::u8 || d == DType::i16 || d == DType::u16; }

void limit_types(MilWrite& out) {
  const MilFacts& facts = out.node.op->mil;
  const DType* floating = nullptr;
  for (const auto* values : {&out.node.inputs, &out.node.outputs})
    for (ValueId v : *values) {
      if (v == no_value) continue;
      const Type& type = out.graph.type(v);
      if (!has(out.node.op->traits, Traits::dequantize)) out.need(oldest_opset(type));
      if (is_narrow(type.dtype)) out.need(facts.narrow);
      if (type.dtype == DType::f16) out.need(facts.half);
      if (!is_float(type.dtype) || values == &out.node.outputs) continue;
      if (floating && *floating != type.dtype && !has(out.node.op->traits, Traits::dequantize) &&
          !has(out.node.op->traits, Traits::structural))
        out.need(ios17);
      floating = &type.dtype;
    }
}

}  // namespace

int oldest_opset(const Type& type) {
  if (type.kind == Type::Kind::state) return ios18;
  bool packed = type.kind == Type::Kind::tensor && is_packed(type.dtype);
  return packed ? ios18 : 5;
}

MilWrite mil_write(const Graph& graph, const Node& node, int opset) {
  const OpDef& op = *node.op;
  if (op.mil.name.empty())
    throw Error(Code::unsupported,
                text("operation '{}' cannot be written: Core ML has no such operation", op.name));
  MilWrite out{graph, node, opset, std::string(op.mil.name), 5, newest_opset, {}, node.outputs.size(), false};
  out.need(op.mil.since);
  add_inputs(out);
  for (const AttrDef& def : op.attrs)
    if (const AttrValue* value = node.attrs.find(def.name)) add_attribute(out, def, *value);
  widen_companions(out);
  limit_types(out);
  if (op.mil.downgrade) op.mil.downgrade(out);
  return out;
}

}  // namespace tl::coreml
