// SPDX-License-Identifier: Apache-2.0
// Every operation of the op table as a function: inputs by position or name, attributes by name.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"
#include "op/reference.h"

namespace tl::lang {

namespace {

struct OpArguments {
  std::vector<Value> inputs = {};  // per declared input, then the rest of a `many`; unset: absent
  Attrs attrs = {};
};

std::string inputs_of(const OpDef& op) {
  std::vector<std::string> names;
  for (const InputDef& input : op.inputs) names.emplace_back(input.name);
  return join(names, ", ");
}

void place_positional(const OpDef& op, std::vector<Value>&& given, OpArguments& to) {
  std::size_t declared = op.inputs.size();
  bool many = declared > 0 && op.inputs[declared - 1].arity == Arity::many;
  for (std::size_t i = 0; i < given.size(); ++i) {
    bool rest = many && i + 1 >= declared;
    if (rest && given[i].is(Kind::list) && given.size() == declared) {  // concat([a, b])
      for (const Value& each : given[i].list()) to.inputs.push_back(each);
      continue;
    }
    if (i >= declared && !rest) {
      std::string hint = op.attrs.size() > 0 ? text(": '{}' is given by name", op.attrs[0].name) : "";
      throw Error(Code::bad_input, text("'{}' takes {} input{} ({}), not {}{}", op.name, declared,
                                        declared == 1 ? "" : "s", inputs_of(op), given.size(), hint));
    }
    to.inputs.push_back(std::move(given[i]));
  }
  if (to.inputs.size() < declared && !(many && to.inputs.size() + 1 == declared))
    to.inputs.resize(declared, Value::unset());
}

template <class T> std::vector<T> numbers_of(const Value& v) {
  if (v.is(Kind::tensor) && !is_float(v.tensor().dtype())) {
    std::vector<std::int64_t> all = to_integers(v.tensor());
    return {all.begin(), all.end()};
  }
  std::vector<double> all = to_doubles(as_tensor(v, DType::f64));
  return {all.begin(), all.end()};
}

AttrValue attr_value(const AttrDef& def, const Value& v) {
  auto wrong = [&](std::string_view wanted) -> AttrValue {
    throw Error(Code::bad_input, text("'{}' must be {}, not {}", def.name, wanted, display_inside(v)));
  };
  bool listed = v.is(Kind::list) || (v.is(Kind::tensor) && v.tensor().rank() > 0);
  switch (def.kind) {
    case AttrKind::boolean: return is_number_like(v) ? AttrValue(is_true(v)) : wrong("true or false");
    case AttrKind::integer:
      return as_whole(v)           ? AttrValue(*as_whole(v))
             : v.is(Kind::boolean) ? AttrValue(std::int64_t{v.boolean()})
                                   : wrong("an int");
    case AttrKind::number: return is_number_like(v) ? AttrValue(as_number(v)) : wrong("a number");
    case AttrKind::word:
      if (v.is(Kind::type)) return std::string(name_of(v.as<TypeObject>().dtype));
      return v.is(Kind::string) ? AttrValue(v.string()) : wrong("a string");
    case AttrKind::integers:
      if (as_whole(v)) return std::vector<std::int64_t>{*as_whole(v)};
      return listed ? AttrValue(numbers_of<std::int64_t>(v)) : wrong("a list of ints");
    case AttrKind::numbers:
      if (is_number_like(v) && !listed) return std::vector<double>{as_number(v)};
      return listed ? AttrValue(numbers_of<double>(v)) : wrong("a list of numbers");
    case AttrKind::words: {
      std::vector<std::string> words;
      if (!v.is(Kind::list)) return wrong("a list of strings");
      for (const Value& each : v.list()) words.push_back(display(each));
      return words;
    }
  }
  return wrong("something else");
}

void place_named(const OpDef& op, std::string_view name, const Value& value, OpArguments& to) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i].name != name) continue;
    if (op.inputs[i].arity == Arity::many && value.is(Kind::list)) {
      to.inputs.resize(i, Value::unset());
      for (const Value& each : value.list()) to.inputs.push_back(each);
      return;
    }
    if (to.inputs.size() <= i) to.inputs.resize(i + 1, Value::unset());
    if (!to.inputs[i].is(Kind::unset)) throw Error(Code::bad_input, text("'{}' is given twice", name));
    to.inputs[i] = value;
    return;
  }
  std::vector<std::string_view> known;
  for (const InputDef& input : op.inputs) known.push_back(input.name);
  for (const AttrDef& attr : op.attrs) {
    if (attr.name == name) return value.is(Kind::none) ? void() : to.attrs.set(name, attr_value(attr, value));
    known.push_back(attr.name);
  }
  throw Error(Code::bad_input, text("'{}' has no argument '{}'{}", op.name, name, did_you_mean(name, known)));
}

// Operations whose inputs are of one element type: plain numbers and integers adapt to the floating ones.
bool shares_type(const OpDef& op, std::size_t input) {
  if (has(op.traits, Traits::elementwise)) return op.name != "select" || input > 0;
  constexpr std::string_view names[] = {"matmul",        "linear",         "einsum",
                                        "conv",          "conv_transpose", "concat",
                                        "stack",         "layer_norm",     "batch_norm",
                                        "instance_norm", "prelu",          "scaled_dot_product_attention"};
  return std::find(std::begin(names), std::end(names), op.name) != std::end(names);
}

