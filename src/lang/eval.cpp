// SPDX-License-Identifier: Apache-2.0
// Expressions: the walk over the tree that gives values. Calls are in call.cpp, arithmetic in arithmetic.cpp.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

// Runs body; an Error without a place gets this one.
template <class Body> decltype(auto) at_place(Place place, const Body& body) {
  try {
    return body();
  } catch (const ScriptError&) { throw; } catch (const Error& e) {
    throw ScriptError(e.code(), place, e.what());
  }
}

}  // namespace

Value Interpreter::eval(const Expr& e) {
  switch (e.kind) {
    case ExprKind::literal: return static_cast<const LiteralExpr&>(e).value;
    case ExprKind::name: return eval_name(static_cast<const NameExpr&>(e));
    case ExprKind::binary: return eval_binary(static_cast<const BinaryExpr&>(e));
    case ExprKind::call: return eval_call(static_cast<const CallExpr&>(e));
    case ExprKind::index: return eval_index(static_cast<const IndexExpr&>(e));
    case ExprKind::logic: return eval_logic(static_cast<const BinaryExpr&>(e));
    case ExprKind::range: return eval_range(static_cast<const BinaryExpr&>(e));
    case ExprKind::unary: return eval_unary(static_cast<const UnaryExpr&>(e));
    case ExprKind::format: return eval_format(static_cast<const FormatExpr&>(e));
    case ExprKind::list: return eval_list(static_cast<const ListExpr&>(e));
    case ExprKind::tensor: return eval_tensor(static_cast<const TensorExpr&>(e), {});
    case ExprKind::map: return eval_map(static_cast<const MapExpr&>(e));
    case ExprKind::method: return eval_method(static_cast<const MethodExpr&>(e));
    case ExprKind::member: return eval_member(static_cast<const MemberExpr&>(e));
    case ExprKind::if_:
    case ExprKind::match: return eval_block(e);
    case ExprKind::closure: return eval_closure(static_cast<const ClosureExpr&>(e).function);
    case ExprKind::record: return eval_record(static_cast<const RecordExpr&>(e));
    case ExprKind::cast: return eval_cast(static_cast<const CastExpr&>(e));
    case ExprKind::type_: fail(e.place, "a type is called: tensor<float32>([1, 2])");
    case ExprKind::query:
      host_.print(display(eval(*static_cast<const QueryExpr&>(e).operand)) + "\n");
      return {};
  }
  return {};
}

Value Interpreter::eval_name(const NameExpr& e) {
  if (e.variable.home == Home::builtin) return e.builtin;
  const Value& value = slot(e.variable);
  return value.kind() < Kind::cell ? value : variable(e.variable);
}

Value Interpreter::eval_binary(const BinaryExpr& e) {
  Value a = eval(*e.left), b = eval(*e.right);
  if (a.is(Kind::integer) && b.is(Kind::integer)) {
    std::int64_t x = a.integer(), y = b.integer(), result = 0;
    switch (e.op) {
      case Tok::plus:
        if (!__builtin_add_overflow(x, y, &result)) return result;
        break;
      case Tok::minus:
        if (!__builtin_sub_overflow(x, y, &result)) return result;
        break;
      case Tok::star:
        if (!__builtin_mul_overflow(x, y, &result)) return result;
        break;
      case Tok::less: return x < y;
      case Tok::greater: return x > y;
      case Tok::equal: return x == y;
      default: break;
    }
  }
  place_ = e.place;
  return at_place(e.place, [&] { return arithmetic(e.op, a, b); });
}

bool Interpreter::truth(const Expr& e) {
  Value v = eval(e);
  if (v.is(Kind::boolean)) return v.boolean();
  return at_place(e.place, [&] { return is_true(v); });
}

Value Interpreter::eval_logic(const BinaryExpr& e) {
  bool is_or = e.op == Tok::oror || e.op == Tok::kw_or;
  Value left = eval(*e.left);
  if (left.is(Kind::tensor) && left.tensor().size() != 1) {
    Value right = eval(*e.right);
    place_ = e.place;
    return at_place(e.place, [&] { return arithmetic(is_or ? Tok::oror : Tok::andand, left, right); });
  }
  bool first = at_place(e.left->place, [&] { return is_true(left); });
  return Value(first == is_or ? is_or : truth(*e.right));
}

std::int64_t Interpreter::whole(const Expr& e, std::string_view what) {
  Value v = eval(e);
  std::optional<std::int64_t> n = as_whole(v);
  if (!n) fail(e.place, text("{} must be an int, not {}", what, display_inside(v)));
  return *n;
}

Value Interpreter::eval_range(const BinaryExpr& e) {
  std::int64_t first = whole(*e.left, "the start of a range"), end = whole(*e.right, "the end of a range");
  return make_range(first, e.op == Tok::range_closed && end < INT64_MAX ? end + 1 : end);
}

