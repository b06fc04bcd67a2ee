// SPDX-License-Identifier: Apache-2.0
// Expressions: names resolved, calls to known functions checked against their parameters.
#include <algorithm>

#include "base/text.h"
#include "lang/builtin.h"
#include "lang/checker.h"

namespace tl::lang {

void Checker::expression(Expr& e) {
  switch (e.kind) {
    case ExprKind::literal:
    case ExprKind::tensor:
    case ExprKind::type_: return;
    case ExprKind::name: return name(static_cast<NameExpr&>(e));
    case ExprKind::format:
      for (auto& part : static_cast<FormatExpr&>(e).parts) maybe(part.value);
      return;
    case ExprKind::list:
      for (ExprPtr& item : static_cast<ListExpr&>(e).items) expression(*item);
      return;
    case ExprKind::map:
      for (auto& [key, value] : static_cast<MapExpr&>(e).entries) expression(*key), expression(*value);
      return;
    case ExprKind::unary: return expression(*static_cast<UnaryExpr&>(e).operand);
    case ExprKind::binary:
    case ExprKind::logic:
    case ExprKind::range: return binary(static_cast<BinaryExpr&>(e));
    case ExprKind::call: return call(static_cast<CallExpr&>(e));
    case ExprKind::method: {
      auto& method = static_cast<MethodExpr&>(e);
      expression(*method.object);
      return arguments(method.arguments);
    }
    case ExprKind::member: return expression(*static_cast<MemberExpr&>(e).object);
    case ExprKind::index: return index(static_cast<IndexExpr&>(e));
    case ExprKind::if_:
      for (auto& branch : static_cast<IfExpr&>(e).branches) {
        maybe(branch.condition);
        hoist(branch.body);
        statements(branch.body);
      }
      return;
    case ExprKind::match: return match(static_cast<MatchExpr&>(e));
    case ExprKind::closure: return function(static_cast<ClosureExpr&>(e).function, true, false);
    case ExprKind::record: return record(static_cast<RecordExpr&>(e));
    case ExprKind::cast: {
      auto& cast = static_cast<CastExpr&>(e);
      expression(*cast.operand);
      return type(cast.type, false);
    }
    case ExprKind::query: return expression(*static_cast<QueryExpr&>(e).operand);
  }
}

void Checker::name(NameExpr& e) {
  if (resolve(e.variable, *scope_)) return;
  std::optional<Value> value = predefined(e.variable.name);
  if (!value) return unknown(e.variable);
  e.variable.home = Home::builtin;
  e.builtin = *value;
}

void Checker::binary(BinaryExpr& e) {
  expression(*e.left);
  expression(*e.right);
  if (!e.side_by_side) return;
  for (const Expr* side : {e.left.get(), e.right.get()}) {
    if (side->kind != ExprKind::name) continue;
    const auto& factor = static_cast<const NameExpr&>(*side);
    bool function = factor.variable.home == Home::builtin && factor.builtin.is(Kind::function);
    function |= factor.variable.home == Home::global && unit_.functions.contains(factor.variable.name);
    bool structure = factor.variable.home == Home::global && unit_.structures.contains(factor.variable.name);
    if (function || structure)
      error(factor.place, text("'{}' is a {}, not a factor: to call it, remove the space before '('",
                               factor.variable.name, structure ? "struct" : "function"));
  }
}

void Checker::arguments(std::vector<Argument>& all) {
  int was = std::exchange(in_index_, 0);
  for (Argument& argument : all) expression(*argument.value);
  in_index_ = was;
}

void Checker::call(CallExpr& e) {
  expression(*e.callee);
  arguments(e.arguments);
  if (e.callee->kind != ExprKind::name) return;
  const auto& callee = static_cast<const NameExpr&>(*e.callee);
  if (callee.variable.home == Home::builtin) return call_builtin(e, callee.builtin);
  auto known = unit_.functions.find(callee.variable.name);
  if (callee.variable.home == Home::global && known != unit_.functions.end()) call_script(e, *known->second);
}

void Checker::call_script(const CallExpr& e, const FunctionDecl& f) {
  std::vector<std::string_view> names;
  for (const Parameter& p : f.parameters) names.push_back(p.name);
  std::size_t positional = 0, before = errors_.size();
  std::vector<bool> given(names.size());
  for (const Argument& argument : e.arguments) {
    auto found = std::find(names.begin(), names.end(), argument.name);
    if (argument.name.empty()) {
      if (positional < given.size()) given[positional] = true;
      ++positional;
    } else if (found == names.end()) {
      error(argument.place,
            text("'{}' has no parameter '{}'{}", f.name, argument.name, did_you_mean(argument.name, names)));
    } else {
      given[static_cast<std::size_t>(found - names.begin())] = true;
    }
  }
  if (positional > names.size())
    return error(e.place, text("'{}' takes {} argument{}, not {}", f.name, names.size(),
                               names.size() == 1 ? "" : "s", e.arguments.size()));
  if (errors_.size() > before) return;  // a name that is wrong is also one that is missing
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!given[i] && !f.parameters[i].fallback)
      return error(e.place, text("'{}' needs the argument '{}'", f.name, names[i]));
}

