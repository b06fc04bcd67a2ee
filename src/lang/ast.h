// SPDX-License-Identifier: Apache-2.0
// The syntax tree. Every node knows its place; the checker fills in where names live, the interpreter only reads.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lang/token.h"
#include "lang/value.h"

namespace tl::lang {

enum class ExprKind : std::uint8_t {
  literal, name, format, list, tensor, map, unary, binary, logic, range, call, method, member, index, if_, match,
  closure, record, cast, type_, query,
};

struct Expr {
  Expr(ExprKind kind, Place place) : kind(kind), place(place) {}
  virtual ~Expr() = default;
  ExprKind kind;
  Place place;
};
using ExprPtr = std::unique_ptr<Expr>;

struct Stmt;
using StmtPtr = std::unique_ptr<Stmt>;

struct Block {
  Place place = {};
  std::vector<StmtPtr> statements = {};
};

// ---- where a name lives

enum class Home : std::uint8_t { unresolved, local, captured, global, builtin };

struct Variable {
  std::string name = {};
  Place place = {};
  Home home = Home::unresolved;
  int slot = -1;
};

// ---- types as they are written

struct Dimension {
  Dim length = unknown;    // a number; else unknown
  Variable variable = {};  // a name; "?" has none
};

struct TypeExpr {
  Place place = {};
  std::string name = {};                                     // "float16", "int", "Point", "T", "list", "tensor", "fn"
  std::optional<std::vector<Dimension>> dimensions = {};
  std::vector<TypeExpr> arguments = {};                      // list<int>, Pair<A, B>
};

struct Parameter {
  std::string name = {};
  Place place = {};
  std::optional<TypeExpr> type = {};
  ExprPtr fallback = {};
};

// A function, closure or one of main, test, bench. The interpreter's Function objects point here.
struct FunctionDecl {
  std::string name = {};             // "" for a closure
  Place place = {};
  std::vector<std::string> generics = {};
  std::vector<Parameter> parameters = {};
  std::optional<TypeExpr> result = {};
  Block body = {};
  bool is_closure = false;
  // by the checker
  int slots = 0;                     // parameters first
  std::vector<Variable> captures = {};  // where the enclosing function has what this one captures
  std::vector<std::string> slot_names = {};
  int unit = 0;                      // which file's globals it sees
  bool has_types = false;
};

// ---- expressions

struct LiteralExpr : Expr {
  LiteralExpr(Place p, Value v) : Expr(ExprKind::literal, p), value(std::move(v)) {}
  Value value;
};

struct NameExpr : Expr {
  NameExpr(Place p, std::string n) : Expr(ExprKind::name, p), variable{std::move(n), p} {}
  Variable variable;
  Value builtin = {};
};

struct FormatExpr : Expr {
  explicit FormatExpr(Place p) : Expr(ExprKind::format, p) {}
  struct Part {
    std::string literal = {};
    ExprPtr value = {};
    std::string format = {};
  };
  std::vector<Part> parts;
};

struct ListExpr : Expr {
  explicit ListExpr(Place p) : Expr(ExprKind::list, p) {}
  std::vector<ExprPtr> items;
};

struct TensorExpr : Expr {  // [[1, 2], [3, 4]]: numbers only, so its value is known to the parser
  explicit TensorExpr(Place p) : Expr(ExprKind::tensor, p) {}
  std::vector<double> numbers;
  std::vector<std::int64_t> integers;  // the same, exactly
  Shape shape;
  bool fractional = false;
  Value value = {};                    // with the default element type
};

struct MapExpr : Expr {
  explicit MapExpr(Place p) : Expr(ExprKind::map, p) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};

struct UnaryExpr : Expr {
  UnaryExpr(Place p, Tok o, ExprPtr e) : Expr(ExprKind::unary, p), op(o), operand(std::move(e)) {}
  Tok op;
  ExprPtr operand;
};

struct BinaryExpr : Expr {  // kinds binary, logic and range
  BinaryExpr(ExprKind k, Place p, Tok o, ExprPtr l, ExprPtr r)
      : Expr(k, p), op(o), left(std::move(l)), right(std::move(r)) {}
  Tok op;
  bool side_by_side = false;
  ExprPtr left, right;
};

struct Argument {
  std::string name = {};  // "" where positional
  Place place = {};
  ExprPtr value = {};
};

struct CallExpr : Expr {
  explicit CallExpr(Place p) : Expr(ExprKind::call, p) {}
  ExprPtr callee;
  std::vector<Argument> arguments;
};

struct MethodExpr : Expr {
  explicit MethodExpr(Place p) : Expr(ExprKind::method, p) {}
  ExprPtr object;
  std::string name;
  Place name_place;
  std::vector<Argument> arguments;
};

struct MemberExpr : Expr {
  MemberExpr(Place p, ExprPtr o, std::string n, Place at)
      : Expr(ExprKind::member, p), object(std::move(o)), name(std::move(n)), name_place(at) {}
  ExprPtr object;
  std::string name;
  Place name_place;
};

struct Subscript {
  Place place = {};
  ExprPtr value = {};               // or the start of a slice
  ExprPtr stop = {}, step = {};
  bool slice = false;
  bool dotted = false, virtual_ = false;  // p'. and *t of equations
};

struct IndexExpr : Expr {
  explicit IndexExpr(Place p) : Expr(ExprKind::index, p) {}
  ExprPtr object;
  std::vector<Subscript> subscripts;
};

struct IfExpr : Expr {
  explicit IfExpr(Place p) : Expr(ExprKind::if_, p) {}
  struct Branch {
    ExprPtr condition;  // null: else
    Block body;
  };
  std::vector<Branch> branches;
};

enum class PatternKind : std::uint8_t { any, name, literal, range, record, list, either };
struct Pattern {
  PatternKind kind = PatternKind::any;
  Place place = {};
  Variable variable = {};
  Value literal = {}, last = {};       // of a range: both ends
  bool closed = false;
  std::string type = {};               // of a record
  std::vector<std::string> fields = {};
  std::vector<Pattern> parts = {};
};

struct MatchExpr : Expr {
  explicit MatchExpr(Place p) : Expr(ExprKind::match, p) {}
  struct Arm {
    Pattern pattern;
    ExprPtr guard;
    Block body;
  };
  ExprPtr subject;
  std::vector<Arm> arms;
};

struct ClosureExpr : Expr {
  explicit ClosureExpr(Place p) : Expr(ExprKind::closure, p) {}
  FunctionDecl function;
};

struct RecordExpr : Expr {  // Point { x: 1, y: 2 }
  explicit RecordExpr(Place p) : Expr(ExprKind::record, p) {}
  std::unique_ptr<NameExpr> type;
  std::vector<Argument> fields;
};

struct CastExpr : Expr {
  CastExpr(Place p, ExprPtr e, TypeExpr t) : Expr(ExprKind::cast, p), operand(std::move(e)), type(std::move(t)) {}
  ExprPtr operand;
  TypeExpr type;
};

struct TypeNameExpr : Expr {  // tensor<float32> as a callee
  TypeNameExpr(Place p, TypeExpr t) : Expr(ExprKind::type_, p), type(std::move(t)) {}
  TypeExpr type;
};

struct QueryExpr : Expr {  // Y?
  QueryExpr(Place p, ExprPtr e) : Expr(ExprKind::query, p), operand(std::move(e)) {}
  ExprPtr operand;
};

// ---- statements

enum class StmtKind : std::uint8_t {
  expression, assign, unpack, tensor, for_, while_, loop, break_, continue_, return_, function, structure, impl, import,
  block,
};

struct Stmt {
  Stmt(StmtKind kind, Place place) : kind(kind), place(place) {}
  virtual ~Stmt() = default;
  StmtKind kind;
  Place place;
};

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
