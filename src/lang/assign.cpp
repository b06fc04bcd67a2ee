// SPDX-License-Identifier: Apache-2.0
// Variables and assignment. Values are shared until written to: whoever writes makes the value its own first.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

Value& Interpreter::variable(const Variable& v) {
  Value& found = slot(v);
  Value& value = found.is(Kind::cell) ? found.shared<CellObject>().value : found;
  if (value.is(Kind::unset)) fail(v.place, text("'{}' has no value yet", v.name));
  return value;
}

// x = x + e, x += e: takes the value out of x while adding, so that a list or tensor only x has can grow in
// place.
bool Interpreter::append_in_place(const AssignStmt& s) {
  if (s.op != Tok::plus_assign || s.target->kind != ExprKind::name) return false;
  const Variable& v = static_cast<const NameExpr&>(*s.target).variable;
  if (!variable(v).is(Kind::list)) return false;
  Value more = eval(*s.value);
  if (!more.is(Kind::list)) return false;
  auto& items = variable(v).own<ListObject>().items;
  std::vector<Value> copy = more.list();
  items.insert(items.end(), copy.begin(), copy.end());
  return true;
}

void Interpreter::assign(const AssignStmt& s) {
  Value value;
  if (s.op == Tok::plus_assign) {
    if (append_in_place(s)) return;
    Value before = eval(*s.target);
    Value more = eval(*s.value);
    place_ = s.place;
    try {
      value = arithmetic(Tok::plus, before, more);
    } catch (const ScriptError&) { throw; } catch (const Error& e) {
      throw ScriptError(e.code(), s.place, e.what());
    }
  } else if (s.type && s.value->kind == ExprKind::tensor) {
    value = eval_tensor(static_cast<const TensorExpr&>(*s.value), dtype_named(s.type->name));
  } else {
    value = eval(*s.value);
  }
  if (s.type) {
    Origins origins;
    place_ = s.value->place;
    fit(value, *s.type, text("'{}'", static_cast<const NameExpr&>(*s.target).variable.name), origins,
        nullptr);
  }
  store(*s.target, std::move(value), s.fresh);
}

void Interpreter::unpack(const UnpackStmt& s) {
  Value value = eval(*s.value);
  std::vector<Value> parts;
  if (value.is(Kind::list)) parts = value.list();
  else if (value.is(Kind::tensor) && value.tensor().rank() > 0 && value.tensor().shape()[0] <= 1000)
    for (std::int64_t i = 0; i < value.tensor().shape()[0]; ++i) parts.push_back(item(value, Value(i)));
  else fail(s.value->place, text("{} cannot be taken apart", one(value.kind())));
  if (parts.size() != s.targets.size())
    fail(s.place, text("{} variables for {} values", s.targets.size(), parts.size()));
  for (std::size_t i = 0; i < parts.size(); ++i) store(*s.targets[i], parts[i], s.fresh);
}

void Interpreter::store(const Expr& target, Value value, bool fresh) {
  if (target.kind == ExprKind::name) {
    Value& place = slot(static_cast<const NameExpr&>(target).variable);
    if (!fresh && place.is(Kind::cell)) place.shared<CellObject>().value = std::move(value);
    else place = std::move(value);
  } else if (target.kind == ExprKind::index) {
    store_index(static_cast<const IndexExpr&>(target), std::move(value));
  } else {
    store_member(static_cast<const MemberExpr&>(target), std::move(value));
  }
}

namespace {

Value& element(Value& base, const Value& index, Place place) {
  if (base.is(Kind::list)) {
    auto& items = base.own<ListObject>().items;
    std::optional<std::int64_t> at = as_whole(index);
    if (!at)
      throw ScriptError(Code::bad_input, place,
                        text("a list is indexed by int, not by {}", name_of(index.kind())));
    auto i = wrap_index(*at, static_cast<std::int64_t>(items.size()), "list");
    return items[static_cast<std::size_t>(i)];
  }
  if (!is_key(index))
    throw ScriptError(Code::bad_input, place, text("{} cannot be a key of a map", one(index.kind())));
  return base.own<MapObject>().at_or_add(index);
}

}  // namespace