void Checker::call_builtin(const CallExpr& e, const Value& callee) {
  if (!callee.is(Kind::function)) return;
  const auto& function = callee.as<FunctionObject>();
  std::vector<std::string_view> names;
  std::string_view called;
  if (function.form == Form::op) {
    called = function.op->name;
    for (const InputDef& input : function.op->inputs) names.push_back(input.name);
    for (const AttrDef& attr : function.op->attrs) names.push_back(attr.name);
  } else {
    called = function.builtin->name;
    names = parameters_of(function.builtin->signature);
    for (std::string_view& each : names) {
      if (each.starts_with("**")) return;  // takes any name
      if (each.ends_with('?')) each.remove_suffix(1);
    }
  }
  for (const Argument& argument : e.arguments)
    if (!argument.name.empty() && std::find(names.begin(), names.end(), argument.name) == names.end())
      error(argument.place,
            text("'{}' has no argument '{}'{}", called, argument.name, did_you_mean(argument.name, names)));
}

void Checker::index(IndexExpr& e) {
  expression(*e.object);
  for (Subscript& sub : e.subscripts) {
    if (sub.dotted || sub.virtual_) {
      error(sub.place,
            text("not supported yet: tensor equations ('{}' marks an index)", sub.dotted ? "." : "*"));
      continue;
    }
    ++in_index_;
    maybe(sub.value);
    maybe(sub.stop);
    maybe(sub.step);
    --in_index_;
  }
  constant_index(e);
}

// A number that is past the end of a tensor whose shape stands in the text.
void Checker::constant_index(const IndexExpr& e) {
  if (e.object->kind != ExprKind::tensor) return;
  const Shape& shape = static_cast<const TensorExpr&>(*e.object).shape;
  if (e.subscripts.size() > shape.size())
    return error(e.place, text("{} indices for a tensor of rank {}", e.subscripts.size(), shape.size()));
  for (std::size_t i = 0; i < e.subscripts.size(); ++i) {
    const Subscript& sub = e.subscripts[i];
    if (sub.slice || !sub.value || sub.value->kind != ExprKind::literal) continue;
    const Value& at = static_cast<const LiteralExpr&>(*sub.value).value;
    if (at.is(Kind::integer) && at.integer() >= shape[i])
      error(sub.place, text("index {} is outside dimension {} of length {}", at.integer(), i, shape[i]));
  }
}

void Checker::match(MatchExpr& e) {
  expression(*e.subject);
  for (MatchExpr::Arm& arm : e.arms) {
    pattern(arm.pattern);
    maybe(arm.guard);
    hoist(arm.body);
    statements(arm.body);
  }
}

void Checker::pattern(Pattern& p) {
  if (p.kind == PatternKind::name) return declare(p.variable, true);
  if (p.kind == PatternKind::record) {
    auto declared = unit_.structures.find(p.type);
    if (declared == unit_.structures.end() || !resolve(p.variable, *scope_)) {
      std::vector<std::string_view> known;
      for (const auto& [name, decl] : unit_.structures) known.push_back(name);
      error(p.place, text("there is no struct '{}'{}", p.type, did_you_mean(p.type, known)));
    } else {
      std::vector<std::string_view> fields;
      for (const Parameter& field : declared->second->fields) fields.push_back(field.name);
      for (const std::string& field : p.fields)
        if (std::find(fields.begin(), fields.end(), field) == fields.end())
          error(p.place, text("'{}' has no field '{}'{}", p.type, field, did_you_mean(field, fields)));
    }
  }
  for (Pattern& part : p.parts) pattern(part);
}

void Checker::record(RecordExpr& e) {
  for (Argument& field : e.fields) expression(*field.value);
  Variable& v = e.type->variable;
  auto declared = unit_.structures.find(v.name);
  if (!resolve(v, *scope_) || declared == unit_.structures.end()) {
    std::vector<std::string_view> known;
    for (const auto& [name, decl] : unit_.structures) known.push_back(name);
    return error(v.place, text("there is no struct '{}'{}", v.name, did_you_mean(v.name, known)));
  }
  std::vector<std::string_view> fields;
  std::size_t before = errors_.size();
  for (const Parameter& field : declared->second->fields) fields.push_back(field.name);
  for (std::size_t i = 0; i < e.fields.size(); ++i) {
    const Argument& field = e.fields[i];
    if (std::find(fields.begin(), fields.end(), field.name) == fields.end())
      error(field.place,
            text("'{}' has no field '{}'{}", v.name, field.name, did_you_mean(field.name, fields)));
    for (std::size_t k = 0; k < i; ++k)
      if (e.fields[k].name == field.name) error(field.place, text("field '{}' is given twice", field.name));
  }
  for (const Parameter& field : declared->second->fields) {
    if (errors_.size() > before) return;
    bool given = std::any_of(e.fields.begin(), e.fields.end(),
                             [&](const Argument& a) { return a.name == field.name; });
    if (!given && !field.fallback) error(e.place, text("'{}' needs the field '{}'", v.name, field.name));
  }
}

}  // namespace tl::lang
