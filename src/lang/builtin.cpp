// SPDX-License-Identifier: Apache-2.0
// The names every script knows: finding them, binding arguments to their signatures, their help pages.
#include "lang/builtin.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "lang/interpreter.h"
#include "lang/stmt.h"

namespace tl::lang {

std::vector<std::string_view> parameters_of(std::string_view signature) {
  std::vector<std::string_view> result;
  if (signature.starts_with('&')) signature.remove_prefix(1);
  if (signature.empty()) return result;
  for (std::string_view each : split(signature, ',')) {
    while (each.starts_with(' ')) each.remove_prefix(1);
    result.push_back(each);
  }
  return result;
}

namespace {

std::string_view plain(std::string_view parameter) {
  if (parameter.ends_with('?')) parameter.remove_suffix(1);
  while (parameter.starts_with('*')) parameter.remove_prefix(1);
  return parameter;
}

[[noreturn]] void too_many(const Builtin& b, std::size_t given) {
  std::string signature(b.signature.starts_with('&') ? b.signature.substr(1) : b.signature);
  throw Error(Code::bad_input, text("'{}' takes ({}), not {} arguments", b.name, signature, given));
}

}  // namespace

Args bind(Interpreter& interpreter, const Builtin& b, Given&& given) {
  Args args{interpreter, b};
  args.place = given.place;
  std::vector<std::string_view> parameters = parameters_of(b.signature);
  std::size_t next = 0;
  args.values.resize(parameters.size(), Value::unset());
  auto is_rest = [&](std::size_t i) { return i < parameters.size() && parameters[i].starts_with('*'); };
  bool takes_names = !parameters.empty() && parameters.back().starts_with("**");
  std::size_t count = given.positional.size();
  for (Value& value : given.positional) {
    if (is_rest(next)) args.rest.push_back(std::move(value));
    else if (next < parameters.size()) args.values[next++] = std::move(value);
    else too_many(b, count);
  }
  for (auto& [name, value] : given.named) {
    std::size_t i = 0;
    while (i < parameters.size() && (plain(parameters[i]) != name || is_rest(i))) ++i;
    std::vector<std::string_view> known;
    for (std::string_view p : parameters)
      if (!p.starts_with('*')) known.push_back(plain(p));
    if (i == parameters.size() && takes_names) {
      args.named.emplace_back(name, std::move(value));
      continue;
    }
    if (i == parameters.size())
      throw Error(Code::bad_input,
                  text("'{}' has no argument '{}'{}", b.name, name, did_you_mean(name, known)));
    if (!args.values[i].is(Kind::unset)) throw Error(Code::bad_input, text("'{}' is given twice", name));
    args.values[i] = std::move(value);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    bool optional = parameters[i].ends_with('?') || is_rest(i);
    if (optional && args.values[i].is(Kind::none)) args.values[i] = Value::unset();  // axis: none is no axis
    if (!optional && args.values[i].is(Kind::unset))
      throw Error(Code::bad_input, text("'{}' needs the argument '{}'", b.name, plain(parameters[i])));
  }
  return args;
}

// ---- arguments as the kind that is asked for

void Args::wrong(std::size_t i, std::string_view wanted) const {
  const Value& v = values[i];
  bool short_one = v.is_plain_number() || v.is(Kind::boolean) || v.is(Kind::string);
  std::string what = short_one          ? text("{}", printable(display_inside(v)))
                     : v.is(Kind::none) ? "none"
                                        : text("{}", one(v.kind()));
  throw Error(Code::bad_input, text("'{}' of '{}' must be {}, not {}",
                                    plain(parameters_of(self.signature)[i]), self.name, wanted, what));
}

std::int64_t Args::integer(std::size_t i) const {
  std::optional<std::int64_t> n = as_whole(values[i]);
  return n ? *n : (wrong(i, "an int"), 0);
}
std::int64_t Args::integer_or(std::size_t i, std::int64_t otherwise) const {
  return has(i) ? integer(i) : otherwise;
}
double Args::number(std::size_t i) const {
  return is_number_like(values[i]) ? as_number(values[i]) : (wrong(i, "a number"), 0);
}
double Args::number_or(std::size_t i, double otherwise) const { return has(i) ? number(i) : otherwise; }
bool Args::boolean_or(std::size_t i, bool otherwise) const {
  if (!has(i)) return otherwise;
  return is_number_like(values[i]) ? is_true(values[i]) : (wrong(i, "true or false"), false);
}
const std::string& Args::string(std::size_t i) const {
  if (!values[i].is(Kind::string)) wrong(i, "a string");
  return values[i].string();
}
const std::vector<Value>& Args::list(std::size_t i) const {
  if (!values[i].is(Kind::list)) wrong(i, "a list");
  return values[i].list();
}
Tensor Args::tensor(std::size_t i) const {
  Kind k = values[i].kind();
  bool fits = k == Kind::tensor || k == Kind::list || k == Kind::range || values[i].is_plain_number() ||
              k == Kind::boolean;
  if (!fits) wrong(i, "a tensor");
  return as_tensor(values[i]);
}

std::vector<std::int64_t> Args::integers(std::size_t i) const {
  if (std::optional<std::int64_t> n = as_whole(values[i])) return {*n};
  bool empty = values[i].is(Kind::list) && values[i].list().empty();
  if (empty) return {};
  bool listed = values[i].is(Kind::list) || values[i].is(Kind::tensor) || values[i].is(Kind::range);
  if (!listed) wrong(i, "a list of ints");
  Tensor t = tensor(i);
  if (!is_integer(t.dtype()) || t.rank() > 1) wrong(i, "a list of ints");
  return to_integers(t);
}

Shape Args::shape(std::size_t i) const {
  Shape result = integers(i);
  for (Dim d : result)
    if (d < 0) throw Error(Code::bad_input, text("a shape has no negative lengths: {}", spell(result)));
  volume(result);
  return result;
}

DType Args::dtype_or(std::size_t i, DType otherwise) const {
  if (!has(i)) return otherwise;
  if (values[i].is(Kind::type)) return values[i].as<TypeObject>().dtype;
  std::optional<DType> named = values[i].is(Kind::string) ? dtype_named(values[i].string()) : std::nullopt;
  if (values[i].is(Kind::function) && values[i].as<FunctionObject>().builtin &&
      values[i].as<FunctionObject>().builtin->name == "bool")
    return DType::boolean;
  if (!named) wrong(i, "an element type");
  return *named;
}

// ---- finding

std::vector<std::span<const Builtin>> builtin_tables() {
  return {core_builtins(), tensor_builtins(), array_builtins(), alias_builtins(), file_builtins()};
}

const Builtin* find_builtin(std::string_view name) {
  for (std::span<const Builtin> table : builtin_tables())
    for (const Builtin& each : table)
      if (each.name == name) return &each;
  return nullptr;
}

std::span<const Builtin> methods_of(Kind kind) {
  switch (kind) {
    case Kind::string: return string_methods();
    case Kind::list: return list_methods();
    case Kind::map: return map_methods();
    case Kind::tensor: return tensor_methods();
    case Kind::model: return model_methods();
    default: return {};
  }
}

const Builtin* find_method(Kind kind, std::string_view name) {
  for (const Builtin& each : methods_of(kind))
    if (each.name == name) return &each;
  return nullptr;
}

Value function_value(const Builtin& b) {
  auto* function = new FunctionObject;
  function->form = Form::builtin;
  function->builtin = &b;
  return {Kind::function, function};
}

Value function_value(const OpDef& op) {
  auto* function = new FunctionObject;
  function->form = Form::op;
  function->op = &op;
  return {Kind::function, function};
}

namespace {

constexpr std::string_view type_names[] = {"float16", "float32", "float64", "bfloat16", "int8",
                                           "int16",   "int32",   "int64",   "uint8",    "uint16"};
constexpr std::string_view device_names[] = {"auto", "cpu", "gpu", "ane"};
constexpr std::pair<std::string_view, double> constants[] = {
    {"pi", 3.14159265358979323846}, {"inf", INFINITY}, {"nan", NAN}};

}  // namespace

std::optional<Value> predefined(std::string_view name) {
  if (const Builtin* b = find_builtin(name)) return function_value(*b);
  if (const OpDef* op = op_named(name)) return function_value(*op);
  for (std::string_view each : type_names)
    if (each == name) return Value(Kind::type, new TypeObject(*dtype_named(name)));
  for (std::string_view each : device_names)
    if (each == name) return Value(name);
  for (auto [each, value] : constants)
    if (each == name) return Value(value);
  return {};
}

std::vector<std::string_view> predefined_names() {
  std::vector<std::string_view> names(std::begin(type_names), std::end(type_names));
  for (std::span<const Builtin> table : builtin_tables())
    for (const Builtin& each : table) names.push_back(each.name);
  for (const OpDef* op : all_ops()) names.push_back(op->name);
  for (auto [each, value] : constants) names.push_back(each);
  return names;
}

// ---- help

namespace {

std::string page_of(const OpDef& op) {
  std::vector<std::string> parts;
  for (const InputDef& input : op.inputs)
    parts.push_back(std::string(input.name) + (input.arity == Arity::optional ? "?"
                                               : input.arity == Arity::many   ? ", …"
                                                                              : ""));
  std::string page, table;
  for (const AttrDef& attr : op.attrs) {
    bool needed = attr.fallback == required;
    std::string fallback = needed ? "" : attr.fallback.empty() ? "none" : std::string(attr.fallback);
    parts.push_back(needed ? text("{}:", attr.name) : text("{}: {}", attr.name, fallback));
    if (!attr.choices.empty()) table += text("  {}: one of {}\n", attr.name, attr.choices);
  }
  page = text("{}({})\n  {}.\n", op.name, join(parts, ", "), op.doc);
  if (op.doc.ends_with('.')) page.erase(page.size() - 2, 1);
  return page + table;
}

}  // namespace

std::string help_page(const Value& v) {
  if (v.is(Kind::function)) {
    const auto& f = v.as<FunctionObject>();
    if (f.form == Form::op) return page_of(*f.op);
    if (f.form == Form::script) return display(v) + "\n";
    const Builtin& b = *f.builtin;
    std::string signature(b.signature.starts_with('&') ? b.signature.substr(1) : b.signature);
    return text("{}({})\n  {}\n", b.name, signature, b.doc);
  }
  if (v.is(Kind::structure)) {
    const auto& structure = v.as<StructureObject>();
    std::string page = display(v) + "\n";
    for (const Parameter& field : structure.decl->fields)
      page += text("  {}{}\n", field.name, field.type ? ": " + field.type->name : "");
    for (const auto& [name, method] : structure.methods) page += "  " + display(method) + "\n";
    return page;
  }
  return text("{}: {}\n", name_of(v.kind()), display_inside(v));
}

}  // namespace tl::lang