void Interpreter::store_index(const IndexExpr& target, Value value) {
  std::vector<At> at = eval_subscripts(target);
  Value& base = reach(*target.object);
  try {
    if (base.is(Kind::tensor)) {
      assign_tensor(base.own<TensorObject>().tensor, at, as_tensor(value));
    } else if ((base.is(Kind::list) || base.is(Kind::map)) && at.size() == 1 && !at[0].slice) {
      element(base, at[0].index, target.subscripts[0].place) = std::move(value);
    } else {
      fail(target.place, text("elements of {} cannot be assigned{}", one(base.kind()),
                              base.is(Kind::list) ? " by a slice" : ""));
    }
  } catch (const ScriptError&) { throw; } catch (const Error& e) {
    throw ScriptError(e.code(), target.place, e.what());
  }
}

namespace {

Value& field_of(Value& base, const std::string& name, Place place) {
  if (base.is(Kind::map)) return base.own<MapObject>().at_or_add(Value(name));
  if (!base.is(Kind::record))
    throw ScriptError(Code::bad_input, place,
                      text("{} has no member that can be assigned", one(base.kind())));
  auto& record = base.own<RecordObject>();
  const auto& decl = *record.structure.as<StructureObject>().decl;
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < decl.fields.size(); ++i) {
    if (decl.fields[i].name == name) return record.fields[i];
    names.push_back(decl.fields[i].name);
  }
  throw ScriptError(Code::bad_input, place,
                    text("'{}' has no field '{}'{}", decl.variable.name, name, did_you_mean(name, names)));
}

}  // namespace

void Interpreter::store_member(const MemberExpr& target, Value value) {
  Value& base = reach(*target.object);
  Value& field = field_of(base, target.name, target.name_place);
  if (base.is(Kind::record)) {
    const auto& decl = *base.as<RecordObject>().structure.as<StructureObject>().decl;
    for (const Parameter& p : decl.fields) {
      if (p.name != target.name || !p.type) continue;
      Origins origins;
      place_ = target.place;
      fit(value, *p.type, text("'{}'", p.name), origins, nullptr);
    }
  }
  field = std::move(value);
}

// Inner indices are evaluated before the place of what they index is taken: evaluation may move variables.
Value& Interpreter::reach(const Expr& target) {
  if (target.kind == ExprKind::name) {
    const auto& name = static_cast<const NameExpr&>(target);
    if (name.variable.home == Home::builtin)
      fail(target.place, text("'{}' is not a variable", name.variable.name));
    return variable(name.variable);
  }
  if (target.kind == ExprKind::member) {
    const auto& member = static_cast<const MemberExpr&>(target);
    return field_of(reach(*member.object), member.name, member.name_place);
  }
  if (target.kind == ExprKind::index) {
    const auto& index = static_cast<const IndexExpr&>(target);
    std::vector<At> at = eval_subscripts(index);
    Value& base = reach(*index.object);
    bool plain = at.size() == 1 && !at[0].slice;
    if (plain && base.is(Kind::map) && !base.as<MapObject>().find(at[0].index))
      fail(index.place, text("there is no key {}", display_inside(at[0].index)));
    try {
      if (plain && (base.is(Kind::list) || base.is(Kind::map)))
        return element(base, at[0].index, index.place);
    } catch (const ScriptError&) { throw; } catch (const Error& e) {
      throw ScriptError(e.code(), index.place, e.what());
    }
    if (base.is(Kind::tensor))
      fail(index.place, "to assign into a part of a tensor, write all indices at once: x[i, j] = …");
  }
  fail(target.place, "this is not a place that can be changed: assign it to a variable first");
}

}  // namespace tl::lang
