// SPDX-License-Identifier: Apache-2.0
// Calls: functions of the script, builtins, operations, methods.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

// Makes a frame current, and the former one again however the call ends.
class Interpreter::Enter {
 public:
  Enter(Interpreter& i, Frame& frame) : interpreter_(i), was_(std::exchange(i.frame_, &frame)) {}
  ~Enter() { interpreter_.frame_ = was_; }
  Enter(const Enter&) = delete;

 private:
  Interpreter& interpreter_;
  Frame* was_;
};

Given Interpreter::evaluate_arguments(const std::vector<Argument>& all, Place place) {
  Given given;
  given.place = place;
  given.positional.reserve(all.size());
  for (const Argument& argument : all) {
    if (argument.name.empty()) given.positional.push_back(eval(*argument.value));
    else given.named.emplace_back(argument.name, eval(*argument.value));
  }
  return given;
}

Value Interpreter::eval_call(const CallExpr& e) {
  if (e.callee->kind == ExprKind::type_)
    return call_new_tensor(e, static_cast<const TypeNameExpr&>(*e.callee).type);
  Value callee = eval(*e.callee);
  if (callee.is(Kind::function) && callee.as<FunctionObject>().form == Form::script)
    return call_direct(callee, e);
  return call_value(callee, evaluate_arguments(e.arguments, e.place));
}

// A literal argument is made in the declared element type.
Value Interpreter::call_direct(const Value& callee, const CallExpr& e) {
  const FunctionDecl& f = *callee.as<FunctionObject>().decl;
  std::vector<Value> slots(static_cast<std::size_t>(f.slots), Value::unset());
  std::size_t next = 0, count = f.parameters.size();
  for (const Argument& argument : e.arguments) {
    std::size_t i = argument.name.empty() ? next++ : 0;
    while (!argument.name.empty() && i < count && f.parameters[i].name != argument.name) ++i;
    std::string name = f.name.empty() ? "this closure" : text("'{}'", f.name);
    if (i >= count && !argument.name.empty())
      fail(argument.place, text("{} has no parameter '{}'", name, argument.name));
    if (i >= count)
      fail(e.place,
           text("{} takes {} argument{}, not {}", name, count, count == 1 ? "" : "s", e.arguments.size()));
    if (!slots[i].is(Kind::unset))
      fail(argument.place, text("the argument '{}' is given twice", f.parameters[i].name));
    const auto& type = f.parameters[i].type;
    bool literal = type && argument.value->kind == ExprKind::tensor;
    slots[i] = literal ? eval_tensor(static_cast<const TensorExpr&>(*argument.value), dtype_named(type->name))
                       : eval(*argument.value);
  }
  return run_function(callee, slots, e.place);
}

Value Interpreter::call_script(const Value& callee, Given&& given) {
  const FunctionDecl& f = *callee.as<FunctionObject>().decl;
  std::vector<Value> slots(static_cast<std::size_t>(f.slots), Value::unset());
  std::string name = f.name.empty() ? "this closure" : text("'{}'", f.name);
  if (given.positional.size() > f.parameters.size())
    fail(given.place, text("{} takes {} argument{}, not {}", name, f.parameters.size(),
                           f.parameters.size() == 1 ? "" : "s", given.positional.size()));
  std::move(given.positional.begin(), given.positional.end(), slots.begin());
  for (auto& [key, value] : given.named) {
    std::size_t i = 0;
    while (i < f.parameters.size() && f.parameters[i].name != key) ++i;
    if (i == f.parameters.size()) fail(given.place, text("{} has no parameter '{}'", name, key));
    if (!slots[i].is(Kind::unset)) fail(given.place, text("the argument '{}' is given twice", key));
    slots[i] = std::move(value);
  }
  return run_function(callee, slots, given.place);
}

