// SPDX-License-Identifier: Apache-2.0
// Declared types at run time: parameters, results, fields. Dimension names are bound at first use and checked
// after.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

void Interpreter::check_parameters(const FunctionDecl& f, Value* slots) {
  Origins origins;
  for (std::size_t i = 0; i < f.parameters.size(); ++i) {
    if (!f.parameters[i].type) continue;
    place_ = f.parameters[i].place;
    try {
      fit(slots[i], *f.parameters[i].type, text("'{}'", f.parameters[i].name), origins, slots);
    } catch (const ScriptError& e) {
      // What is wrong is the call: its place is given by run_function.
      throw Error(e.code(), e.what());
    }
  }
}

namespace {

std::string describe(const Value& v) {
  if (v.is(Kind::tensor)) return text("{}{}", spell(v.tensor().dtype()), spell(v.tensor().shape()));
  if (v.is(Kind::record)) return v.as<RecordObject>().structure.as<StructureObject>().decl->variable.name;
  return std::string(name_of(v.kind()));
}

std::string describe(const TypeExpr& t) {
  if (!t.dimensions) return t.name;
  std::vector<std::string> dims;
  for (const Dimension& d : *t.dimensions)
    dims.push_back(is_known(d.length)        ? std::to_string(d.length)
                   : d.variable.name.empty() ? "?"
                                             : d.variable.name);
  return text("{}[{}]", t.name, join(dims, ", "));
}

// Kinds that are named as such; none where the name is a struct's or a type parameter's.
std::optional<bool> is_of_plain_type(const Value& v, const std::string& name) {
  Kind k = v.kind();
  if (name == "any") return true;
  if (name == "string") return k == Kind::string;
  if (name == "list") return k == Kind::list;
  if (name == "map") return k == Kind::map;
  if (name == "tensor") return k == Kind::tensor;
  if (name == "fn" || name == "function") return k == Kind::function;
  if (name == "none" || name == "void") return k == Kind::none;
  if (name == "range") return k == Kind::range;
  if (name == "model") return k == Kind::model;
  if (name == "state") return k == Kind::state;
  return {};
}

}  // namespace

// Converts where the language says so (int to float, lists of numbers to tensors); throws where the value
// does not fit.
void Interpreter::fit(Value& value, const TypeExpr& type, const std::string& what, Origins& origins, Value*) {
  auto wrong = [&] { fail(place_, text("{} must be {}, not {}", what, describe(type), describe(value))); };
  if (type.name == "int" && !type.dimensions) {
    if (value.is(Kind::integer)) return;
    std::optional<std::int64_t> n = value.is(Kind::tensor) ? as_whole(value) : std::nullopt;
    return n ? void(value = Value(*n)) : wrong();
  }
  if (type.name == "float" && !type.dimensions) {
    if (value.is(Kind::number)) return;
    bool fits = value.is(Kind::integer) || (value.is(Kind::tensor) && is_number_like(value));
    return fits ? void(value = Value(as_number(value))) : wrong();
  }
  if (type.name == "bool" && !type.dimensions) {
    if (value.is(Kind::boolean)) return;
    bool fits =
        value.is(Kind::tensor) && value.tensor().dtype() == DType::boolean && value.tensor().size() == 1;
    return fits ? void(value = Value(is_true(value))) : wrong();
  }
  if (type.name == "tensor" && !value.is(Kind::tensor)) {
    try {
      value = Value(as_tensor(value));
    } catch (const Error&) { wrong(); }
  }
  if (std::optional<bool> fits = is_of_plain_type(value, type.name)) {
    if (!*fits) wrong();
    if (!type.dimensions || !value.is(Kind::tensor)) return;
    return fit_shape(value.tensor().shape(), type, what, origins);
  }
  if (std::optional<DType> dtype = dtype_named(type.name)) {
    fit_tensor(value, type, *dtype, what);
    if (type.dimensions) fit_shape(value.tensor().shape(), type, what, origins);
    return;
  }
  const Unit& unit = *units_[frame_->decl ? static_cast<std::size_t>(frame_->decl->unit) : 0];
  bool is_struct = unit.structures.contains(type.name);
  if (!is_struct && frame_->decl == nullptr)
    for (const auto& each : units_) is_struct |= each->structures.contains(type.name);
  if (!is_struct) return;  // a type parameter
  if (!value.is(Kind::record) ||
      value.as<RecordObject>().structure.as<StructureObject>().decl->variable.name != type.name)
    wrong();
}

void Interpreter::fit_tensor(Value& value, const TypeExpr& type, DType dtype, const std::string& what) {
  bool was_tensor = value.is(Kind::tensor);
  if (!was_tensor) {
    try {
      value = Value(as_tensor(value, dtype));
    } catch (const Error&) {
      fail(place_, text("{} must be {}, not {}", what, describe(type), describe(value)));
    }
  }
  if (value.tensor().dtype() != dtype)
    fail(place_, text("{} must be {}, not {}: convert it with 'as {}'", what, describe(type), describe(value),
                      type.name));
}

