// SPDX-License-Identifier: Apache-2.0
// The syntax tree's statements and declarations; expressions are in ast.h.
#pragma once
#include "lang/ast.h"

namespace tl::lang {

struct ExprStmt : Stmt {
  ExprStmt(Place p, ExprPtr e) : Stmt(StmtKind::expression, p), value(std::move(e)) {}
  ExprPtr value;
};

struct AssignStmt : Stmt {  // x = e, let x = e, x[i] += e, p.x = e
  AssignStmt(Place p, ExprPtr t, Tok o, ExprPtr v)
      : Stmt(StmtKind::assign, p), target(std::move(t)), op(o), value(std::move(v)) {}
  bool fresh = false;  // let
  std::optional<TypeExpr> type = {};
  ExprPtr target;
  Tok op;
  ExprPtr value;
};

struct UnpackStmt : Stmt {  // (a, b) = e
  explicit UnpackStmt(Place p) : Stmt(StmtKind::unpack, p) {}
  bool fresh = false;
  std::vector<ExprPtr> targets;
  ExprPtr value;
};

struct TensorStmt : Stmt {  // tensor W: float16[2, 3] learnable = e
  explicit TensorStmt(Place p) : Stmt(StmtKind::tensor, p) {}
  Variable variable;
  TypeExpr type;
  ExprPtr value;
};

struct ForStmt : Stmt {
  explicit ForStmt(Place p) : Stmt(StmtKind::for_, p) {}
  std::vector<Variable> variables;  // several: each element is taken apart
  ExprPtr iterable;
  Block body;
};

struct WhileStmt : Stmt {  // also loop, which has no condition
  explicit WhileStmt(Place p, StmtKind k) : Stmt(k, p) {}
  ExprPtr condition;
  Block body;
};

struct JumpStmt : Stmt {  // break, continue, return e
  JumpStmt(StmtKind k, Place p) : Stmt(k, p) {}
  ExprPtr value;
};

struct FunctionStmt : Stmt {
  explicit FunctionStmt(Place p) : Stmt(StmtKind::function, p) {}
  Variable variable;
  FunctionDecl function;
};

struct StructStmt : Stmt {
  explicit StructStmt(Place p) : Stmt(StmtKind::structure, p) {}
  Variable variable;
  std::vector<std::string> generics;
  std::vector<Parameter> fields;
};

struct ImplStmt : Stmt {
  explicit ImplStmt(Place p) : Stmt(StmtKind::impl, p) {}
  Variable type;
  std::vector<FunctionDecl> methods;
};

struct ImportStmt : Stmt {
  ImportStmt(Place p, std::string f) : Stmt(StmtKind::import, p), path(std::move(f)) {}
  std::string path;
  int unit = -1;
  std::vector<std::pair<int, int>> names = {};  // slot there, slot here
};

enum class BlockRole : std::uint8_t { main, test, bench };
struct BlockStmt : Stmt {  // main, test name, bench name
  BlockStmt(Place p, BlockRole r) : Stmt(StmtKind::block, p), role(r) {}
  BlockRole role;
  FunctionDecl function;
};

}  // namespace tl::lang
