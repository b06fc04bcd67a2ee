// SPDX-License-Identifier: Apache-2.0
// Model: version, description, and one of its many types; a program becomes graphs, the others are
// recognised.
#include "format/coreml/model.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/compiled.h"
#include "format/coreml/mil_proto.h"
#include "format/coreml/model_type.h"
#include "format/coreml/network/network.h"
#include "format/coreml/network/training.h"
#include "format/coreml/network_weight.h"
#include "format/coreml/package.h"
#include "format/coreml/program.h"
#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr int newest_version = 10;
constexpr int deepest_pipeline = 8;

struct Parts {  // of the outermost message
  std::int64_t version = 0;
  std::string_view description = {}, content = {};
  std::uint32_t type = 0;
  bool updatable = false;
};

Parts read_parts(std::string_view message) {
  Parts out;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): out.version = field.get_int32(); break;
      case bytes(2): out.description = view(field); break;
      case varint(10): out.updatable = truth(field); break;
      default:
        if (field.tag() < 200 || field.wire_type() != protozero::pbf_wire_type::length_delimited)
          return field.skip();
        out.type = field.tag();
        out.content = view(field);
    }
  });
  return out;
}

void check_version(std::int64_t version) {
  if (version < 1) throw Error(Code::bad_input, "has no specification version");
  if (version > newest_version)
    throw Error(Code::unsupported,
                text("has specification version {}; the newest that tl knows is {} (iOS 26, macOS 26)",
                     version, newest_version));
}

// ---- neural networks: their layers are counted

using Counts = std::map<std::string, std::int64_t>;

std::string_view layer_name(std::string_view layer) {
  std::string_view name;
  each_field(layer, [&](Field& field) {
    if (field.tag_and_type() == bytes(1)) name = view(field);
    else field.skip();
  });
  return name;
}

// Counts the layers of a network and of those within it, and lists their weights.
void list_layers(std::string_view network, Counts& counts, std::vector<NamedTensor>& weights, int depth) {
  if (depth > deepest) throw Error(Code::bad_input, text("networks are nested deeper than {}", deepest));
  each_field(network, [&](Field& field) {
    if (field.tag_and_type() != bytes(1)) return field.skip();
    std::string_view whole = view(field);
    each_field(whole, [&](Field& layer) {
      if (layer.tag() < 100 || layer.wire_type() != protozero::pbf_wire_type::length_delimited)
        return layer.skip();
      std::uint32_t type = layer.tag();
      ++counts[layer_type(type)];
      std::string_view content = view(layer);
      list_weights(layer_name(whole), type, content, weights);
      if (type != 605 && type != 615) return;
      each_field(content, [&](Field& inner) {  // a branch has networks in fields 1 and 2, a loop in 3 and 4
        bool nested = type == 605 ? inner.tag() <= 2 : inner.tag() == 3 || inner.tag() == 4;
        if (nested && inner.wire_type() == protozero::pbf_wire_type::length_delimited)
          list_layers(view(inner), counts, weights, depth + 1);
        else inner.skip();
      });
    });
  });
}

bool is_network(std::uint32_t type) { return type == 303 || type == 403 || type == 500; }
bool is_pipeline(std::uint32_t type) { return type >= 200 && type <= 202; }
bool is_composed(std::uint32_t type) { return is_pipeline(type) || type == 556; }

// ---- pipelines

struct Source {               // what a message may refer to
  const std::string& folder;  // of `@model_path`
  const StoragePtr& file;     // that it is a view of
};

ModelFile read_nested(std::string_view message, const Source& source, int depth);
ModelFile read_any(const std::string& path, int depth = 0);

void read_pipeline(std::string_view message, ModelFile& file, const Source& source, int depth) {
  if (depth >= deepest_pipeline)
    throw Error(Code::bad_input, text("pipelines are nested deeper than {}", deepest_pipeline));
  std::vector<std::string> names;
  std::vector<std::string_view> models;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): models.push_back(view(field)); break;
      case bytes(2): names.emplace_back(view(field)); break;
      default: field.skip();
    }
  });
  for (std::size_t i = 0; i < models.size(); ++i) {
    std::string name = i < names.size() ? names[i] : text("model{}", i);
    with_note([&] { return text("part '{}'", printable(name)); },
              [&] { file.parts.emplace_back(name, read_nested(models[i], source, depth + 1)); });
  }
}

std::string_view wrapped_pipeline(std::string_view message) {
  std::string_view out;
  each_field(message, [&](Field& field) {
    if (field.tag_and_type() == bytes(1)) out = view(field);
    else field.skip();
  });
  return out;
}

