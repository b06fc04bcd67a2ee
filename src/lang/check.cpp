// SPDX-License-Identifier: Apache-2.0
// Names and statements: every variable gets its home before anything runs, and all errors are found at once.
#include "base/text.h"
#include "lang/builtin.h"
#include "lang/checker.h"

namespace tl::lang {

void check(Unit& unit, Chunk& chunk, const Import& import, Diagnostics& errors) {
  Checker(unit, import, errors).run(chunk.tree);
}

void Checker::run(Block& tree) {
  hoist(tree);
  statements(tree);
  finish(top_);
}

// ---- names

void Checker::declare_local(Variable& v, Scope& scope) {
  auto [found, added] = scope.names.emplace(v.name, scope.function->slots);
  if (added) {
    ++scope.function->slots;
    scope.function->slot_names.push_back(v.name);
  }
  v.home = Home::local;
  v.slot = found->second;
}

void Checker::declare_global(Variable& v) {
  auto [found, added] = unit_.names.emplace(v.name, static_cast<int>(unit_.globals.size()));
  if (added) {
    unit_.globals.push_back(Value::unset());
    unit_.global_names.push_back(v.name);
  }
  v.home = Home::global;
  v.slot = found->second;
}

// The index of `name` among what the function of this scope captures, or -1 if no scope around it has the
// name.
int Checker::capture(const std::string& name, Scope& scope) {
  auto known = scope.captured.find(name);
  if (known != scope.captured.end()) return known->second;
  Scope* outer = scope.parent;
  Variable there{name};
  if (!outer->function) {
    if (!scope.closure || !unit_.names.contains(name) || unit_.functions.contains(name)) return -1;
    declare_global(there);
  } else if (!resolve(there, *outer) || there.home == Home::global || there.home == Home::builtin) {
    return -1;
  }
  int index = static_cast<int>(scope.function->captures.size());
  scope.function->captures.push_back(there);
  scope.captured.emplace(name, index);
  return index;
}

bool Checker::resolve(Variable& v, Scope& scope) {
  if (scope.function) {
    auto own = scope.names.find(v.name);
    if (own != scope.names.end()) {
      v.home = Home::local, v.slot = own->second;
      return true;
    }
    int index = scope.role ? -1 : capture(v.name, scope);
    if (index >= 0) {
      v.home = Home::captured, v.slot = index;
      return true;
    }
  }
  auto global = unit_.names.find(v.name);
  if (global == unit_.names.end()) return false;
  v.home = Home::global, v.slot = global->second;
  return true;
}

// Whether an assignment in a closure, main or test means a variable of the scopes around it; see section 2 of
// the language reference.
bool Checker::assign_outer(Variable& v, Scope& scope) {
  if (scope.role) {
    if (!unit_.names.contains(v.name)) return false;
    declare_global(v);
    return true;
  }
  if (!scope.closure) return false;
  for (Scope* outer = scope.parent; outer; outer = outer->parent) {
    bool has = outer->function ? outer->names.contains(v.name) : unit_.names.contains(v.name);
    if (has) {
      v.slot = capture(v.name, scope);
      v.home = Home::captured;
      return v.slot >= 0;
    }
    if (outer->function && !outer->closure && !outer->role) return false;
  }
  return false;
}

void Checker::declare(Variable& v, bool fresh) {
  if (!scope_->function) declare_global(v);
  else if (fresh || scope_->names.contains(v.name) || !assign_outer(v, *scope_)) declare_local(v, *scope_);
  if (v.home == Home::global) unit_.functions.erase(v.name), unit_.structures.erase(v.name);
}

// Functions and structs are known from the beginning of their block's scope.
void Checker::hoist(const Block& block) {
  for (const StmtPtr& s : block.statements) {
    if (s->kind == StmtKind::function) {
      auto& f = static_cast<FunctionStmt&>(*s);
      declare(f.variable, true);
      if (!scope_->function) unit_.functions[f.variable.name] = &f.function;
    } else if (s->kind == StmtKind::structure) {
      auto& structure = static_cast<StructStmt&>(*s);
      declare(structure.variable, true);
      unit_.structures[structure.variable.name] = &structure;
    }
  }
}

void Checker::finish(Scope& scope) {
  for (std::size_t i = 0; i < scope.deferred.size(); ++i) {
    auto job = std::move(scope.deferred[i]);
    job();
  }
  scope.deferred.clear();
}

std::vector<std::string_view> Checker::visible_names() const {
  std::vector<std::string_view> names = predefined_names();
  for (const auto& [name, slot] : unit_.names) names.push_back(name);
  for (const Scope* scope = scope_; scope; scope = scope->parent)
    for (const auto& [name, slot] : scope->names) names.push_back(name);
  return names;
}

void Checker::unknown(const Variable& v) {
  constexpr std::size_t shortest = 3;  // of one or two letters everything is a near miss
  std::string known = v.name.size() < shortest ? "" : did_you_mean(v.name, visible_names());
  if (in_index_ == 0) return error(v.place, text("there is no variable or function '{}'{}", v.name, known));
  error(
      v.place,
      text("not supported yet: tensor equations ('{}' is no variable in scope, so it is an index variable){}",
           v.name, known));
}

// ---- statements

void Checker::statements(const Block& block) {
  for (const StmtPtr& s : block.statements) statement(*s);
}

void Checker::statement(Stmt& s) {
  switch (s.kind) {
    case StmtKind::expression: return expression(*static_cast<ExprStmt&>(s).value);
    case StmtKind::assign: return assignment(static_cast<AssignStmt&>(s));
    case StmtKind::unpack: {
      auto& unpack = static_cast<UnpackStmt&>(s);
      expression(*unpack.value);
      for (const ExprPtr& each : unpack.targets) target(*each, unpack.fresh);
      return;
    }
    case StmtKind::tensor: return tensor(static_cast<TensorStmt&>(s));
    case StmtKind::for_: return loop(static_cast<ForStmt&>(s));
    case StmtKind::while_:
    case StmtKind::loop: {
      auto& repeat = static_cast<WhileStmt&>(s);
      maybe(repeat.condition);
      ++loops_;
      hoist(repeat.body);
      statements(repeat.body);
      --loops_;
      return;
    }
    case StmtKind::break_:
    case StmtKind::continue_:
    case StmtKind::return_: return jump(static_cast<JumpStmt&>(s));
    case StmtKind::function: return function(static_cast<FunctionStmt&>(s).function, false, false);
    case StmtKind::structure:
      generics_ = static_cast<StructStmt&>(s).generics;
      for (Parameter& field : static_cast<StructStmt&>(s).fields) {
        if (field.type) type(*field.type, false);
        maybe(field.fallback);
      }
      generics_.clear();
      return;
    case StmtKind::impl: return implement(static_cast<ImplStmt&>(s));
    case StmtKind::import: return import(static_cast<ImportStmt&>(s));
    case StmtKind::block:
      if (scope_->function) error(s.place, "main, test and bench blocks stand at top level");
      return function(static_cast<BlockStmt&>(s).function, false, true);
  }
}

void Checker::assignment(AssignStmt& s) {
  bool new_name = s.target->kind == ExprKind::name && !s.fresh;
  expression(*s.value);
  if (s.type) type(*s.type, false);
  if (s.op == Tok::plus_assign) expression(*s.target);
  if (new_name && s.op == Tok::assign) {
    auto& name = static_cast<NameExpr&>(*s.target);
    if (!scope_->function && unit_.structures.contains(name.variable.name))
      return error(s.place, text("'{}' is a struct: choose another name", name.variable.name));
  }
  target(*s.target, s.fresh);
}

void Checker::target(Expr& e, bool fresh) {
  if (e.kind == ExprKind::name) return declare(static_cast<NameExpr&>(e).variable, fresh);
  if (e.kind == ExprKind::index) {
    auto& at = static_cast<IndexExpr&>(e);
    if (at.object->kind == ExprKind::name) {
      auto& base = static_cast<NameExpr&>(*at.object);
      if (!resolve(base.variable, *scope_)) {
        bool equation = false;  // Y[i] = …: a new tensor by an equation
        for (const Subscript& sub : at.subscripts) equation |= sub.value && sub.value->kind == ExprKind::name;
        if (equation) return error(e.place, "not supported yet: tensor equations");
      }
    }
  }
  expression(e);
}

void Checker::tensor(TensorStmt& s) {
  maybe(s.value);
  type(s.type, true);
  if (!dtype_named(s.type.name))
    error(s.type.place, text("'{}' is not an element type: float16, float32, int32 …", s.type.name));
  if (!s.type.dimensions) error(s.type.place, text("the shape is missing, as in {}[2, 3]", s.type.name));
  declare(s.variable, true);
}

void Checker::loop(ForStmt& s) {
  expression(*s.iterable);
  for (Variable& v : s.variables) declare(v, true);
  ++loops_;
  hoist(s.body);
  statements(s.body);
  --loops_;
}

void Checker::jump(JumpStmt& s) {
  maybe(s.value);
  std::string_view word = s.kind == StmtKind::break_      ? "break"
                          : s.kind == StmtKind::continue_ ? "continue"
                                                          : "return";
  if (s.kind == StmtKind::return_ && (!scope_->function || scope_->role))
    error(s.place, "'return' stands in a function");
  if (s.kind != StmtKind::return_ && loops_ == 0) error(s.place, text("'{}' stands in a loop", word));
}

void Checker::function(FunctionDecl& f, bool closure, bool role) {
  f.unit = unit_.number;
  Scope* outer = scope_;
  outer->deferred.push_back([this, &f, outer, closure, role, outer_generics = generics_] {
    Scope scope{outer, &f, closure, role};
    Scope* was = std::exchange(scope_, &scope);
    int loops = std::exchange(loops_, 0), index = std::exchange(in_index_, 0);
    auto generics = std::exchange(generics_, outer_generics);
    generics_.insert(generics_.end(), f.generics.begin(), f.generics.end());
    body(f, scope);
    generics_ = generics, loops_ = loops, in_index_ = index, scope_ = was;
  });
}

void Checker::body(FunctionDecl& f, Scope& scope) {
  for (Parameter& p : f.parameters) {
    maybe(p.fallback);  // sees the parameters before it
    Variable v{p.name, p.place};
    declare_local(v, scope);
  }
  for (Parameter& p : f.parameters)
    if (p.type) type(*p.type, true), f.has_types = true;
  if (f.result) type(*f.result, true), f.has_types = true;
  hoist(f.body);
  statements(f.body);
  finish(scope);
}

void Checker::implement(ImplStmt& s) {
  if (!resolve(s.type, *scope_) || !unit_.structures.contains(s.type.name)) {
    std::vector<std::string_view> known;
    for (const auto& [name, decl] : unit_.structures) known.push_back(name);
    error(s.type.place, text("there is no struct '{}'{}", s.type.name, did_you_mean(s.type.name, known)));
  }
  auto declared = unit_.structures.find(s.type.name);
  if (declared != unit_.structures.end()) generics_ = declared->second->generics;
  for (FunctionDecl& method : s.methods) function(method, false, false);
  generics_.clear();
}

void Checker::import(ImportStmt& s) {
  if (scope_->function) return error(s.place, "'import' stands at top level");
  try {
    Unit& other = import_(s.path, unit_);
    s.unit = other.number;
    for (std::size_t i = 0; i < other.global_names.size(); ++i) {
      Variable here{other.global_names[i]};
      declare_global(here);
      s.names.emplace_back(static_cast<int>(i), here.slot);
      auto function = other.functions.find(here.name);
      if (function != other.functions.end()) unit_.functions[here.name] = function->second;
      auto structure = other.structures.find(here.name);
      if (structure != other.structures.end()) unit_.structures[here.name] = structure->second;
    }
  } catch (const CheckError&) { throw; } catch (const Error& e) {
    error(s.place, e.what());
  }
}

bool Checker::is_type(const std::string& name) const {
  constexpr std::string_view own[] = {"int",    "float", "string",   "bool", "list", "map",
                                      "tensor", "fn",    "function", "none", "void", "range",
                                      "model",  "state", "any",      "Self"};
  for (std::string_view each : own)
    if (each == name) return true;
  for (const std::string& each : generics_)
    if (each == name) return true;
  return dtype_named(name) || unit_.structures.contains(name);
}

// Dimension names are variables of the function, set when it is called.
void Checker::type(TypeExpr& t, bool declares) {
  if (!is_type(t.name)) {
    std::vector<std::string_view> known = {"int",   "float",  "string",  "bool",    "list",
                                           "map",   "tensor", "float16", "float32", "float64",
                                           "int32", "int64",  "uint8"};
    for (const auto& [name, decl] : unit_.structures) known.push_back(name);
    error(t.place, text("there is no type '{}'{}", t.name, did_you_mean(t.name, known)));
  }
  for (TypeExpr& argument : t.arguments) type(argument, declares);
  if (!t.dimensions) return;
  for (Dimension& d : *t.dimensions) {
    if (d.variable.name.empty()) continue;
    bool known = scope_->function && !scope_->role ? scope_->names.contains(d.variable.name)
                                                   : resolve(d.variable, *scope_);
    if (known && scope_->function) resolve(d.variable, *scope_);
    else if (!known && declares) declare(d.variable, true);
  }
}

}  // namespace tl::lang
