// SPDX-License-Identifier: Apache-2.0
// A MIL program as it stands in a file: what the protobuf reader and the text reader both give, and what
// program.cpp turns into graphs. Names are views into the file (or into `kept`), so the file must outlive it.
#pragma once
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "ir/tensor.h"

namespace tl::coreml {

inline constexpr int deepest = 64;  // of nested blocks, values and types

struct BlobRef {
  std::string_view file = {};
  std::uint64_t offset = 0;
};

struct MilValue {
  Type type = {};
  // A tensor at hand, one in a weights file, or the parts of a list or tuple; nothing: a kind that is not
  // read.
  std::variant<std::monostate, Tensor, BlobRef, std::vector<MilValue>> content = {};
};

struct Binding {
  std::string_view name = {};        // of a value, or else:
  std::vector<MilValue> value = {};  // one, written in place
};

struct Argument {
  std::string_view name = {};
  std::vector<Binding> bindings = {};
};

struct NamedType {
  std::string_view name = {};
  Type type = {};
};

struct NamedMilValue {
  std::string_view name = {};
  MilValue value = {};
};

struct MilOperation;

struct MilBlock {
  std::vector<NamedType> inputs = {};
  std::vector<MilOperation> operations;  // no `= {}`: its type is not complete here
  std::vector<std::string_view> outputs = {};
};

struct MilOperation {
  std::string_view type = {};
  std::vector<Argument> inputs = {};
  std::vector<NamedType> outputs = {};
  std::vector<MilBlock> blocks = {};
  std::vector<NamedMilValue> attributes = {};
  const MilValue* attribute(std::string_view name) const {
    for (const NamedMilValue& a : attributes)
      if (a.name == name) return &a.value;
    return nullptr;
  }
};

struct MilFunction {
  std::string_view name = {}, opset = {};  // opset as written: "CoreML7", "ios17"
  std::vector<NamedType> inputs = {};
  MilBlock body = {};
};

struct MilProgram {
  std::vector<MilFunction> functions = {};
  std::deque<std::string> kept = {};
};

}  // namespace tl::coreml