// Where the message lies: in the file that is mapped, or in a copy of its own.
Verbatim verbatim(std::uint32_t type, std::string_view content, const StoragePtr& file) {
  if (file)
    return {type, file, static_cast<std::uint64_t>(as_bytes(content).data() - file->data()), content.size()};
  StoragePtr copy = allocate(content.size());
  std::copy(content.begin(), content.end(), reinterpret_cast<char*>(copy->data()));
  return {type, copy, 0, content.size()};
}

void recognise(const Parts& parts, const Description& description, const Source& source, ModelFile& file) {
  if (is_network(parts.type)) {
    Counts counts;
    list_layers(parts.content, counts, file.tensors, 0);
    file.layers.assign(counts.begin(), counts.end());
    read_training(Message(parts.content), file);
  }
  Function f;
  if (const Interface* interface = description.of("")) f.interface = *interface;
  if (is_network(parts.type)) lower_network(Message(parts.content), parts.type, source.file, f);
  else if (!is_composed(parts.type)) {
    lower_classic(parts.type, Message(parts.content), f);
    for (auto& [name, n] : sizes_of(parts.type, Message(parts.content), f)) file.meta.push_back({name, {n}});
    file.message = verbatim(parts.type, parts.content, source.file);
  }
  file.functions.push_back(std::move(f));
  if (is_pipeline(parts.type)) check_wiring(file);
}

// The model that a linked one names, as its only part.
void read_link(std::string_view message, const Source& source, int depth, ModelFile& file) {
  if (depth >= deepest_pipeline)
    throw Error(Code::bad_input, text("models are linked deeper than {}", deepest_pipeline));
  std::vector<std::string> names = linked_names(Message(message));
  for (const std::string& name : names) {
    std::string path = join_path(source.folder, name);
    bool there = is_file(path) || looks_compiled(path) || is_file(join_path(path, "Manifest.json"));
    if (source.folder.empty() || !there) continue;
    with_note([&] { return text("the linked model '{}'", printable(name)); },
              [&] { file.parts.emplace_back(name, read_any(path, depth + 1)); });
    return;
  }
  file.functions.front().why_not =
      text("links to the model '{}', which is not beside it", printable(names.empty() ? "" : names.front()));
}

ModelFile read_nested(std::string_view message, const Source& source, int depth) {
  ModelFile file;
  Parts parts = read_parts(message);
  check_version(parts.version);
  file.format = "CoreML";
  file.spec_version = static_cast<int>(parts.version);
  file.type = model_type(parts.type);
  if (file.type.empty())
    throw Error(Code::unsupported, parts.type ? text("has a type of model that is not known ({})", parts.type)
                                              : "holds no model, only a description");
  Description description =
      with_note([] { return "description"; }, [&] { return read_description(parts.description, file); });
  if (file.type == "mlProgram") {
    WeightFiles files(source.folder);
    lower_program(read_program(parts.content), description, files, file);
    return file;
  }
  if (is_pipeline(parts.type))
    read_pipeline(parts.type == 202 ? parts.content : wrapped_pipeline(parts.content), file, source, depth);
  recognise(parts, description, source, file);
  if (parts.type == 556) read_link(parts.content, source, depth, file);
  if (parts.updatable) file.meta.push_back({"updatable", {true}});
  return file;
}

}  // namespace

ModelFile read_model(Bytes content, const std::string& model_folder, const StoragePtr& file) {
  return reading([&] { return read_nested(as_text(content), {model_folder, file}, 0); });
}

namespace {

ModelFile read_file(const std::string& path, int depth) {
  StoragePtr file = map_file(path);
  std::string folder = parent_path(path);
  return reading([&] { return read_nested(as_text({file->data(), file->size()}), {folder, file}, depth); });
}

ModelFile read_any(const std::string& path, int depth) {
  if (looks_compiled(path)) return read_compiled(path, depth);
  bool package = is_folder(path);
  ModelFile file = read_file(package ? root_model(path) : path, depth);
  file.container = package ? "mlpackage" : "mlmodel";
  return file;
}

std::string plain_name(const std::string& path) {
  std::string name = file_name(path);
  std::size_t dot = name.find_last_of('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

}  // namespace
}  // namespace tl::coreml

namespace tl {

ModelFile read_coreml(const std::string& path) {
  return with_note([&] { return path; },
                   [&] {
                     ModelFile file = coreml::read_any(path);
                     file.path = path;
                     if (file.name.empty()) file.name = coreml::plain_name(path);
                     return file;
                   });
}

}  // namespace tl
