// SPDX-License-Identifier: Apache-2.0
// Statements: the flow of a script.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

void Interpreter::fail(Place place, const std::string& reason) {
  throw ScriptError(Code::bad_input, place, reason);
}

// Ctrl-C is looked for at every turn of a loop and every call.
void Interpreter::poll(Place place) {
  constexpr unsigned often = 256;
  if (++ticks_ % often == 0 && host_.interrupted())
    throw ScriptError(Code::interrupted, place, "interrupted");
}

// Functions and structs can be used before the line that defines them.
void Interpreter::hoist(const Block& block) {
  for (const StmtPtr& s : block.statements) {
    if (s->kind == StmtKind::function) {
      const auto& f = static_cast<const FunctionStmt&>(*s);
      Value& place = slot(f.variable);
      if (place.is(Kind::cell)) place.shared<CellObject>().value = eval_closure(f.function);
      else {
        Value made = eval_closure(f.function);  // may make a cell of the slot: a function that calls itself
        Value& now = slot(f.variable);
        if (now.is(Kind::cell)) now.shared<CellObject>().value = std::move(made);
        else now = std::move(made);
      }
    } else if (s->kind == StmtKind::structure) {
      const auto& decl = static_cast<const StructStmt&>(*s);
      auto* structure = new StructureObject;
      structure->decl = &decl;
      set_new(decl.variable, Value(Kind::structure, structure));
    }
  }
  for (const StmtPtr& s : block.statements)
    if (s->kind == StmtKind::impl) exec_impl(static_cast<const ImplStmt&>(*s));
}

