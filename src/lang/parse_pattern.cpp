// SPDX-License-Identifier: Apache-2.0
// match and its patterns.
#include "base/text.h"
#include "lang/parser.h"

namespace tl::lang {

ExprPtr Parser::parse_match() {
  Token first = take();
  auto match = std::make_unique<MatchExpr>(first.place);
  match->subject = parse_head();
  Token open = expect(Tok::lbrace, "'{' to begin the arms of 'match'");
  Deeper deeper(*this);
  Inside inside(*this, true);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  while (!sees(Tok::rbrace)) {
    if (sees(Tok::end)) fail(open.place, "this '{' is not closed: '}' is missing");
    if (accept(Tok::comma) || accept(Tok::semicolon)) continue;
    match->arms.push_back(parse_arm());
  }
  take();
  in_index_ = index, arrow_ends_ = arrow;
  match->place = since(first);
  return match;
}

MatchExpr::Arm Parser::parse_arm() {
  MatchExpr::Arm arm;
  arm.pattern = parse_pattern();
  if (accept(Tok::kw_if)) arm.guard = parse_expr();
  expect(Tok::fat_arrow, "'=>'");
  bool was = std::exchange(in_arm_, true);
  if (sees(Tok::lbrace) && !begins_map()) {
    arm.body = parse_block("the arm");
  } else {
    arm.body.place = peek().place;
    arm.body.statements.push_back(parse_statement());
    end_statement();
  }
  in_arm_ = was;
  return arm;
}

Pattern Parser::parse_pattern() {
  Deeper deeper(*this);
  Token first = peek();
  Pattern one = parse_single_pattern();
  if (!sees(Tok::bar)) return one;
  Pattern either;
  either.kind = PatternKind::either;
  either.parts.push_back(std::move(one));
  while (accept(Tok::bar)) either.parts.push_back(parse_single_pattern());
  either.place = since(first);
  for (const Pattern& part : either.parts)
    if (part.kind != PatternKind::literal && part.kind != PatternKind::range && part.kind != PatternKind::any)
      errors_.error(part.place, "alternatives with '|' are literals or ranges");
  return either;
}

Pattern Parser::parse_single_pattern() {
  Token first = peek();
  Pattern pattern;
  pattern.place = first.place;
  if (first.kind == Tok::name) {
    take();
    if (first.text == "_") return pattern;
    if (sees(Tok::lbrace)) return parse_record_pattern(first);
    pattern.kind = PatternKind::name;
    pattern.variable = {std::string(first.text), first.place};
    return pattern;
  }
  if (first.kind != Tok::lbracket && first.kind != Tok::lparen) return parse_literal_pattern();
  take();
  Inside inside(*this, false);
  Tok close = first.kind == Tok::lbracket ? Tok::rbracket : Tok::rparen;
  pattern.kind = PatternKind::list;
  while (!sees(close)) {
    pattern.parts.push_back(parse_pattern());
    if (!accept(Tok::comma)) break;
  }
  expect(close, close == Tok::rbracket ? "']' or ','" : "')' or ','");
  pattern.place = since(first);
  return pattern;
}

Pattern Parser::parse_record_pattern(const Token& name) {
  Pattern pattern;
  pattern.kind = PatternKind::record;
  pattern.type = name.text;
  pattern.variable = {pattern.type, name.place};
  Place begin = name.place;
  take();
  Inside inside(*this, false);
  while (!sees(Tok::rbrace)) {
    if (accept(Tok::range)) break;  // the fields that are left do not matter
    const Token& word = peek();
    pattern.fields.push_back(expect_name("the name of a field"));
    if (accept(Tok::colon)) {
      pattern.parts.push_back(parse_pattern());
    } else {
      Pattern field;
      field.kind = PatternKind::name;
      field.place = word.place;
      field.variable = {pattern.fields.back(), word.place};
      pattern.parts.push_back(std::move(field));
    }
    if (!accept(Tok::comma)) break;
  }
  expect(Tok::rbrace, "'}' or ','");
  pattern.place = since(begin);
  return pattern;
}

Pattern Parser::parse_literal_pattern() {
  Token first = peek();
  Pattern pattern;
  pattern.kind = PatternKind::literal;
  pattern.literal = parse_literal_value();
  if (sees(Tok::range) || sees(Tok::range_closed)) {
    pattern.kind = PatternKind::range;
    pattern.closed = take().kind == Tok::range_closed;
    pattern.last = parse_literal_value();
    if (!pattern.literal.is_plain_number() || !pattern.last.is_plain_number())
      fail(since(first), "the ends of a range are numbers");
  }
  pattern.place = since(first);
  return pattern;
}

Value Parser::parse_literal_value() {
  bool negative = accept(Tok::minus);
  const Token& t = peek();
  if (t.kind == Tok::integer) return take(), Value(negative ? -t.integer : t.integer);
  if (t.kind == Tok::number) return take(), Value(negative ? -t.number : t.number);
  if (negative) fail_here("a number");
  if (t.kind == Tok::string) return take(), Value(t.string);
  if (t.kind == Tok::kw_true || t.kind == Tok::kw_false) return take(), Value(t.kind == Tok::kw_true);
  if (accept(Tok::kw_none)) return Value();
  fail_here("a pattern: a literal, a name, '_', a list or a struct");
}

}  // namespace tl::lang
