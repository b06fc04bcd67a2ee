// SPDX-License-Identifier: Apache-2.0
// Functions, blocks, statements of MIL text.
#include "format/coreml/mil_text.h"

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/mil_scan.h"
#include "format/coreml/mil_text_value.h"

namespace tl::coreml {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : scan_(source) {}

  MilProgram program() {
    if (!scan_.at_name("program")) scan_.fail("'program'");
    scan_.take();
    std::string version;
    for (scan_.expect('('); !scan_.at(')');) version = take_any();
    scan_.expect(')');
    if (version.substr(0, 2) != "1.")
      throw Error(Code::unsupported,
                  text("line 1: program({}) is not known; 1.0 and 1.3 are", printable(version)));
    if (scan_.at('[')) scan_.skip_group();  // buildInfo
    scan_.expect('{');
    while (!scan_.take_if('}')) out_.functions.push_back(function());
    if (scan_.peek().kind != Word::end) scan_.fail("the end of the file");
    return std::move(out_);
  }

 private:
  std::string take_any() {
    if (scan_.peek().kind == Word::end) scan_.fail("')'");
    return std::string(scan_.take().text);
  }

  NamedType parameter() {
    Type type = parse_type(scan_).type;
    return {scan_.expect_name("a name"), std::move(type)};
  }

  std::vector<NamedType> parameters() {
    std::vector<NamedType> out;
    scan_.expect('(');
    while (!scan_.at(')')) {
      out.push_back(parameter());
      if (!scan_.take_if(',')) break;
    }
    scan_.expect(')');
    return out;
  }

  MilFunction function() {
    MilFunction out;
    if (!scan_.at_name("func")) scan_.fail("'func'");
    scan_.take();
    out.name = scan_.expect_name("a name");
    scan_.expect('<');
    out.opset = scan_.expect_name("an opset");
    scan_.expect('>');
    out.inputs = parameters();
    if (scan_.at('[')) scan_.skip_group();  // flexible shapes: the interface says them too
    out.body = block(0);
    scan_.expect(';');
    return out;
  }

  // "{" statements "}" "->" "(" names ")"
  MilBlock block(int depth) {
    if (depth > deepest)
      throw Error(Code::bad_input, text("line {}: blocks are nested deeper than {}", scan_.line(), deepest));
    MilBlock out;
    if (scan_.at('(')) out.inputs = parameters();
    scan_.expect('{');
    while (!scan_.take_if('}')) out.operations.push_back(statement(depth));
    scan_.expect('-');
    scan_.expect('>');
    scan_.expect('(');
    while (!scan_.at(')')) {
      out.outputs.push_back(scan_.expect_name("a name"));
      if (!scan_.take_if(',')) break;
    }
    scan_.expect(')');
    return out;
  }

  Binding binding() {
    if (at_literal(scan_)) return {{}, {parse_literal(scan_, out_.kept)}};
    return {scan_.expect_name("a name or a value"), {}};
  }

  Argument argument() {
    Argument out{scan_.expect_name("the name of an argument"), {}};
    scan_.expect('=');
    if (!scan_.take_if('(')) {
      out.bindings.push_back(binding());
      return out;
    }
    while (!scan_.at(')')) {
      out.bindings.push_back(binding());
      if (!scan_.take_if(',')) break;
    }
    scan_.expect(')');
    return out;
  }

  void attributes(MilOperation& op) {
    scan_.expect('[');
    while (!scan_.at(']')) {
      std::string_view name = scan_.expect_name("the name of an attribute");
      scan_.expect('=');
      op.attributes.push_back({name, parse_literal(scan_, out_.kept)});
      if (!scan_.take_if(',')) break;
    }
    scan_.expect(']');
  }

  void blocks(MilOperation& op, int depth) {
    while (scan_.at('{') || scan_.at('(')) {
      op.blocks.push_back(block(depth + 1));
      scan_.take_if(',');
      if (scan_.at(';') && (scan_.after_next() == '{' || scan_.after_next() == '(')) scan_.take();
    }
  }

  MilOperation statement(int depth) {
    MilOperation out;
    if (scan_.after_next() != '(') {  // it gives something
      do out.outputs.push_back(parameter());
      while (scan_.take_if(','));
      scan_.expect('=');
    }
    out.type = scan_.expect_name("an operation");
    scan_.expect('(');
    while (!scan_.at(')')) {
      out.inputs.push_back(argument());
      if (!scan_.take_if(',')) break;
    }
    scan_.expect(')');
    if (scan_.at('[')) attributes(out);
    blocks(out, depth);
    if (scan_.at('[')) attributes(out);
    scan_.expect(';');
    return out;
  }

  Scanner scan_;
  MilProgram out_ = {};
};

}  // namespace

MilProgram parse_mil(std::string_view source) { return Parser(source).program(); }

}  // namespace tl::coreml