Flow Interpreter::exec(const Block& block, Value* result) {
  hoist(block);
  std::size_t n = block.statements.size();
  for (std::size_t i = 0; i < n; ++i) {
    Flow flow = exec(*block.statements[i], i + 1 == n ? result : nullptr);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Flow Interpreter::exec(const Stmt& s, Value* result) {
  switch (s.kind) {
    case StmtKind::expression: return exec_expression(*static_cast<const ExprStmt&>(s).value, result);
    case StmtKind::assign: return assign(static_cast<const AssignStmt&>(s)), Flow::next;
    case StmtKind::unpack: return unpack(static_cast<const UnpackStmt&>(s)), Flow::next;
    case StmtKind::tensor: return exec_tensor(static_cast<const TensorStmt&>(s)), Flow::next;
    case StmtKind::for_: return exec_for(static_cast<const ForStmt&>(s));
    case StmtKind::while_:
    case StmtKind::loop: return exec_while(static_cast<const WhileStmt&>(s));
    case StmtKind::break_: return Flow::break_;
    case StmtKind::continue_: return Flow::continue_;
    case StmtKind::return_: {
      const auto& jump = static_cast<const JumpStmt&>(s);
      returned_ = jump.value ? eval(*jump.value) : Value();
      return Flow::return_;
    }
    case StmtKind::import: return exec_import(static_cast<const ImportStmt&>(s)), Flow::next;
    case StmtKind::function:
    case StmtKind::structure:
    case StmtKind::impl:
    case StmtKind::block: return Flow::next;  // hoisted, or run last
  }
  return Flow::next;
}

Flow Interpreter::exec_expression(const Expr& e, Value* result) {
  if (e.kind == ExprKind::if_) return exec_if(static_cast<const IfExpr&>(e), result);
  if (e.kind == ExprKind::match) return exec_match(static_cast<const MatchExpr&>(e), result);
  if (result) *result = eval(e);
  else eval(e);
  return Flow::next;
}

Flow Interpreter::exec_if(const IfExpr& e, Value* result) {
  for (const IfExpr::Branch& branch : e.branches)
    if (!branch.condition || truth(*branch.condition)) return exec(branch.body, result);
  return Flow::next;
}

Flow Interpreter::exec_body(const Block& body) {
  try {
    return exec(body, nullptr);
  } catch (const Jump& jump) { return jump.flow; }
}

Flow Interpreter::exec_while(const WhileStmt& s) {
  while (!s.condition || truth(*s.condition)) {
    poll(s.place);
    Flow flow = exec_body(s.body);
    if (flow == Flow::break_) break;
    if (flow == Flow::return_) return flow;
  }
  return Flow::next;
}

void Interpreter::bind_loop(const ForStmt& s, Value item) {
  if (s.variables.size() == 1) return set_new(s.variables[0], std::move(item));
  if (item.is(Kind::tensor) && item.tensor().rank() > 0) {
    std::vector<Value> rows;
    for (std::int64_t i = 0; i < item.tensor().shape()[0]; ++i) rows.push_back(this->item(item, Value(i)));
    item = Value(std::move(rows));
  }
  if (!item.is(Kind::list) || item.list().size() != s.variables.size())
    fail(s.variables[0].place, text("each element must be a list of {}, this one is {}", s.variables.size(),
                                    item.is(Kind::list) ? text("a list of {}", item.list().size())
                                                        : std::string(name_of(item.kind()))));
  for (std::size_t i = 0; i < s.variables.size(); ++i) set_new(s.variables[i], item.list()[i]);
}

Flow Interpreter::exec_for(const ForStmt& s) {
  Value over = eval(*s.iterable);
  std::int64_t count = 0;
  switch (over.kind()) {
    case Kind::range: count = over.as<RangeObject>().size(); break;
    case Kind::list: count = static_cast<std::int64_t>(over.list().size()); break;
    case Kind::map: count = static_cast<std::int64_t>(over.as<MapObject>().entries.size()); break;
    case Kind::tensor:
      if (over.tensor().rank() == 0) fail(s.iterable->place, "a tensor of rank 0 cannot be looped over");
      count = over.tensor().shape()[0];
      break;
    case Kind::string: {
      over = call_value(function_value(*find_method(Kind::string, "chars")), {{over}, {}, s.iterable->place});
      count = static_cast<std::int64_t>(over.list().size());
      break;
    }
    case Kind::integer:
      fail(s.iterable->place, text("an int cannot be looped over: write 0..{}", over.integer()));
    default: fail(s.iterable->place, text("{} cannot be looped over", one(over.kind())));
  }
  for (std::int64_t i = 0; i < count; ++i) {
    poll(s.place);
    if (over.is(Kind::range)) bind_loop(s, Value(over.as<RangeObject>().first + i));
    else if (over.is(Kind::list)) bind_loop(s, over.list()[static_cast<std::size_t>(i)]);
    else if (over.is(Kind::tensor)) bind_loop(s, item(over, Value(i)));
    else {
      const auto& [key, value] = over.as<MapObject>().entries[static_cast<std::size_t>(i)];
      bind_loop(s, s.variables.size() == 2 ? Value(std::vector<Value>{key, value}) : key);
    }
    Flow flow = exec_body(s.body);
    if (flow == Flow::break_) break;
    if (flow == Flow::return_) return flow;
  }
  return Flow::next;
}

void Interpreter::exec_import(const ImportStmt& s) {
  Unit& unit = *units_[static_cast<std::size_t>(s.unit)];
  try {
    run_unit(unit);
  } catch (ScriptError& e) {
    e.chain.push_back({text("'{}'", unit.path), s.place});
    throw;
  }
  for (auto [there, here] : s.names) {
    Value value = unit.globals[static_cast<std::size_t>(there)];
    if (value.is(Kind::cell)) value = value.shared<CellObject>().value;
    (*frame_->globals)[static_cast<std::size_t>(here)] = value;
  }
}

void Interpreter::exec_impl(const ImplStmt& s) {
  Value structure = variable(s.type);
  auto& methods = structure.shared<StructureObject>().methods;
  for (const FunctionDecl& method : s.methods) {
    Value function = eval_closure(method);
    bool replaced = false;
    for (auto& [name, value] : methods)
      if (name == method.name) value = function, replaced = true;
    if (!replaced) methods.emplace_back(method.name, function);
  }
}

// ---- match

Flow Interpreter::exec_match(const MatchExpr& e, Value* result) {
  Value subject = eval(*e.subject);
  for (const MatchExpr::Arm& arm : e.arms)
    if (matches(arm.pattern, subject) && (!arm.guard || truth(*arm.guard))) return exec(arm.body, result);
  fail(e.place, text("no arm matches {}", display_inside(subject)));
}

bool Interpreter::matches_list(const Pattern& p, const Value& v) {
  bool tensor = v.is(Kind::tensor) && v.tensor().rank() > 0;
  if (!tensor && !v.is(Kind::list)) return false;
  std::size_t n = tensor ? static_cast<std::size_t>(v.tensor().shape()[0]) : v.list().size();
  if (n != p.parts.size()) return false;
  for (std::size_t i = 0; i < n; ++i)
    if (!matches(p.parts[i], item(v, Value(static_cast<std::int64_t>(i))))) return false;
  return true;
}

bool Interpreter::matches(const Pattern& p, const Value& v) {
  switch (p.kind) {
    case PatternKind::any: return true;
    case PatternKind::name: return set_new(p.variable, v), true;
    case PatternKind::literal: return equal(p.literal, v);
    case PatternKind::range: {
      if (!is_number_like(v)) return false;
      double x = as_number(v), last = p.last.number();
      return x >= p.literal.number() && (p.closed ? x <= last : x < last);
    }
    case PatternKind::either:
      for (const Pattern& part : p.parts)
        if (matches(part, v)) return true;
      return false;
    case PatternKind::list: return matches_list(p, v);
    case PatternKind::record: {
      if (!v.is(Kind::record)) return false;
      const auto& record = v.as<RecordObject>();
      const auto& decl = *record.structure.as<StructureObject>().decl;
      if (variable(p.variable).object() != record.structure.object()) return false;
      for (std::size_t i = 0; i < p.fields.size(); ++i)
        for (std::size_t k = 0; k < decl.fields.size(); ++k)
          if (decl.fields[k].name == p.fields[i] && !matches(p.parts[i], record.fields[k])) return false;
      return true;
    }
  }
  return false;
}

}  // namespace tl::lang