Value Interpreter::eval_unary(const UnaryExpr& e) {
  if (e.op == Tok::minus) {
    Value v = eval(*e.operand);
    place_ = e.place;
    return at_place(e.place, [&] { return negative(v); });
  }
  Value v = eval(*e.operand);
  if (v.is(Kind::tensor) && v.tensor().size() != 1)
    return at_place(e.place, [&] { return arithmetic(Tok::equal, v, Value(false)); });
  return Value(!at_place(e.operand->place, [&] { return is_true(v); }));
}

// if and match as values: what jumps out of them is carried by an exception.
Value Interpreter::eval_block(const Expr& e) {
  Value result;
  Flow flow = exec_expression(e, &result);
  if (flow != Flow::next) throw Jump{flow};
  return result;
}

Value Interpreter::eval_format(const FormatExpr& e) {
  std::string result;
  for (const FormatExpr::Part& part : e.parts) {
    result += part.literal;
    if (!part.value) continue;
    Value v = eval(*part.value);
    result += at_place(part.value->place, [&] { return format_value(v, part.format); });
  }
  return Value(std::move(result));
}

Value Interpreter::eval_list(const ListExpr& e) {
  std::vector<Value> items;
  items.reserve(e.items.size());
  for (const ExprPtr& item : e.items) items.push_back(eval(*item));
  return Value(std::move(items));
}

Value Interpreter::eval_map(const MapExpr& e) {
  Value result = make_map({});
  auto& map = result.own<MapObject>();
  for (const auto& [key, value] : e.entries) {
    Value k = eval(*key);
    if (!is_key(k)) fail(key->place, text("{} cannot be a key of a map", one(k.kind())));
    Value v = eval(*value);
    map.at_or_add(k) = std::move(v);
  }
  return result;
}

// What a closure captures becomes a cell that both share from now on.
Value Interpreter::eval_closure(const FunctionDecl& f) {
  auto* function = new FunctionObject;
  Value result(Kind::function, function);
  function->decl = &f;
  for (const Variable& v : f.captures) {
    if (v.home == Home::captured) {
      function->captured.push_back(frame_->function->captured[static_cast<std::size_t>(v.slot)]);
      continue;
    }
    Value& place = slot(v);
    if (!place.is(Kind::cell)) place = Value(Kind::cell, new CellObject(std::move(place), cells_));
    function->captured.push_back(place);
  }
  return result;
}

Value Interpreter::eval_record(const RecordExpr& e) {
  auto* record = new RecordObject;
  Value result(Kind::record, record);
  record->structure = variable(e.type->variable);
  if (!record->structure.is(Kind::structure))
    fail(e.place, text("'{}' is not a struct", e.type->variable.name));
  const auto& decl = *record->structure.as<StructureObject>().decl;
  record->fields.resize(decl.fields.size());
  for (std::size_t i = 0; i < decl.fields.size(); ++i) {
    const Parameter& field = decl.fields[i];
    const Expr* given = field.fallback.get();
    for (const Argument& a : e.fields)
      if (a.name == field.name) given = a.value.get();
    bool literal = given->kind == ExprKind::tensor && field.type;
    record->fields[i] =
        literal ? eval_tensor(static_cast<const TensorExpr&>(*given), dtype_named(field.type->name))
                : eval(*given);
    if (!field.type) continue;
    Origins origins;
    place_ = given->place;
    fit(record->fields[i], *field.type, text("'{}'", field.name), origins, nullptr);
  }
  return result;
}

Value Interpreter::eval_cast(const CastExpr& e) {
  if (e.operand->kind == ExprKind::tensor && dtype_named(e.type.name))
    return eval_tensor(static_cast<const TensorExpr&>(*e.operand), dtype_named(e.type.name));
  Value v = eval(*e.operand);
  return at_place(e.place, [&] { return cast(v, e.type.name); });
}

// Literals are made once; where another element type is declared, in that type, without a detour through
// float16.
Value Interpreter::eval_tensor(const TensorExpr& e, std::optional<DType> as) {
  DType natural = e.fractional ? DType::f16 : DType::i32;
  DType dtype = as && (is_float(*as) || !e.fractional) ? *as : natural;
  if (dtype == natural && !e.value.is(Kind::none)) return e.value;
  if (!is_float(dtype) && dtype == DType::i32)
    for (std::int64_t i : e.integers)
      if (i != static_cast<std::int32_t>(i))
        fail(e.place, text("{} does not fit int32: write tensor<int64>([…])", i));
  Value made = e.fractional || is_float(dtype) ? Value(from_doubles(e.numbers, dtype, e.shape))
                                               : Value(from_integers(e.integers, dtype, e.shape));
  if (dtype == natural) const_cast<TensorExpr&>(e).value = made;
  return made;
}

// ---- members

Value Interpreter::eval_member(const MemberExpr& e) {
  Value object = eval(*e.object);
  return member_of(object, e.name, e.name_place);
}