void Interpreter::fit_shape(const Shape& shape, const TypeExpr& type, const std::string& what,
                            Origins& origins) {
  const auto& dims = *type.dimensions;
  if (dims.size() != shape.size())
    fail(place_, text("{} must be {}, of rank {}, but its shape is {}", what, describe(type), dims.size(),
                      spell(shape)));
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const Dimension& d = dims[i];
    if (is_known(d.length) && d.length != shape[i])
      fail(place_, text("{} must be {}, but its shape is {}", what, describe(type), spell(shape)));
    if (d.variable.name.empty() || d.variable.home == Home::unresolved || d.variable.home == Home::builtin)
      continue;
    Value& bound = slot(d.variable);
    if (bound.is(Kind::unset)) {
      bound = Value(shape[i]);
      origins.emplace_back(&d, what);
      continue;
    }
    std::string from = "before";
    for (const auto& [dimension, origin] : origins)
      if (dimension->variable.name == d.variable.name) from = "from " + origin;
    std::optional<std::int64_t> length =
        as_whole(bound.is(Kind::cell) ? bound.shared<CellObject>().value : bound);
    if (!length) fail(place_, text("the dimension {} must be an int", d.variable.name));
    if (*length != shape[i])
      fail(place_, text("{} is {} {} and {} from {}", d.variable.name, *length, from, shape[i], what));
  }
}

// tensor W: float16[2, 3] = e
void Interpreter::exec_tensor(const TensorStmt& s) {
  DType dtype = *dtype_named(s.type.name);
  Shape shape;
  bool complete = true;
  for (const Dimension& d : *s.type.dimensions) {
    Dim length = d.length;
    if (!d.variable.name.empty() && !slot(d.variable).is(Kind::unset)) {
      std::optional<std::int64_t> n = as_whole(variable(d.variable));
      if (!n || *n < 0)
        fail(d.variable.place, text("the dimension {} must be an int of at least 0", d.variable.name));
      length = *n;
    }
    complete &= is_known(length);
    shape.push_back(length);
  }
  auto zeros = [&] {
    if (!complete) fail(s.type.place, "the shape must be known where no value is given");
    std::vector<double> numbers(static_cast<std::size_t>(volume(shape)));
    return Value(from_doubles(numbers, dtype, shape));
  };
  Value value;
  place_ = s.place;
  try {
    if (!s.value) {
      value = zeros();
    } else if (s.value->kind == ExprKind::tensor) {
      value = eval_tensor(static_cast<const TensorExpr&>(*s.value), dtype);
    } else if (s.value->kind == ExprKind::call &&
               static_cast<const CallExpr&>(*s.value).callee->kind == ExprKind::name) {
      value = initial_value(static_cast<const CallExpr&>(*s.value), shape, dtype, complete);
    } else {
      value = eval(*s.value);
    }
    if (is_number_like(value) && !value.is(Kind::tensor)) {
      double number = as_number(value);
      if (!complete) fail(s.type.place, "the shape must be known to fill it with one number");
      value = Value(
          from_doubles(std::vector<double>(static_cast<std::size_t>(volume(shape)), number), dtype, shape));
    }
    Origins origins;
    place_ = s.value ? s.value->place : s.place;
    fit(value, s.type, text("'{}'", s.variable.name), origins, nullptr);
  } catch (const ScriptError&) { throw; } catch (const Error& e) {
    throw ScriptError(e.code(), s.place, e.what());
  }
  set_new(s.variable, std::move(value));
}

// zeros(), xavier() …: without a shape they take the declared one, and always the declared element type.
Value Interpreter::initial_value(const CallExpr& e, const Shape& shape, DType dtype, bool complete) {
  const auto& name = static_cast<const NameExpr&>(*e.callee);
  bool builtin = name.variable.home == Home::builtin && name.builtin.is(Kind::function) &&
                 name.builtin.as<FunctionObject>().form == Form::builtin;
  std::string_view signature = builtin ? name.builtin.as<FunctionObject>().builtin->signature : "";
  std::vector<std::string_view> parameters = parameters_of(signature);
  bool has_shape = false, has_dtype = false, given_dtype = false;
  for (std::string_view p : parameters)
    has_shape |= p.starts_with("shape"), has_dtype |= p.starts_with("dtype");
  if (!has_shape || !has_dtype) return eval(e);
  Given given = evaluate_arguments(e.arguments, e.place);
  bool given_shape = !given.positional.empty();
  for (const auto& [key, value] : given.named) given_shape |= key == "shape", given_dtype |= key == "dtype";
  if (!given_shape) {
    if (!complete) fail(e.place, "the shape must be known here");
    std::vector<Value> dims(shape.begin(), shape.end());
    given.named.emplace_back("shape", Value(std::move(dims)));
  }
  if (!given_dtype) given.named.emplace_back("dtype", Value(Kind::type, new TypeObject(dtype)));
  return call_value(name.builtin, std::move(given));
}

}  // namespace tl::lang
