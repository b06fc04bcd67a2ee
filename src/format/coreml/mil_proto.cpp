// SPDX-License-Identifier: Apache-2.0
// MILSpec.Program, Function, Block, Operation: from messages to the form that program.cpp takes.
#include "format/coreml/mil_proto.h"

#include "format/coreml/mil_value.h"
#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

NamedType read_named_type(std::string_view message) {
  NamedType out;
  std::string_view type;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.name = view(field); break;
      case bytes(2): type = view(field); break;
      default: field.skip();
    }
  });
  with_note([&] { return text("'{}'", printable(out.name)); }, [&] { out.type = read_type(type); });
  return out;
}

Binding read_binding(std::string_view message) {
  Binding out;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.name = view(field); break;
      case bytes(2): out.value.assign(1, read_value(view(field))); break;
      default: field.skip();
    }
  });
  return out;
}

Argument read_argument(std::string_view entry) {
  auto parts = map_entry(entry);
  Argument out{parts.first, {}};
  with_note([&] { return text("input '{}'", printable(out.name)); },
            [&] {
              each_field(parts.second, [&](Field& field) {
                if (field.tag_and_type() == bytes(1)) out.bindings.push_back(read_binding(view(field)));
                else field.skip();
              });
            });
  return out;
}

NamedMilValue read_attribute(std::string_view entry) {
  auto parts = map_entry(entry);
  NamedMilValue out{parts.first, {}};
  with_note([&] { return text("attribute '{}'", printable(out.name)); },
            [&] { out.value = read_value(parts.second); });
  return out;
}

MilBlock read_block(std::string_view message, int depth);

void read_operation_fields(std::string_view message, MilOperation& out, int depth) {
  std::vector<std::string_view> inputs, attributes, blocks;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.type = view(field); break;
      case bytes(2): inputs.push_back(view(field)); break;
      case bytes(3): out.outputs.push_back(read_named_type(view(field))); break;
      case bytes(4): blocks.push_back(view(field)); break;
      case bytes(5): attributes.push_back(view(field)); break;
      default: field.skip();
    }
  });
  out.inputs.reserve(inputs.size());
  out.attributes.reserve(attributes.size());
  for (std::string_view entry : inputs) out.inputs.push_back(read_argument(entry));
  for (std::string_view entry : attributes) out.attributes.push_back(read_attribute(entry));
  for (std::string_view block : blocks) out.blocks.push_back(read_block(block, depth + 1));
}

MilOperation read_operation(std::string_view message, int depth) {
  MilOperation out;
  with_note(
      [&] {
        std::string_view name = out.outputs.empty() ? "" : out.outputs.front().name;
        return text("{} '{}'", printable(out.type), printable(name));
      },
      [&] { read_operation_fields(message, out, depth); });
  return out;
}

MilBlock read_block(std::string_view message, int depth) {
  if (depth > deepest) throw Error(Code::bad_input, text("blocks are nested deeper than {}", deepest));
  MilBlock out;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.inputs.push_back(read_named_type(view(field))); break;
      case bytes(2): out.outputs.push_back(view(field)); break;
      case bytes(3): out.operations.push_back(read_operation(view(field), depth)); break;
      default: field.skip();
    }
  });
  return out;
}

// The block of the function's opset, or the only one there is.
std::string_view chosen_block(const std::vector<std::pair<std::string_view, std::string_view>>& blocks,
                              std::string_view opset) {
  for (auto [key, block] : blocks)
    if (key == opset) return block;
  if (blocks.size() == 1) return blocks.front().second;
  throw Error(Code::bad_input, text("has no block for its opset '{}'", printable(opset)));
}

MilFunction read_function(std::string_view name, std::string_view message) {
  MilFunction out;
  out.name = name;
  std::vector<std::pair<std::string_view, std::string_view>> blocks;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.inputs.push_back(read_named_type(view(field))); break;
      case bytes(2): out.opset = view(field); break;
      case bytes(3): blocks.push_back(map_entry(view(field))); break;
      default: field.skip();
    }
  });
  out.body = read_block(chosen_block(blocks, out.opset), 0);
  return out;
}

}  // namespace

MilProgram read_program(std::string_view message) {
  MilProgram out;
  each_field(message, [&](Field& field) {
    if (field.tag_and_type() != bytes(2)) return field.skip();
    auto [name, function] = map_entry(view(field));
    with_note([&, n = name] { return text("function '{}'", printable(n)); },
              [&, n = name, f = function] { out.functions.push_back(read_function(n, f)); });
  });
  return out;
}

}  // namespace tl::coreml
