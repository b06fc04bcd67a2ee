// SPDX-License-Identifier: Apache-2.0
// The checker's walk over the tree: where each name lives, and what cannot be right. Used by check*.cpp only.
#pragma once
#include <unordered_map>

#include "lang/unit.h"

namespace tl::lang {

struct Scope {
  Scope* parent = nullptr;           // null: top level
  FunctionDecl* function = nullptr;  // null: top level
  bool closure = false;              // assigns variables of the scope around it
  bool role = false;                 // main, test, bench
  std::unordered_map<std::string, int> names = {};
  std::unordered_map<std::string, int> captured = {};
  std::vector<std::function<void()>> deferred = {};  // bodies, once all names of this scope are known
};

class Checker {
 public:
  Checker(Unit& unit, const Import& import, Diagnostics& errors)
      : unit_(unit), import_(import), errors_(errors) {}
  void run(Block& tree);

 private:
  // ---- names (check.cpp)
  bool resolve(Variable& v, Scope& scope);
  void declare(Variable& v, bool fresh);
  void declare_local(Variable& v, Scope& scope);
  void declare_global(Variable& v);
  int capture(const std::string& name, Scope& scope);
  bool assign_outer(Variable& v, Scope& scope);
  std::vector<std::string_view> visible_names() const;
  void hoist(const Block& block);
  void finish(Scope& scope);
  void unknown(const Variable& v);
  void error(Place place, std::string message) { errors_.error(place, std::move(message)); }

  // ---- statements (check.cpp)
  void statements(const Block& block);
  void statement(Stmt& s);
  void assignment(AssignStmt& s);
  void target(Expr& e, bool fresh);
  void tensor(TensorStmt& s);
  void loop(ForStmt& s);
  void jump(JumpStmt& s);
  void function(FunctionDecl& f, bool closure, bool role);
  void body(FunctionDecl& f, Scope& scope);
  void implement(ImplStmt& s);
  void import(ImportStmt& s);
  void type(TypeExpr& t, bool declares);
  bool is_type(const std::string& name) const;

  // ---- expressions (check_expr.cpp)
  void expression(Expr& e);
  void maybe(const ExprPtr& e) {
    if (e) expression(*e);
  }
  void name(NameExpr& e);
  void binary(BinaryExpr& e);
  void call(CallExpr& e);
  void call_script(const CallExpr& e, const FunctionDecl& f);
  void call_builtin(const CallExpr& e, const Value& callee);
  void arguments(std::vector<Argument>& all);
  void index(IndexExpr& e);
  void match(MatchExpr& e);
  void pattern(Pattern& p);
  void record(RecordExpr& e);
  void constant_index(const IndexExpr& e);

  Unit& unit_;
  const Import& import_;
  Diagnostics& errors_;
  Scope top_ = {};
  Scope* scope_ = &top_;
  int loops_ = 0, in_index_ = 0;
  std::vector<std::string> generics_ = {};
};

}  // namespace tl::lang