namespace {

std::vector<Value> dims_of(const Tensor& t) {
  std::vector<Value> dims;
  for (Dim d : t.shape()) dims.emplace_back(d);
  return dims;
}

Value value_of(DType d) { return {Kind::type, new TypeObject(d)}; }

std::optional<Value> member_of_tensor(const Tensor& t, std::string_view name) {
  if (name == "shape") return Value(dims_of(t));
  if (name == "dtype") return value_of(t.dtype());
  if (name == "rank" || name == "ndim") return Value(static_cast<std::int64_t>(t.rank()));
  if (name == "size") return Value(t.size());
  return {};
}

std::optional<Value> member_of_model(HostModel& model, std::string_view name) {
  auto list = [](const std::vector<std::string>& names) {
    return Value(std::vector<Value>(names.begin(), names.end()));
  };
  if (name == "metadata") return model.metadata();
  if (name == "tensors") return list(model.tensors());
  if (name == "functions") return list(model.functions());
  if (name == "inputs" || name == "outputs") {
    Value metadata = model.metadata();
    if (const Value* found = metadata.as<MapObject>().find(Value(name))) return *found;
  }
  return {};
}

std::vector<std::string_view> keys_of(const MapObject& map) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : map.entries)
    if (key.is(Kind::string)) keys.push_back(key.string());
  return keys;
}

}  // namespace

Value Interpreter::member_of(const Value& object, const std::string& name, Place place) {
  std::vector<std::string_view> known;
  std::optional<Value> found;
  if (object.is(Kind::record)) {
    const auto& record = object.as<RecordObject>();
    const auto& decl = *record.structure.as<StructureObject>().decl;
    for (std::size_t i = 0; i < decl.fields.size(); ++i) {
      if (decl.fields[i].name == name) return record.fields[i];
      known.push_back(decl.fields[i].name);
    }
    fail(place, text("'{}' has no field '{}'{}", decl.variable.name, name, did_you_mean(name, known)));
  }
  if (object.is(Kind::map)) {
    if (const Value* value = object.as<MapObject>().find(Value(name))) return *value;
    known = keys_of(object.as<MapObject>());
  } else if (object.is(Kind::tensor)) {
    if (name == "T")
      return at_place(place, [&] {
        return call_value(function_value(*find_method(Kind::tensor, "transpose")), {{object}, {}, place});
      });
    found = member_of_tensor(object.tensor(), name);
    known = {"shape", "dtype", "rank", "size", "T"};
  } else if (object.is(Kind::model)) {
    found = at_place(place, [&] { return member_of_model(*object.as<ModelObject>().model, name); });
    known = {"metadata", "tensors", "functions", "inputs", "outputs"};
  } else if (object.is(Kind::structure)) {
    if (const Value* method = object.as<StructureObject>().method(name)) return *method;
    for (const auto& [own, value] : object.as<StructureObject>().methods) known.push_back(own);
  } else if (object.is(Kind::range)) {
    if (name == "start") return Value(object.as<RangeObject>().first);
    if (name == "end") return Value(object.as<RangeObject>().end);
  }
  if (found) return *found;
  if (find_method(object.kind(), name)) fail(place, text("'{0}' is a method: write .{0}(…)", name));
  if (object.is(Kind::map)) fail(place, text("there is no key \"{}\"{}", name, did_you_mean(name, known)));
  fail(place, text("{} has no member '{}'{}", one(object.kind()), name, did_you_mean(name, known)));
}

// ---- indices

std::vector<At> Interpreter::eval_subscripts(const IndexExpr& e) {
  std::vector<At> result;
  for (const Subscript& sub : e.subscripts) {
    At& at = result.emplace_back();
    at.slice = sub.slice;
    Value first = sub.value ? eval(*sub.value) : Value();
    if (!sub.slice) {
      if (first.is(Kind::range)) {  // x[1..3] is x[1:3]
        at.slice = true;
        at.start = Value(first.as<RangeObject>().first), at.stop = Value(first.as<RangeObject>().end);
      } else {
        at.index = std::move(first);
      }
      continue;
    }
    at.start = std::move(first);
    if (sub.stop) at.stop = eval(*sub.stop);
    if (sub.step) at.step = eval(*sub.step);
    for (const Value* part : {&at.start, &at.stop, &at.step})
      if (!part->is(Kind::none) && !as_whole(*part))
        fail(sub.place, text("a slice takes int, not {}", name_of(part->kind())));
  }
  return result;
}

Value Interpreter::eval_index(const IndexExpr& e) {
  Value object = eval(*e.object);
  if (e.subscripts.size() == 1 && !e.subscripts[0].slice && object.is(Kind::list)) {
    Value index = eval(*e.subscripts[0].value);
    if (index.is(Kind::integer)) {
      const auto& items = object.list();
      std::int64_t i = index.integer(), n = static_cast<std::int64_t>(items.size());
      if (i >= -n && i < n) return items[static_cast<std::size_t>(i < 0 ? i + n : i)];
    }
    return at_place(e.place, [&] { return item(object, index); });
  }
  std::vector<At> at = eval_subscripts(e);
  return at_place(e.place, [&] {
    if (object.is(Kind::tensor)) return index_tensor(object.tensor(), at);
    if (at.size() > 1) throw Error(Code::bad_input, text("{} takes one index", one(object.kind())));
    if (at[0].slice) return index_sequence(object, at[0]);
    return item(object, at[0].index);
  });
}

}  // namespace tl::lang
