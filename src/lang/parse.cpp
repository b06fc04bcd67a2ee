// SPDX-License-Identifier: Apache-2.0
// Statements and declarations, and how parsing goes on after an error.
#include "lang/parse.h"

#include "base/text.h"
#include "lang/parser.h"

namespace tl::lang {

Block parse(const Source& source, Diagnostics& errors) {
  return Parser(source, scan(source, errors), errors).parse_file();
}

// ---- tokens and errors

void Parser::fail(Place place, std::string message) {
  errors_.error(place, std::move(message));
  throw SyntaxFailure{};
}

void Parser::fail_here(std::string_view expected) {
  if (sees(Tok::bad)) throw SyntaxFailure{};  // the scanner has said it
  fail(peek().place, text("expected {}, found {}", expected, describe(peek())));
}

void Parser::not_yet(Place place, std::string_view what) { fail(place, text("not supported yet: {}", what)); }

const Token& Parser::expect(Tok kind, std::string_view what) {
  if (!sees(kind)) fail_here(what);
  return take();
}

std::string Parser::expect_name(std::string_view what) {
  if (is_keyword(peek().kind))
    fail(peek().place, text("'{}' is a reserved word: choose another name", peek().text));
  return std::string(expect(Tok::name, what).text);
}

Parser::Deeper::Deeper(Parser& p) : parser(p) {
  constexpr int deepest = 200;
  if (++p.depth_ > deepest) {
    --p.depth_;
    p.fail(p.peek().place, text("nested deeper than {} levels", deepest));
  }
}

// ---- blocks

Block Parser::parse_file() {
  Block block;
  block.place = {&source_, 0, static_cast<std::uint32_t>(source_.text.size())};
  parse_statements(block, true);
  return block;
}

void Parser::parse_statements(Block& into, bool top) {
  while (true) {
    while (accept(Tok::semicolon)) {}
    if (sees(Tok::end)) return;
    if (sees(Tok::rbrace)) {
      if (!top) return;
      errors_.error(take().place, "this '}' closes nothing");
      continue;
    }
    parse_one(into);
  }
}

void Parser::parse_one(Block& into) {
  std::size_t begin = at_;
  int depth = depth_;
  bool arm = in_arm_;
  try {
    into.statements.push_back(parse_statement());
    end_statement();
  } catch (const SyntaxFailure&) {
    depth_ = depth, in_arm_ = arm, in_index_ = arrow_ends_ = floors_ = false;
    recover(begin);
  }
}

void Parser::end_statement() {
  if (accept(Tok::semicolon) || peek().line_before || sees(Tok::rbrace) || sees(Tok::end)) return;
  if (in_arm_ && sees(Tok::comma)) return;
  check_space_bracket();
  if (sees(Tok::query)) fail(peek().place, "'?' asks for a name or an expression and ends its line");
  if (sees(Tok::assign))
    fail(peek().place, "only a variable, an element or a member can be assigned; to compare, write '=='");
  fail_here("the end of the line");
}

// Skips to where the next statement probably begins: a line of its own, outside the brackets opened since
// `begin`.
void Parser::recover(std::size_t begin) {
  int braces = 0, others = 0;
  auto count = [&](Tok t) {
    braces += (t == Tok::lbrace) - (t == Tok::rbrace);
    others += (t == Tok::lparen || t == Tok::lbracket) - (t == Tok::rparen || t == Tok::rbracket);
  };
  for (std::size_t i = begin; i < at_; ++i) count(tokens_[i].kind);
  if (at_ == begin && !sees(Tok::rbrace)) count(take().kind);
  for (; !sees(Tok::end); count(take().kind)) {
    if (braces <= 0 && sees(Tok::rbrace)) return;
    bool declares = peek().kind >= Tok::kw_let && peek().kind <= Tok::kw_impl;
    if (braces <= 0 && peek().line_before && (others <= 0 || declares)) return;
    if (braces <= 0 && others <= 0 && accept(Tok::semicolon)) return;
  }
}

Block Parser::parse_block(std::string_view of) {
  Block block;
  Token open = expect(Tok::lbrace, text("'{{' to begin {}", of));
  Deeper deeper(*this);
  Inside inside(*this, true);
  bool arm = std::exchange(in_arm_, false), arrow = std::exchange(arrow_ends_, false);
  bool index = std::exchange(in_index_, false), floors = std::exchange(floors_, false);
  parse_statements(block, false);
  in_arm_ = arm, arrow_ends_ = arrow, in_index_ = index, floors_ = floors;
  if (!accept(Tok::rbrace)) fail(open.place, text("this '{{' is not closed: '}}' is missing"));
  block.place = since(open);
  return block;
}

// ---- statements

StmtPtr Parser::parse_statement() {
  Deeper deeper(*this);
  Tok t = peek().kind, next = peek(1).kind;
  bool begins_role = next == Tok::lbrace || (next == Tok::name && !peek(1).line_before);
  if (t == Tok::kw_main && begins_role) return parse_role(BlockRole::main);
  if (t == Tok::kw_test && begins_role) return parse_role(BlockRole::test);
  if (t == Tok::kw_bench && begins_role) return parse_role(BlockRole::bench);
  if (t == Tok::kw_tensor && next == Tok::less) return parse_simple();
  if (is_keyword(t)) return parse_keyword_statement();
  return parse_simple();
}

StmtPtr Parser::parse_keyword_statement() {
  switch (peek().kind) {
    case Tok::kw_let: return parse_let();
    case Tok::kw_tensor: return parse_tensor();
    case Tok::kw_fn: return parse_function();
    case Tok::kw_struct: return parse_struct();
    case Tok::kw_impl: return parse_impl();
    case Tok::kw_for: return parse_for();
    case Tok::kw_while:
    case Tok::kw_loop: return parse_while();
    case Tok::kw_break:
    case Tok::kw_continue:
    case Tok::kw_return: return parse_jump();
    case Tok::kw_import: return parse_import();
    case Tok::kw_entity: not_yet(peek().place, "entities");
    case Tok::kw_relation: not_yet(peek().place, "relations");
    case Tok::kw_embedding: not_yet(peek().place, "embeddings");
    case Tok::kw_learn: not_yet(peek().place, "learning");
    case Tok::kw_infer: not_yet(peek().place, "queries with 'infer'");
    case Tok::kw_python: not_yet(peek().place, "Python blocks");
    default: return parse_simple();
  }
}

StmtPtr Parser::parse_let() {
  Token let = take();
  if (sees(Tok::lparen)) return parse_assignment(parse_parenthesis(), true);
  const Token& word = peek();
  std::string name = expect_name("a name after 'let'");
  auto target = std::make_unique<NameExpr>(word.place, name);
  std::optional<TypeExpr> type;
  if (accept(Tok::colon)) type = parse_type();
  if (!sees(Tok::assign)) fail_here("'=' and a value");
  StmtPtr statement = parse_assignment(std::move(target), true);
  static_cast<AssignStmt&>(*statement).type = std::move(type);
  statement->place = since(let);
  return statement;
}

StmtPtr Parser::parse_tensor() {
  Token first = take();
  auto statement = std::make_unique<TensorStmt>(first.place);
  statement->variable.place = peek().place;
  statement->variable.name = expect_name("a name after 'tensor'");
  expect(Tok::colon, "':' and a type like float16[2, 3]");
  statement->type = parse_type();
  if (!ends_line() && (sees(Tok::kw_learnable) || sees(Tok::kw_frozen))) take();
  if (accept_inside_line(Tok::assign)) statement->value = parse_expr();
  statement->place = since(first);
  return statement;
}

StmtPtr Parser::parse_for() {
  Token first = take();
  auto statement = std::make_unique<ForStmt>(first.place);
  bool several = accept(Tok::lparen);
  do {
    Place place = peek().place;
    statement->variables.push_back({expect_name("a name after 'for'"), place});
  } while (accept(Tok::comma));
  if (several) expect(Tok::rparen, "')'");
  expect(Tok::kw_in, "'in'");
  statement->iterable = parse_head();
  statement->body = parse_block("the body of 'for'");
  statement->place = since(first);
  return statement;
}

StmtPtr Parser::parse_while() {
  Token first = take();
  bool loop = first.kind == Tok::kw_loop;
  auto statement = std::make_unique<WhileStmt>(first.place, loop ? StmtKind::loop : StmtKind::while_);
  if (!loop) statement->condition = parse_head();
  statement->body = parse_block(loop ? "the body of 'loop'" : "the body of 'while'");
  statement->place = since(first);
  return statement;
}

StmtPtr Parser::parse_jump() {
  Token first = take();
  StmtKind kind = first.kind == Tok::kw_break      ? StmtKind::break_
                  : first.kind == Tok::kw_continue ? StmtKind::continue_
                                                   : StmtKind::return_;
  auto statement = std::make_unique<JumpStmt>(kind, first.place);
  bool ends =
      peek().line_before || sees(Tok::semicolon) || sees(Tok::rbrace) || sees(Tok::end) || sees(Tok::comma);
  if (kind == StmtKind::return_ && !ends) statement->value = parse_expr();
  statement->place = since(first);
  return statement;
}

StmtPtr Parser::parse_import() {
  Token first = take();
  const Token& path = expect(Tok::string, "a path in quotes after 'import'");
  return std::make_unique<ImportStmt>(since(first), path.string);
}

StmtPtr Parser::parse_role(BlockRole role) {
  Token first = take();
  auto statement = std::make_unique<BlockStmt>(first.place, role);
  statement->function.name = first.text;
  if (role != BlockRole::main) statement->function.name = expect_name(text("a name after '{}'", first.text));
  statement->function.place = first.place;
  statement->function.body = parse_block(text("'{}'", first.text));
  statement->place = since(first);
  return statement;
}

// An expression, an assignment, a query, or (not yet) a rule or an equation.
StmtPtr Parser::parse_simple() {
  Token first = peek();
  arrow_ends_ = true;
  ExprPtr value = parse_expr();
  arrow_ends_ = false;
  if (ends_line()) return std::make_unique<ExprStmt>(value->place, std::move(value));
  Tok t = peek().kind;
  if (t == Tok::less && peek(1).kind == Tok::minus && !peek(1).space_before)
    not_yet(span(peek().place, peek(1).place),
            value->kind == ExprKind::index ? "rules for tensors" : "rules");
  if (t == Tok::max_assign || t == Tok::min_assign || t == Tok::avg_assign || t == Tok::prod_assign)
    not_yet(peek().place, text("tensor equations ('{}')", peek().text));
  if (t == Tok::query) {
    take();
    if (!ends_line() && sees(Tok::kw_where)) not_yet(peek().place, "queries with 'where'");
    value = std::make_unique<QueryExpr>(since(first), std::move(value));
    return std::make_unique<ExprStmt>(value->place, std::move(value));
  }
  if (t == Tok::assign || t == Tok::plus_assign) return parse_assignment(std::move(value), false);
  return std::make_unique<ExprStmt>(value->place, std::move(value));
}

namespace {

bool is_assignable(const Expr& target) {
  return target.kind == ExprKind::name || target.kind == ExprKind::index || target.kind == ExprKind::member;
}

}  // namespace

StmtPtr Parser::parse_assignment(ExprPtr target, bool fresh) {
  Token sign = peek();
  if (sign.kind != Tok::assign && sign.kind != Tok::plus_assign) fail_here("'=' and a value");
  take();
  Place begin = target->place;
  if (target->kind == ExprKind::list && sign.kind == Tok::assign) {
    auto statement = std::make_unique<UnpackStmt>(begin);
    statement->fresh = fresh;
    statement->targets = std::move(static_cast<ListExpr&>(*target).items);
    for (const ExprPtr& each : statement->targets)
      if (fresh ? each->kind != ExprKind::name : !is_assignable(*each))
        fail(each->place, "a variable is expected here");
    statement->value = parse_expr();
    statement->place = since(begin);
    return statement;
  }
  if (target->kind == ExprKind::call && source_.text[begin.begin] == 'f' && sign.kind == Tok::assign) {
    const Expr& callee = *static_cast<CallExpr&>(*target).callee;
    if (callee.kind == ExprKind::name && static_cast<const NameExpr&>(callee).variable.name == "file")
      not_yet(begin, "writing with file(…) = x; use save(x, path)");
  }
  if (!is_assignable(*target))
    fail(target->place, "only a variable, an element or a member can be assigned; to compare, write '=='");
  ExprPtr value = parse_expr();
  auto statement = std::make_unique<AssignStmt>(begin, std::move(target), sign.kind, std::move(value));
  statement->fresh = fresh;
  statement->place = since(begin);
  return statement;
}

// ---- declarations

StmtPtr Parser::parse_function() {
  Token first = take();
  auto statement = std::make_unique<FunctionStmt>(first.place);
  statement->variable.place = peek().place;
  statement->function = parse_function_rest(first, false);
  statement->variable.name = statement->function.name;
  statement->place = since(first);
  return statement;
}

FunctionDecl Parser::parse_function_rest(const Token& fn, bool method) {
  FunctionDecl function;
  Token first = fn;
  function.place = peek().place;
  function.name = expect_name("a name after 'fn'");
  function.generics = parse_generics();
  expect(Tok::lparen, "'(' and the parameters");
  function.parameters = parse_parameters(Tok::rparen, method);
  if (accept(Tok::thin_arrow)) function.result = parse_type();
  function.body = parse_block(text("the body of '{}'", function.name));
  return function;
}

std::vector<Parameter> Parser::parse_parameters(Tok close, bool method) {
  Inside inside(*this, false);
  std::vector<Parameter> parameters;
  while (!sees(close)) {
    if (parameters.empty() && !method && peek().text == "self")
      errors_.error(peek().place, "'self' is a parameter of methods in 'impl' only");
    parameters.push_back(parse_parameter());
    for (std::size_t i = 0; i + 1 < parameters.size(); ++i)
      if (parameters[i].name == parameters.back().name)
        errors_.error(parameters.back().place, text("two parameters are called '{}'", parameters[i].name));
    if (!accept(Tok::comma)) break;
  }
  expect(close, close == Tok::bar ? "'|'" : "')' or ','");
  return parameters;
}

Parameter Parser::parse_parameter() {
  Parameter parameter;
  parameter.place = peek().place;
  parameter.name = expect_name("the name of a parameter");
  if (accept(Tok::colon)) parameter.type = parse_type();
  if (accept(Tok::assign)) parameter.fallback = parse_expr();
  return parameter;
}

std::vector<std::string> Parser::parse_generics() {
  std::vector<std::string> names;
  if (!accept(Tok::less)) return names;
  do names.push_back(expect_name("the name of a type parameter"));
  while (accept(Tok::comma));
  expect(Tok::greater, "'>'");
  return names;
}

TypeExpr Parser::parse_type() {
  Deeper deeper(*this);
  TypeExpr type;
  Token first = peek();
  bool allowed = first.kind == Tok::name || first.kind == Tok::kw_tensor || first.kind == Tok::kw_fn ||
                 first.kind == Tok::kw_none || first.kind == Tok::kw_void;
  if (!allowed) fail_here("a type");
  type.name = take().text;
  if (first.kind == Tok::kw_fn && accept(Tok::lparen)) {
    while (!sees(Tok::rparen)) {
      type.arguments.push_back(parse_type());
      if (!accept(Tok::comma)) break;
    }
    expect(Tok::rparen, "')'");
    if (accept(Tok::thin_arrow)) parse_type();
  } else if (accept(Tok::less)) {
    do type.arguments.push_back(parse_type());
    while (accept(Tok::comma));
    expect(Tok::greater, "'>'");
  }
  if (sees(Tok::lbracket) && !ends_line()) parse_dimensions(type);
  type.place = since(first);
  return type;
}

void Parser::parse_dimensions(TypeExpr& type) {
  take();
  Inside inside(*this, false);
  type.dimensions.emplace();
  while (!sees(Tok::rbracket)) {
    const Token& t = peek();
    if (t.kind != Tok::integer && t.kind != Tok::name && t.kind != Tok::query)
      fail_here("a dimension: a number, a name or '?'");
    Dimension& dimension = type.dimensions->emplace_back();
    if (t.kind == Tok::integer) dimension.length = t.integer;
    if (t.kind == Tok::name) dimension.variable = {std::string(t.text), t.place};
    take();
    if (!accept(Tok::comma)) break;
  }
  expect(Tok::rbracket, "']' or ','");
}

StmtPtr Parser::parse_struct() {
  Token first = take();
  auto statement = std::make_unique<StructStmt>(first.place);
  statement->variable.place = peek().place;
  statement->variable.name = expect_name("a name after 'struct'");
  statement->generics = parse_generics();
  Token open = expect(Tok::lbrace, "'{' and the fields");
  Inside inside(*this, true);
  while (!sees(Tok::rbrace)) {
    if (sees(Tok::end)) fail(open.place, "this '{' is not closed: '}' is missing");
    Parameter field = parse_parameter();
    for (const Parameter& other : statement->fields)
      if (other.name == field.name)
        errors_.error(field.place, text("two fields are called '{}'", field.name));
    statement->fields.push_back(std::move(field));
    if (!accept(Tok::comma) && !accept(Tok::semicolon) && !peek().line_before && !sees(Tok::rbrace))
      fail_here("',' or the end of the line");
  }
  take();
  statement->place = since(first);
  return statement;
}

StmtPtr Parser::parse_impl() {
  Token first = take();
  auto statement = std::make_unique<ImplStmt>(first.place);
  parse_generics();
  statement->type.place = peek().place;
  statement->type.name = expect_name("the name of a struct after 'impl'");
  parse_generics();
  Token open = expect(Tok::lbrace, "'{' and methods");
  Inside inside(*this, true);
  while (!accept(Tok::rbrace)) {
    if (sees(Tok::end)) fail(open.place, "this '{' is not closed: '}' is missing");
    if (accept(Tok::semicolon)) continue;
    Token fn = expect(Tok::kw_fn, "'fn' and a method");
    statement->methods.push_back(parse_function_rest(fn, true));
  }
  statement->place = since(first);
  return statement;
}

}  // namespace tl::lang
