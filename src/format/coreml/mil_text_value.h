// SPDX-License-Identifier: Apache-2.0
// Types and literals of MIL text.
#pragma once
#include "format/coreml/mil_ast.h"
#include "format/coreml/mil_scan.h"

namespace tl::coreml {

struct TextType {
  Type type = {};
  bool tuple = false;
  std::vector<TextType> parts = {};  // of a tuple; of a list: its element
};

bool at_literal(const Scanner&);  // a number, string, truth, or a type with its value
bool at_type(const Scanner&);

TextType parse_type(Scanner&, int depth = 0);
MilValue parse_literal(Scanner&, std::deque<std::string>& kept, int depth = 0);

}  // namespace tl::coreml
