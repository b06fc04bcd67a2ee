// SPDX-License-Identifier: Apache-2.0
// The parser's state and its rules, shared by parse.cpp (statements), parse_expr.cpp and parse_pattern.cpp.
#pragma once
#include <algorithm>
#include <tuple>

#include "lang/diagnostic.h"
#include "lang/scan.h"
#include "lang/stmt.h"

namespace tl::lang {

struct SyntaxFailure {};  // the statement cannot be read on; it has been reported

class Parser {
 public:
  Parser(const Source& source, std::vector<Token> tokens, Diagnostics& errors)
      : source_(source), tokens_(std::move(tokens)), errors_(errors) {}

  Block parse_file();
  ExprPtr parse_embedded();  // the one expression of a field of an f-string

 private:
  // ---- tokens
  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& last() const { return tokens_[at_ ? at_ - 1 : 0]; }
  const Token& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_.back(); }
  bool sees(Tok kind) const { return peek().kind == kind; }
  bool accept(Tok kind) { return sees(kind) ? (take(), true) : false; }
  bool accept_inside_line(Tok kind) { return !ends_line() && accept(kind); }
  const Token& expect(Tok kind, std::string_view what);
  std::string expect_name(std::string_view what);
  bool ends_line() const { return peek().line_before && lines_end_; }
  bool is_word(const Token& t) const { return t.kind == Tok::name || is_keyword(t.kind); }
  [[noreturn]] void fail(Place place, std::string message);
  [[noreturn]] void fail_here(std::string_view expected);
  [[noreturn]] void not_yet(Place place, std::string_view what);
  Place since(const Token& first) const { return span(first.place, last().place); }
  Place since(Place first) const { return span(first, last().place); }

  // ---- statements (parse.cpp)
  StmtPtr parse_statement();
  StmtPtr parse_keyword_statement();
  StmtPtr parse_let();
  StmtPtr parse_tensor();
  StmtPtr parse_for();
  StmtPtr parse_while();
  StmtPtr parse_jump();
  StmtPtr parse_function();
  StmtPtr parse_struct();
  StmtPtr parse_impl();
  StmtPtr parse_import();
  StmtPtr parse_role(BlockRole role);
  StmtPtr parse_simple();
  StmtPtr parse_assignment(ExprPtr target, bool fresh);
  void parse_statements(Block& into, bool top);
  void parse_one(Block& into);
  Block parse_block(std::string_view of);
  void end_statement();
  void recover(std::size_t begin);
  FunctionDecl parse_function_rest(const Token& fn, bool method);
  std::vector<Parameter> parse_parameters(Tok close, bool method);
  Parameter parse_parameter();
  std::vector<std::string> parse_generics();
  TypeExpr parse_type();
  void parse_dimensions(TypeExpr& type);

  // ---- expressions (parse_expr.cpp)
  ExprPtr parse_expr(int power = 0);
  ExprPtr parse_binary(ExprPtr left, int power);
  ExprPtr parse_prefix();
  ExprPtr parse_primary();
  ExprPtr parse_postfix(ExprPtr left);
  ExprPtr parse_product(ExprPtr left);
  ExprPtr parse_call(ExprPtr callee);
  ExprPtr parse_index(ExprPtr object);
  ExprPtr parse_member(ExprPtr object);
  ExprPtr parse_parenthesis();
  ExprPtr parse_brackets();
  ExprPtr parse_map();
  ExprPtr parse_if();
  ExprPtr parse_closure();
  ExprPtr parse_name();
  ExprPtr parse_record(ExprPtr name);
  ExprPtr parse_format();
  ExprPtr parse_tensor_of();
  Subscript parse_subscript();
  std::vector<Argument> parse_arguments();
  ExprPtr parse_head();  // of if, while, for, match: no struct literal
  bool begins_factor() const;
  bool begins_map() const;  // after |…| or =>
  void check_space_bracket() const;

  // ---- match (parse_pattern.cpp)
  ExprPtr parse_match();
  MatchExpr::Arm parse_arm();
  Pattern parse_pattern();
  Pattern parse_single_pattern();
  Pattern parse_record_pattern(const Token& name);
  Pattern parse_literal_pattern();
  Value parse_literal_value();

  // Nesting is limited so that no input can exhaust the stack of the parser or of those who walk the tree.
  struct Deeper {
    explicit Deeper(Parser& p);
    ~Deeper() { --parser.depth_; }
    Deeper(const Deeper&) = delete;
    Parser& parser;
  };
  // What the innermost bracket says about line ends and braces, restored when it closes.
  struct Inside {
    Inside(Parser& p, bool lines_end, bool no_struct = false) : parser(p), was(p.lines_end_, p.no_struct_) {
      p.lines_end_ = lines_end, p.no_struct_ = no_struct;
    }
    ~Inside() { std::tie(parser.lines_end_, parser.no_struct_) = was; }
    Inside(const Inside&) = delete;
    Parser& parser;
    std::pair<bool, bool> was;
  };

  const Source& source_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Diagnostics& errors_;
  bool lines_end_ = true, no_struct_ = false, arrow_ends_ = false, in_index_ = false, in_arm_ = false;
  bool floors_ = false;  // inside an index, parentheses included: '/' rounds down
  int depth_ = 0;
};

}  // namespace tl::lang