void Interpreter::fill_fallbacks(const FunctionDecl& f, std::vector<Value>& slots) {
  for (std::size_t i = 0; i < f.parameters.size(); ++i) {
    if (!slots[i].is(Kind::unset)) continue;
    if (!f.parameters[i].fallback) {
      std::string name = f.name.empty() ? "this closure" : text("'{}'", f.name);
      throw Error(Code::bad_input, text("{} needs the argument '{}'", name, f.parameters[i].name));
    }
    slots[i] = eval(*f.parameters[i].fallback);
  }
}

Value Interpreter::run_function(const Value& callee, std::vector<Value>& slots, Place place) {
  const auto& function = callee.as<FunctionObject>();
  const FunctionDecl& f = *function.decl;
  poll(place);
  const char* here = static_cast<const char*>(__builtin_frame_address(0));
  if (static_cast<std::size_t>(std::abs(stack_base_ - here)) > stack_limit_)
    fail(place, "the calls are nested too deeply: a recursion that does not end?");
  Frame frame{slots.data(), &units_[static_cast<std::size_t>(f.unit)]->globals, &function, &f, 0};
  Value result;
  try {
    Enter enter(*this, frame);
    fill_fallbacks(f, slots);
    if (f.has_types) check_parameters(f, slots.data());
    Flow flow = Flow::next;
    try {
      flow = exec(f.body, &result);
    } catch (const Jump& jump) { flow = jump.flow; }
    if (flow == Flow::return_) result = std::move(returned_);
    if (f.result) {
      Origins origins;
      place_ = f.result->place;
      fit(result, *f.result, "the result", origins, slots.data());
    }
  } catch (ScriptError& e) {
    if (place.source) e.chain.push_back({f.name.empty() ? "a closure" : text("'{}'", f.name), place});
    throw;
  } catch (const Error& e) { throw ScriptError(e.code(), place, e.what()); }
  return result;
}

Value Interpreter::call(const Value& function, Given&& given) {
  return call_value(function, std::move(given));
}

Value Interpreter::call_value(const Value& callee, Given&& given) {
  if (callee.is(Kind::type)) {  // float32(x) is x as float32
    if (given.positional.size() != 1) fail(given.place, "an element type takes one argument");
    return cast(given.positional[0], std::string(name_of(callee.as<TypeObject>().dtype)));
  }
  if (callee.is(Kind::structure)) {
    const auto& name = callee.as<StructureObject>().decl->variable.name;
    fail(given.place, text("a struct is made with braces: {} {{ … }}", name));
  }
  if (!callee.is(Kind::function)) fail(given.place, text("{} cannot be called", one(callee.kind())));
  const auto& function = callee.as<FunctionObject>();
  if (function.form == Form::script) return call_script(callee, std::move(given));
  Place place = given.place;
  place_ = place;
  try {
    if (function.form == Form::op) return call_op(*function.op, std::move(given));
    Args args = bind(*this, *function.builtin, std::move(given));
    return function.builtin->run(args);
  } catch (ScriptError&) { throw; } catch (const Error& e) {
    throw ScriptError(e.code(), place, e.what());
  }
}

// ---- methods

// A method of a struct: `p.norm()` passes p as self, `Point.new(1, 2)` passes nothing.
bool Interpreter::find_record_method(const Value& object, const MethodExpr& e, Value& method,
                                     bool& is_static) {
  is_static = object.is(Kind::structure);
  if (!is_static && !object.is(Kind::record)) return false;
  const Value& structure = is_static ? object : object.as<RecordObject>().structure;
  const auto& type = structure.as<StructureObject>();
  if (const Value* found = type.method(e.name)) return method = *found, true;
  if (!is_static) {
    const auto& fields = type.decl->fields;
    for (std::size_t i = 0; i < fields.size(); ++i)
      if (fields[i].name == e.name)
        return is_static = true, method = object.as<RecordObject>().fields[i], true;
  }
  std::vector<std::string_view> known;
  for (const auto& [name, value] : type.methods) known.push_back(name);
  fail(e.name_place,
       text("'{}' has no method '{}'{}", type.decl->variable.name, e.name, did_you_mean(e.name, known)));
}

