// SPDX-License-Identifier: Apache-2.0
// Expressions: precedence is a table, read by the Pratt loop of parse_expr().
#include "base/text.h"
#include "lang/parser.h"

namespace tl::lang {

namespace {

struct Rule {
  Tok token;
  int power;  // the higher, the tighter
  ExprKind kind = ExprKind::binary;
  bool to_the_right = false;
};

constexpr int not_power = 3, compare_power = 4, product_power = 7, unary_power = 8, cast_power = 10;

constexpr Rule rules[] = {
    {Tok::oror, 1, ExprKind::logic},
    {Tok::kw_or, 1, ExprKind::logic},
    {Tok::andand, 2, ExprKind::logic},
    {Tok::kw_and, 2, ExprKind::logic},
    {Tok::equal, compare_power},
    {Tok::unequal, compare_power},
    {Tok::less, compare_power},
    {Tok::less_equal, compare_power},
    {Tok::greater, compare_power},
    {Tok::greater_equal, compare_power},
    {Tok::close_to, compare_power},
    {Tok::range, 5, ExprKind::range},
    {Tok::range_closed, 5, ExprKind::range},
    {Tok::plus, 6},
    {Tok::minus, 6},
    {Tok::star, product_power},
    {Tok::slash, product_power},
    {Tok::percent, product_power},
    {Tok::at, product_power},
    {Tok::odot, product_power},
    {Tok::power, 9, ExprKind::binary, true},
    {Tok::caret, 9, ExprKind::binary, true},
    {Tok::outer, 9, ExprKind::binary, true},
    {Tok::kw_as, cast_power, ExprKind::cast},
};

const Rule* rule_of(Tok token) {
  for (const Rule& rule : rules)
    if (rule.token == token) return &rule;
  return nullptr;
}

}  // namespace

ExprPtr Parser::parse_expr(int power) {
  Deeper deeper(*this);
  return parse_binary(parse_prefix(), power);
}

// Takes operators as tight as `power` or tighter. A long chain makes a deep tree, so its length is limited
// too.
ExprPtr Parser::parse_binary(ExprPtr left, int power) {
  constexpr int longest = 1000;
  for (int length = 0; !ends_line(); ++length) {
    if (length > longest)
      fail(peek().place, text("more than {} operators in a row: use several statements", longest));
    Token sign = peek();
    const Rule* rule = rule_of(sign.kind);
    if (!rule) {
      if (power > product_power || !begins_factor()) break;
      left = parse_product(std::move(left));
      continue;
    }
    bool arrow = arrow_ends_ && sign.kind == Tok::less && peek(1).kind == Tok::minus && !peek(1).space_before;
    if (rule->power < power || arrow) break;
    take();
    if (rule->kind == ExprKind::cast) {
      TypeExpr type = parse_type();
      Place place = since(left->place);
      left = std::make_unique<CastExpr>(place, std::move(left), std::move(type));
      continue;
    }
    if (sign.kind == Tok::slash && floors_) sign.kind = Tok::floor_slash;
    ExprPtr right = parse_expr(rule->to_the_right ? rule->power : rule->power + 1);
    Place place = span(left->place, right->place);
    left = std::make_unique<BinaryExpr>(rule->kind, place, sign.kind, std::move(left), std::move(right));
    const Rule* next = ends_line() ? nullptr : rule_of(peek().kind);
    if (rule->power == compare_power && next && next->power == compare_power)
      fail(peek().place, "comparisons do not chain: write 'a < b and b < c'");
  }
  return left;
}

bool Parser::begins_factor() const {
  if (sees(Tok::name)) return true;
  return sees(Tok::lparen) && peek().space_before;
}

// Two factors side by side: W[i, j] X[j].
ExprPtr Parser::parse_product(ExprPtr left) {
  ExprPtr right = parse_expr(product_power + 1);
  Place place = span(left->place, right->place);
  auto product =
      std::make_unique<BinaryExpr>(ExprKind::binary, place, Tok::star, std::move(left), std::move(right));
  product->side_by_side = true;
  return product;
}

void Parser::check_space_bracket() const {
  auto& errors = const_cast<Parser&>(*this);
  if (sees(Tok::lbracket) && peek().space_before)
    errors.fail(peek().place, "an index follows its tensor without a space: write x[i]");
  if (sees(Tok::integer) || sees(Tok::number))
    errors.fail(peek().place,
                text("a number can only be the first factor: write '{0} x' or 'x * {0}'", peek().text));
}

ExprPtr Parser::parse_prefix() {
  Token sign = peek();
  bool minus = sign.kind == Tok::minus || sign.kind == Tok::plus;
  if (!minus && sign.kind != Tok::bang && sign.kind != Tok::kw_not) return parse_postfix(parse_primary());
  take();
  ExprPtr operand = parse_expr(minus ? unary_power + 1 : not_power);
  Place place = span(sign.place, operand->place);
  if (sign.kind == Tok::plus) return operand;
  return std::make_unique<UnaryExpr>(place, minus ? Tok::minus : Tok::kw_not, std::move(operand));
}

ExprPtr Parser::parse_primary() {
  const Token& t = peek();
  switch (t.kind) {
    case Tok::integer: return std::make_unique<LiteralExpr>(t.place, Value(take().integer));
    case Tok::number: return std::make_unique<LiteralExpr>(t.place, Value(take().number));
    case Tok::string: return std::make_unique<LiteralExpr>(t.place, Value(take().string));
    case Tok::fstring: return parse_format();
    case Tok::kw_true:
    case Tok::kw_false: return std::make_unique<LiteralExpr>(t.place, Value(take().kind == Tok::kw_true));
    case Tok::kw_none: return std::make_unique<LiteralExpr>(take().place, Value());
    case Tok::name: return parse_name();
    case Tok::lparen: return parse_parenthesis();
    case Tok::lbracket: return parse_brackets();
    case Tok::lbrace: return parse_map();
    case Tok::kw_if: return parse_if();
    case Tok::kw_match: return parse_match();
    case Tok::bar:
    case Tok::oror: return parse_closure();
    case Tok::kw_tensor: return parse_tensor_of();
    case Tok::dollar: not_yet(t.place, "rules ('$')");
    case Tok::kw_infer: not_yet(t.place, "queries with 'infer'");
    case Tok::max_assign:
    case Tok::min_assign: fail(t.place, text("'{}' is one sign here: put a space before '='", t.text));
    default: break;
  }
  if (is_keyword(t.kind)) fail(t.place, text("expected an expression, found the reserved word '{}'", t.text));
  fail_here("an expression");
}

ExprPtr Parser::parse_name() {
  const Token& t = take();
  ExprPtr name = std::make_unique<NameExpr>(t.place, std::string(t.text));
  if (sees(Tok::lbrace) && !no_struct_ && !ends_line()) return parse_record(std::move(name));
  return name;
}

ExprPtr Parser::parse_postfix(ExprPtr left) {
  constexpr int longest = 1000;
  for (int length = 0;; ++length) {
    if (length > longest) fail(peek().place, "too many calls and members in a row");
    const Token& t = peek();
    bool next_line = ends_line();
    if (t.kind == Tok::dot && in_index_ && (peek(1).kind == Tok::comma || peek(1).kind == Tok::rbracket))
      return left;
    if (t.kind == Tok::colons && in_index_) return left;  // x[a::2]
    if (t.kind == Tok::dot || t.kind == Tok::colons) left = parse_member(std::move(left));
    else if (t.kind == Tok::lparen && !t.space_before && !next_line) left = parse_call(std::move(left));
    else if (t.kind == Tok::lbracket && !t.space_before && !next_line) left = parse_index(std::move(left));
    else return left;
  }
}

ExprPtr Parser::parse_call(ExprPtr callee) {
  auto call = std::make_unique<CallExpr>(callee->place);
  call->callee = std::move(callee);
  call->arguments = parse_arguments();
  call->place = since(call->place);
  return call;
}

std::vector<Argument> Parser::parse_arguments() {
  Token open = expect(Tok::lparen, "'('");
  Deeper deeper(*this);
  Inside inside(*this, false);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  bool floors = std::exchange(floors_, false);
  std::vector<Argument> arguments;
  while (!sees(Tok::rparen)) {
    Argument argument;
    argument.place = peek().place;
    bool named = is_word(peek()) && peek(1).kind == Tok::colon;
    if (named) argument.name = take().text, take();
    argument.value = parse_expr();
    if (!named && !arguments.empty() && !arguments.back().name.empty())
      errors_.error(argument.value->place, "arguments without a name come before those with one");
    for (const Argument& other : arguments)
      if (named && other.name == argument.name)
        errors_.error(argument.place, text("argument '{}' is given twice", argument.name));
    arguments.push_back(std::move(argument));
    if (!accept(Tok::comma)) break;
  }
  in_index_ = index, arrow_ends_ = arrow, floors_ = floors;
  if (sees(Tok::end)) fail(open.place, "this '(' is not closed: ')' is missing");
  check_space_bracket();
  if (sees(Tok::assign)) fail(peek().place, "named arguments are written 'name: value'");
  expect(Tok::rparen, "')' or ','");
  return arguments;
}

ExprPtr Parser::parse_index(ExprPtr object) {
  auto index = std::make_unique<IndexExpr>(object->place);
  index->object = std::move(object);
  Token open = take();
  Deeper deeper(*this);
  Inside inside(*this, false);
  bool was = std::exchange(in_index_, true), arrow = std::exchange(arrow_ends_, false);
  bool floors = std::exchange(floors_, true);
  while (!sees(Tok::rbracket)) {
    index->subscripts.push_back(parse_subscript());
    if (!accept(Tok::comma)) break;
  }
  in_index_ = was, arrow_ends_ = arrow, floors_ = floors;
  if (sees(Tok::end)) fail(open.place, "this '[' is not closed: ']' is missing");
  if (index->subscripts.empty()) fail(peek().place, "expected an index between the brackets");
  expect(Tok::rbracket, "']' or ','");
  index->place = since(index->place);
  return index;
}

Subscript Parser::parse_subscript() {
  Subscript subscript;
  Token first = peek();
  if (accept(Tok::star)) subscript.virtual_ = true;
  if (!sees(Tok::colon) && !sees(Tok::colons)) subscript.value = parse_expr();
  if (accept(Tok::dot)) subscript.dotted = true;
  auto ends = [&] { return sees(Tok::colon) || sees(Tok::comma) || sees(Tok::rbracket); };
  if (accept(Tok::colons)) {
    subscript.slice = true;
    if (!ends()) subscript.step = parse_expr();
  } else if (accept(Tok::colon)) {
    subscript.slice = true;
    if (!ends()) subscript.stop = parse_expr();
    if (accept(Tok::colon) && !ends()) subscript.step = parse_expr();
  }
  subscript.place = since(first);
  return subscript;
}

ExprPtr Parser::parse_member(ExprPtr object) {
  take();
  const Token& word = peek();
  if (!is_word(word)) fail_here("a name after '.'");
  take();
  Place place = since(object->place);
  if (!sees(Tok::lparen) || peek().space_before || ends_line())
    return std::make_unique<MemberExpr>(place, std::move(object), std::string(word.text), word.place);
  auto method = std::make_unique<MethodExpr>(place);
  method->object = std::move(object);
  method->name = word.text;
  method->name_place = word.place;
  method->arguments = parse_arguments();
  method->place = since(place);
  return method;
}

// (a) is a; (a, b) is a list.
ExprPtr Parser::parse_parenthesis() {
  Token open = take();
  Inside inside(*this, false);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  if (sees(Tok::rparen)) fail(since(open), "expected an expression between the parentheses");
  std::vector<ExprPtr> items;
  items.push_back(parse_expr());
  bool list = sees(Tok::comma);
  while (accept(Tok::comma) && !sees(Tok::rparen)) items.push_back(parse_expr());
  in_index_ = index, arrow_ends_ = arrow;
  if (sees(Tok::end)) fail(open.place, "this '(' is not closed: ')' is missing");
  check_space_bracket();
  expect(Tok::rparen, "')'");
  if (!list) {
    items[0]->place = since(open);
    return std::move(items[0]);
  }
  auto result = std::make_unique<ListExpr>(since(open));
  result->items = std::move(items);
  return result;
}

namespace {

// Appends a numeric literal, signed or nested; false if the item is anything else.
bool append_literal(TensorExpr& to, const Expr& item) {
  if (item.kind == ExprKind::unary) {
    const auto& unary = static_cast<const UnaryExpr&>(item);
    if (unary.op != Tok::minus || unary.operand->kind != ExprKind::literal ||
        !append_literal(to, *unary.operand))
      return false;
    to.numbers.back() = -to.numbers.back();
    to.integers.back() = -to.integers.back();
    return true;
  }
  if (item.kind == ExprKind::tensor) {
    const auto& nested = static_cast<const TensorExpr&>(item);
    to.numbers.insert(to.numbers.end(), nested.numbers.begin(), nested.numbers.end());
    to.integers.insert(to.integers.end(), nested.integers.begin(), nested.integers.end());
    to.fractional |= nested.fractional;
    return true;
  }
  if (item.kind != ExprKind::literal || !static_cast<const LiteralExpr&>(item).value.is_plain_number())
    return false;
  const Value& value = static_cast<const LiteralExpr&>(item).value;
  to.numbers.push_back(value.number());
  to.integers.push_back(value.is(Kind::integer) ? value.integer() : 0);
  to.fractional |= value.is(Kind::number);
  return true;
}

const Shape& shape_of(const Expr& item) {
  static const Shape scalar;
  return item.kind == ExprKind::tensor ? static_cast<const TensorExpr&>(item).shape : scalar;
}

}  // namespace

// A tensor if all elements are numeric literals, else a list.
ExprPtr Parser::parse_brackets() {
  Token open = take();
  Inside inside(*this, false);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  auto list = std::make_unique<ListExpr>(open.place);
  while (!sees(Tok::rbracket)) {
    list->items.push_back(parse_expr());
    if (!accept(Tok::comma)) break;
  }
  in_index_ = index, arrow_ends_ = arrow;
  if (sees(Tok::end)) fail(open.place, "this '[' is not closed: ']' is missing");
  check_space_bracket();
  expect(Tok::rbracket, "']' or ','");
  list->place = since(open);
  auto tensor = std::make_unique<TensorExpr>(list->place);
  for (const ExprPtr& item : list->items)
    if (!append_literal(*tensor, *item)) return list;
  if (list->items.empty()) return list;
  for (const ExprPtr& item : list->items)
    if (shape_of(*item) != shape_of(*list->items[0]))
      errors_.error(item->place, text("ragged rows: this one has shape {}, the first {}",
                                      spell(shape_of(*item)), spell(shape_of(*list->items[0]))));
  tensor->shape = shape_of(*list->items[0]);
  tensor->shape.insert(tensor->shape.begin(), static_cast<Dim>(list->items.size()));
  return tensor;
}

ExprPtr Parser::parse_map() {
  Token open = take();
  Deeper deeper(*this);
  Inside inside(*this, false);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  auto map = std::make_unique<MapExpr>(open.place);
  while (!sees(Tok::rbrace)) {
    ExprPtr key;
    bool bare = is_word(peek()) && peek(1).kind == Tok::colon;
    if (bare) key = std::make_unique<LiteralExpr>(peek().place, Value(take().text));
    else key = parse_expr();
    if (!sees(Tok::colon) && map->entries.empty())
      fail(open.place, "a '{' here begins a map, and its entries are 'key: value'");
    expect(Tok::colon, "':' and a value");
    map->entries.emplace_back(std::move(key), parse_expr());
    if (!accept(Tok::comma)) break;
  }
  in_index_ = index, arrow_ends_ = arrow;
  if (sees(Tok::end)) fail(open.place, "this '{' is not closed: '}' is missing");
  expect(Tok::rbrace, "'}' or ','");
  map->place = since(open);
  return map;
}

ExprPtr Parser::parse_record(ExprPtr name) {
  auto record = std::make_unique<RecordExpr>(name->place);
  record->type.reset(static_cast<NameExpr*>(name.release()));
  Token open = take();
  Deeper deeper(*this);
  Inside inside(*this, false);
  bool index = std::exchange(in_index_, false), arrow = std::exchange(arrow_ends_, false);
  while (!sees(Tok::rbrace)) {
    Argument field;
    field.place = peek().place;
    field.name = expect_name("the name of a field");
    if (accept(Tok::colon)) field.value = parse_expr();
    else field.value = std::make_unique<NameExpr>(field.place, field.name);
    record->fields.push_back(std::move(field));
    if (!accept(Tok::comma)) break;
  }
  in_index_ = index, arrow_ends_ = arrow;
  if (sees(Tok::end)) fail(open.place, "this '{' is not closed: '}' is missing");
  expect(Tok::rbrace, "'}' or ','");
  record->place = since(record->place);
  return record;
}

ExprPtr Parser::parse_head() {
  Inside inside(*this, lines_end_, true);
  bool arrow = std::exchange(arrow_ends_, false);
  ExprPtr head = parse_expr();
  arrow_ends_ = arrow;
  return head;
}

ExprPtr Parser::parse_if() {
  Token first = peek();
  auto result = std::make_unique<IfExpr>(first.place);
  bool more = true;
  while (more) {
    take();  // 'if', also after 'else'
    ExprPtr condition = parse_head();
    if (sees(Tok::assign)) fail(peek().place, "to compare, write '=='");
    Block body = parse_block("the branch of 'if'");
    result->branches.push_back({std::move(condition), std::move(body)});
    more = false;
    if (!accept(Tok::kw_else)) break;
    if (sees(Tok::kw_if)) more = true;
    else result->branches.push_back({nullptr, parse_block("the branch of 'else'")});
  }
  result->place = since(first);
  return result;
}

bool Parser::begins_map() const {
  if (!sees(Tok::lbrace)) return false;
  bool key = is_word(peek(1)) || peek(1).kind == Tok::string;
  return key && peek(2).kind == Tok::colon;
}

ExprPtr Parser::parse_closure() {
  Token first = take();
  auto closure = std::make_unique<ClosureExpr>(first.place);
  FunctionDecl& function = closure->function;
  function.is_closure = true;
  function.place = first.place;
  if (first.kind == Tok::bar) function.parameters = parse_parameters(Tok::bar, false);
  if (accept(Tok::thin_arrow)) function.result = parse_type();
  if (sees(Tok::lbrace) && !begins_map()) {
    function.body = parse_block("the closure");
  } else {
    ExprPtr body = parse_expr();
    function.body.place = body->place;
    function.body.statements.push_back(std::make_unique<ExprStmt>(body->place, std::move(body)));
  }
  closure->place = since(first);
  return closure;
}

ExprPtr Parser::parse_format() {
  Token token = take();
  auto format = std::make_unique<FormatExpr>(token.place);
  for (FormatPart& part : split_format(token, errors_)) {
    FormatExpr::Part made;
    made.literal = std::move(part.literal);
    made.format = std::move(part.format);
    if (part.begin < part.end) {
      Parser inner(source_, scan(source_, part.begin, part.end, errors_), errors_);
      inner.depth_ = depth_ + 1;
      made.value = inner.parse_embedded();
      if (!made.value) throw SyntaxFailure{};
    } else if (part.end > 0) {
      fail({&source_, part.begin - 1, part.begin + 1}, "expected an expression between the braces");
    }
    format->parts.push_back(std::move(made));
  }
  return format;
}

ExprPtr Parser::parse_embedded() {
  Inside inside(*this, false);
  try {
    ExprPtr value = parse_expr();
    if (!sees(Tok::end)) fail_here("'}'");
    return value;
  } catch (const SyntaxFailure&) { return nullptr; }
}

// tensor<float32>(…); tensor(…) takes the default element type.
ExprPtr Parser::parse_tensor_of() {
  Token first = peek();
  TypeExpr type = parse_type();
  if (!sees(Tok::lparen) || type.dimensions) fail_here("'(' and the elements, as in tensor<float32>([1, 2])");
  return std::make_unique<TypeNameExpr>(since(first), std::move(type));
}

}  // namespace tl::lang