std::vector<Tensor> tensors_of(const OpDef& op, const std::vector<Value>& inputs) {
  Value common;  // a tensor of rank 0 of the type that is shared
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!shares_type(op, i) || inputs[i].is(Kind::unset) || inputs[i].is(Kind::none)) continue;
    Value v = inputs[i];
    if (!v.is(Kind::tensor) && !v.is_plain_number()) v = Value(as_tensor(v));
    if (common.is(Kind::none)) common = v;
    else if (common.is(Kind::tensor) || v.is(Kind::tensor)) common = Value(scalar(0, common_type(common, v)));
    else if (v.is(Kind::number)) common = v;
  }
  std::optional<DType> shared;
  if (common.is(Kind::tensor)) shared = common.tensor().dtype();
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = inputs[i];
    if (v.is(Kind::unset) || v.is(Kind::none)) result.emplace_back();
    else if (v.is(Kind::string)) result.push_back(from_strings({v.string()}, {}));
    else if (shares_type(op, i)) result.push_back(as_tensor(v, shared));
    else result.push_back(as_tensor(v));
  }
  return result;
}

bool all_plain(const std::vector<Value>& inputs) {
  return !inputs.empty() && std::all_of(inputs.begin(), inputs.end(), [](const Value& v) {
    return v.is_plain_number() || v.is(Kind::boolean);
  });
}

// sqrt(2.0): of plain numbers, in float64, a plain number.
std::optional<Value> on_plain_numbers(const OpDef& op, const OpArguments& arguments, const Attrs& attrs) {
  if (!has(op.traits, Traits::elementwise) || op.name == "cast" || !op.reference ||
      !all_plain(arguments.inputs))
    return {};
  bool whole = true, truth = true;
  std::vector<Array> arrays;
  for (const Value& v : arguments.inputs) {
    whole &= v.is(Kind::integer), truth &= v.is(Kind::boolean);
    arrays.push_back({DType::f64, {}, {as_number(v)}});
  }
  for (Array& a : arrays) a.dtype = truth ? DType::boolean : DType::f64;
  constexpr std::string_view keep_whole[] = {"abs",  "sign",    "square",  "add",  "sub",
                                             "mul",  "maximum", "minimum", "mod",  "floor_div",
                                             "relu", "clip",    "floor",   "ceil", "round"};
  constexpr std::string_view tests[] = {"equal",       "not_equal",     "less",        "less_equal",
                                        "greater",     "greater_equal", "logical_and", "logical_or",
                                        "logical_xor", "logical_not"};
  bool is_test = std::find(std::begin(tests), std::end(tests), op.name) != std::end(tests);
  bool keeps =
      whole && std::find(std::begin(keep_whole), std::end(keep_whole), op.name) != std::end(keep_whole);
  std::vector<const Array*> in;
  for (const Array& a : arrays) in.push_back(&a);
  Array out{is_test ? DType::boolean : DType::f64, {}, {0}};
  op.reference({in, attrs, {&out, 1}});
  double result = out.data.at(0);
  if (is_test) return Value(result != 0);
  if (keeps && std::abs(result) < 9e15) return Value(static_cast<std::int64_t>(result));
  return Value(result);
}

constexpr std::int64_t small = 2048;

}  // namespace

// Small inputs go to the reference, which costs nothing to prepare; large ones to a plan with kernels.
std::vector<Tensor> Interpreter::evaluate(const OpDef& op, std::span<const Tensor> inputs,
                                          const Attrs& attrs) {
  std::int64_t size = 0;
  for (const Tensor& t : inputs) size += t ? t.size() : 0;
  bool here = size <= small && op.reference && !has(op.traits, Traits::random);
  std::vector<Tensor> outputs = here ? run_reference(op, attrs, inputs) : host_.evaluate(op, inputs, attrs);
  for (const Tensor& output : outputs) watch_numerics(op.name, inputs, output);
  return outputs;
}

Value Interpreter::call_op(const OpDef& op, Given&& given) {
  OpArguments arguments;
  place_positional(op, std::move(given.positional), arguments);
  for (const auto& [name, value] : given.named) place_named(op, name, value, arguments);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    bool there = i < arguments.inputs.size() && !arguments.inputs[i].is(Kind::unset);
    if (!there && op.inputs[i].arity == Arity::one)
      throw Error(Code::bad_input, text("'{}' needs the input '{}'", op.name, op.inputs[i].name));
  }
  Attrs attrs = complete(op.attrs, arguments.attrs);
  if (std::optional<Value> plain = on_plain_numbers(op, arguments, attrs)) return *plain;
  std::vector<Tensor> inputs = tensors_of(op, arguments.inputs);
  bool whole = !inputs.empty();
  for (const Tensor& t : inputs) whole &= !t || is_integer(t.dtype()) || t.dtype() == DType::boolean;
  std::vector<Tensor> outputs;
  try {
    outputs = evaluate(op, inputs, attrs);
  } catch (const Error&) {
    if (!whole || !inputs[0]) throw;
    Tensor first = inputs[0];  // sqrt of integers is the sqrt of the same numbers as float16
    inputs[0] = converted(first, DType::f16);
    try {
      outputs = evaluate(op, inputs, attrs);
    } catch (const Error&) { outputs.clear(); }
    if (outputs.empty()) throw;
  }
  if (outputs.size() == 1) return Value(std::move(outputs[0]));
  std::vector<Value> all;
  for (Tensor& output : outputs) all.emplace_back(std::move(output));
  return Value(std::move(all));
}

}  // namespace tl::lang
