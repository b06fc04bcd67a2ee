// SPDX-License-Identifier: Apache-2.0
// The syntax tree. Every node knows its place; the checker fills in where names live, the interpreter only
// reads.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lang/token.h"
#include "lang/value.h"

namespace tl::lang {

enum class ExprKind : std::uint8_t {
  literal,
  name,
  format,
  list,
  tensor,
  map,
  unary,
  binary,
  logic,
  range,
  call,
  method,
  member,
  index,
  if_,
  match,
  closure,
  record,
  cast,
  type_,
  query,
};

struct Expr {
  Expr(ExprKind kind, Place place) : kind(kind), place(place) {}
  virtual ~Expr() = default;
  ExprKind kind;
  Place place;
};
using ExprPtr = std::unique_ptr<Expr>;

enum class StmtKind : std::uint8_t {
  expression,
  assign,
  unpack,
  tensor,
  for_,
  while_,
  loop,
  break_,
  continue_,
  return_,
  function,
  structure,
  impl,
  import,
  block,
};

struct Stmt {
  Stmt(StmtKind kind, Place place) : kind(kind), place(place) {}
  virtual ~Stmt() = default;
  StmtKind kind;
  Place place;
};
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
  std::string name = {};  // "float16", "int", "Point", "T", "list", "tensor", "fn"
  std::optional<std::vector<Dimension>> dimensions = {};
  std::vector<TypeExpr> arguments = {};  // list<int>, Pair<A, B>
};

struct Parameter {
  std::string name = {};
  Place place = {};
  std::optional<TypeExpr> type = {};
  ExprPtr fallback = {};
};

// A function, closure or one of main, test, bench. The interpreter's Function objects point here.
struct FunctionDecl {
  std::string name = {};  // "" for a closure
  Place place = {};
  std::vector<std::string> generics = {};
  std::vector<Parameter> parameters = {};
  std::optional<TypeExpr> result = {};
  Block body = {};
  bool is_closure = false;
  // by the checker
  int slots = 0;                        // parameters first
  std::vector<Variable> captures = {};  // where the enclosing function has what this one captures
  std::vector<std::string> slot_names = {};
  int unit = 0;  // which file's globals it sees
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
  Value value = {};  // with the default element type
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
  ExprPtr value = {};  // or the start of a slice
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
  Value literal = {}, last = {};  // of a range: both ends
  bool closed = false;
  std::string type = {};  // of a record
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
  CastExpr(Place p, ExprPtr e, TypeExpr t)
      : Expr(ExprKind::cast, p), operand(std::move(e)), type(std::move(t)) {}
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

}  // namespace tl::lang