// xs.push(4): the variable itself changes.
Value Interpreter::change_in_place(const MethodExpr& e, const Builtin& method) {
  Given given = evaluate_arguments(e.arguments, e.place);
  Value& place = reach(*e.object);
  given.positional.insert(given.positional.begin(),
                          Value());  // stands for the object until all arguments fit
  try {
    Args args = bind(*this, method, std::move(given));
    args.values[0] = std::move(place);
    place = Value();
    struct PutBack {
      Value &from, &to;
      ~PutBack() { to = std::move(from); }
    } put_back{args.values[0], place};
    return method.run(args);
  } catch (const ScriptError&) { throw; } catch (const Error& error) {
    throw ScriptError(error.code(), e.place, error.what());
  }
}

namespace {

bool changes_its_object(const Builtin& method) { return method.signature.starts_with("&"); }

}  // namespace

Value Interpreter::eval_method(const MethodExpr& e) {
  Value object = eval(*e.object);
  Value method;
  bool is_static = false;
  if (find_record_method(object, e, method, is_static)) {
    Given given = evaluate_arguments(e.arguments, e.place);
    if (!is_static) given.positional.insert(given.positional.begin(), object);
    return call_value(method, std::move(given));
  }
  const Builtin* builtin = find_method(object.kind(), e.name);
  if (builtin && changes_its_object(*builtin)) {
    object = Value();  // so that the variable is the only owner
    return change_in_place(e, *builtin);
  }
  if (object.is(Kind::map) && !builtin)
    if (const Value* entry = object.as<MapObject>().find(Value(e.name)))
      return call_value(*entry, evaluate_arguments(e.arguments, e.place));
  const OpDef* op = object.is(Kind::tensor) && !builtin ? op_named(e.name) : nullptr;
  const Builtin* free = object.is(Kind::tensor) && !builtin && !op ? find_builtin(e.name) : nullptr;
  if (!builtin && !op && !free) {
    std::vector<std::string_view> known;
    for (const Builtin& each : methods_of(object.kind())) known.push_back(each.name);
    fail(e.name_place,
         text("{} has no method '{}'{}", one(object.kind()), e.name, did_you_mean(e.name, known)));
  }
  Given given = evaluate_arguments(e.arguments, e.place);
  given.positional.insert(given.positional.begin(), object);
  if (op) return call_value(function_value(*op), std::move(given));
  return call_value(function_value(builtin ? *builtin : *free), std::move(given));
}

// ---- tensor<float32>([…])

Value Interpreter::call_new_tensor(const CallExpr& e, const TypeExpr& type) {
  std::optional<DType> dtype;
  if (!type.arguments.empty()) {
    dtype = dtype_named(type.arguments[0].name);
    if (!dtype)
      fail(type.arguments[0].place,
           text("'{}' is not an element type: float16, float32, int32 …", type.arguments[0].name));
  }
  Value made;
  for (const Argument& argument : e.arguments) {
    if (argument.name == "device") {
      Value device = eval(*argument.value);
      std::vector<std::string> all = host_.devices();
      bool there = device.is(Kind::string) &&
                   (device.string() == "auto" || std::count(all.begin(), all.end(), device.string()));
      if (!there)
        fail(argument.place,
             text("there is no device {} here, only: {}", display_inside(device), join(all, ", ")));
    } else if (!argument.name.empty() || !made.is(Kind::none)) {
      fail(argument.place, "tensor<…>(…) takes the elements and 'device'");
    } else if (argument.value->kind == ExprKind::tensor) {
      made = eval_tensor(static_cast<const TensorExpr&>(*argument.value), dtype);
    } else {
      made = eval(*argument.value);
    }
  }
  try {
    return Value(as_tensor(made, dtype));
  } catch (const Error& error) { throw ScriptError(error.code(), e.place, error.what()); }
}

}  // namespace tl::lang
