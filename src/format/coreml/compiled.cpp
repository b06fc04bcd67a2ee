// SPDX-License-Identifier: Apache-2.0
// The folder of a compiled model: a program as text, an older network (espresso), a pipeline of folders, or a
// Model.
#include "format/coreml/compiled.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/coremldata.h"
#include "format/coreml/description.h"
#include "format/coreml/espresso/espresso.h"
#include "format/coreml/metadata.h"
#include "format/coreml/mil_text.h"
#include "format/coreml/model.h"
#include "format/coreml/model_type.h"
#include "format/coreml/program.h"
#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr int deepest_pipeline = 8;

Bytes content(const StoragePtr& file) { return {file->data(), file->size()}; }

struct Folder {
  std::string path;
  int depth = 0;
  std::string of(const char* name) const { return join_path(path, name); }
  bool has(const char* name) const { return is_file(of(name)); }
};

struct CompiledKind {
  std::uint32_t type = 500;
  std::string trailer = {};  // of coremldata.bin
};

// Runs read(Bytes) over a file of the folder, with its name before any error.
template <class Read> void read_part(const Folder& folder, const char* name, const Read& read) {
  StoragePtr file = map_file(folder.of(name));
  with_note([&] { return name; }, [&] { reading([&] { read(content(file)); }); });
}

void read_text_program(const Folder& folder, const Description& description, ModelFile& file) {
  if (file.type.empty()) file.type = "mlProgram";
  read_part(folder, "model.mil", [&](Bytes source) {
    WeightFiles weights(folder.path);
    lower_program(parse_mil(as_text(source)), description, weights, file);
  });
}

void show_only(const Description& description, ModelFile& file, std::string why_not) {
  Function f;
  if (const Interface* interface = description.of("")) f.interface = *interface;
  f.why_not = std::move(why_not);
  file.functions.push_back(std::move(f));
}

void read_espresso(const Folder& folder, const Description& description, const CompiledKind& kind,
                   ModelFile& file) {
  if (file.type.empty()) file.type = "neuralNetwork";
  StoragePtr net = map_file(folder.of("model.espresso.net")), shape, weights;
  if (folder.has("model.espresso.shape")) shape = map_file(folder.of("model.espresso.shape"));
  if (folder.has("model.espresso.weights")) weights = map_file(folder.of("model.espresso.weights"));
  with_note([] { return "model.espresso.net"; }, [&] { read_espresso_layers(content(net), file); });
  Function f;
  if (const Interface* interface = description.of("")) f.interface = *interface;
  EspressoFiles files{content(net), shape ? content(shape) : Bytes(), weights ? content(weights) : Bytes(),
                      kind.trailer};
  lower_espresso(files, kind.type, f);
  file.functions.push_back(std::move(f));
}

void read_folders(const Folder& folder, const Description& description, ModelFile& file) {
  if (folder.depth >= deepest_pipeline)
    throw Error(Code::bad_input, text("pipelines are nested deeper than {}", deepest_pipeline));
  std::vector<std::string> names;
  if (folder.has("modelNames/coremldata.bin"))
    read_part(folder, "modelNames/coremldata.bin", [&](Bytes bytes) { names = read_model_names(bytes); });
  for (std::size_t i = 0; is_folder(join_path(folder.path, text("model{}", i))); ++i) {
    std::string name = text("model{}", i);
    with_note([&] { return text("part '{}'", name); },
              [&] {
                file.parts.emplace_back(i < names.size() ? names[i] : name,
                                        read_compiled(join_path(folder.path, name), folder.depth + 1));
              });
  }
  show_only(description, file, "");
  check_wiring(file);
}

ModelFile read_embedded(const CompiledData& data, const Folder& folder) {
  ModelFile file = read_model(as_bytes(data.model), folder.path);
  file.container = "mlmodelc";
  return file;
}

}  // namespace

bool looks_compiled(const std::string& path) {
  for (const char* name : {"coremldata.bin", "model.mil", "model.espresso.net"})
    if (is_file(join_path(path, name))) return true;
  return false;
}

ModelFile read_compiled(const std::string& path, int depth) {
  Folder folder{path, depth};
  ModelFile file;
  file.format = "CoreML";
  file.container = "mlmodelc";
  Description description;
  CompiledKind kind;
  std::optional<ModelFile> embedded;
  if (folder.has("coremldata.bin"))
    read_part(folder, "coremldata.bin", [&](Bytes bytes) {
      CompiledData data = read_coremldata(bytes);
      file.type = model_type(data.type);
      kind = {data.type, std::string(data.trailer)};
      file.spec_version = static_cast<int>(data.version);
      if (!data.model.empty()) embedded = read_embedded(data, folder);
      else description = read_description(data.description, file);
    });
  if (folder.has("metadata.json"))
    read_part(folder, "metadata.json", [&](Bytes json) { read_metadata_json(json, description, file); });
  if (folder.has("model.mil")) read_text_program(folder, description, file);
  else if (folder.has("model.espresso.net")) read_espresso(folder, description, kind, file);
  else if (embedded) return std::move(*embedded);
  else if (file.type.substr(0, 8) == "pipeline") read_folders(folder, description, file);
  else
    show_only(description, file,
              text("the compiled {} has no model.mil, so it cannot be run",
                   file.type.empty() ? "model" : file.type));
  return file;
}

}  // namespace tl::coreml
