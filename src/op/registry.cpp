// SPDX-License-Identifier: Apache-2.0
// The list of all operations, from the lists of their names.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "op/ops.h"

namespace tl {

std::span<const OpDef* const> all_ops() {
  static constexpr const OpDef* table[] = {
#define OP(name, ...) &ops::name,
#define TL_UNARY OP
#define TL_BINARY OP
#define TL_TERNARY OP
#include "op/elementwise.def"
#include "op/ops.def"
#undef OP
  };
  return table;
}

const OpDef* op_named(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const OpDef*> map;
    for (const OpDef* op : all_ops()) map.emplace(op->name, op);
    return map;
  }();
  auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

const OpDef& find_op(std::string_view name) {
  if (const OpDef* op = op_named(name)) return *op;
  std::vector<std::string_view> names;
  for (const OpDef* op : all_ops()) names.push_back(op->name);
  throw Error(Code::unsupported,
              text("there is no operation '{}'{}", printable(name), did_you_mean(name, names)));
}

}  // namespace tl
