// SPDX-License-Identifier: Apache-2.0
// Manifest.json, the model and the weights in their folder.
#include "format/coreml/package_write.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/coreml/description_write.h"
#include "format/coreml/model_type.h"
#include "format/coreml/program_write.h"
#include "format/coreml/proto_write.h"

namespace tl::coreml {
namespace {

constexpr std::string_view author = "com.apple.CoreML";

// An identifier as Apple's tools make them, but the same for the same content.
std::string identifier(std::string_view content, std::string_view salt) {
  std::uint64_t halves[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
  for (std::string_view part : {salt, content})
    for (char c : part)
      for (std::uint64_t& h : halves) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::uint64_t a = halves[0], b = halves[1];
  return text("{:08X}-{:04X}-{:04X}-{:04X}-{:012X}", a >> 32, (a >> 16) & 0xffff, (a & 0xfff) | 0x4000,
              ((b >> 48) & 0x3fff) | 0x8000, b & 0xffffffffffffu);
}

nlohmann::ordered_json item(std::string_view name, std::string_view description) {
  return {{"author", author},
          {"description", description},
          {"name", name},
          {"path", text("{}/{}", author, name)}};
}

std::string manifest(std::string_view model, bool weights) {
  std::string root = identifier(model, "model");
  nlohmann::ordered_json items;
  items[root] = item("model.mlmodel", "CoreML Model Specification");
  if (weights) items[identifier(model, "weights")] = item("weights", "CoreML Model Weights");
  nlohmann::ordered_json all{
      {"fileFormatVersion", "1.0.0"}, {"itemInfoEntries", items}, {"rootModelIdentifier", root}};
  return all.dump(4) + "\n";
}

void make_folder(const std::string& path) {
  std::error_code wrong;
  std::filesystem::create_directory(path, wrong);
  if (wrong) throw Error(Code::bad_input, text("{}: cannot be made: {}", path, wrong.message()));
}

struct ModelMessage {
  int version = 1;
  std::string bytes = {};
};

std::string whole_message(const ModelFile& file, int version, std::uint32_t type, std::string_view content) {
  return message([&](Writer& to) {
    to.add_int32(1, version);
    to.add_message(2, description_message(file));
    to.add_message(type, content.data(), content.size());
  });
}

ModelMessage model_message(const ModelFile& file, BlobWriter& blobs);

// Parts and names; of classifiers and regressors within a message of their own.
ModelMessage pipeline_message(const ModelFile& file, BlobWriter& blobs) {
  std::uint32_t type = number_of(file.type);
  if (type < 200 || type > 202)
    throw Error(Code::unsupported,
                text("a {} cannot be written: its parts are files of their own", file.type));
  int version = std::max(1, file.spec_version);
  std::string pipeline = message([&](Writer& to) {
    for (const auto& [name, part] : file.parts)
      with_note([&name = name] { return text("part '{}'", printable(name)); },
                [&, &part = part] {
                  ModelMessage inner = model_message(part, blobs);
                  version = std::max(version, inner.version);
                  to.add_message(1, inner.bytes);
                });
    for (const auto& [name, part] : file.parts) add_text(to, 2, name);
  });
  if (type != 202) pipeline = message([&](Writer& to) { to.add_message(1, pipeline); });
  return {version, whole_message(file, version, type, pipeline)};
}

ModelMessage model_message(const ModelFile& file, BlobWriter& blobs) {
  if (!file.parts.empty()) return pipeline_message(file, blobs);
  if (const Verbatim& m = file.message; m.type) {
    int version = std::max(1, file.spec_version);
    std::string_view content(reinterpret_cast<const char*>(m.file->data()) + m.offset, m.bytes);
    return {version, whole_message(file, version, m.type, content)};
  }
  int opset = opset_of(file), version = opset + 1;  // each version of the specification has its opset
  return {version, whole_message(file, version, number_of("mlProgram"), program_message(file, opset, blobs))};
}

void write_into(const ModelFile& file, const std::string& folder) {
  BlobWriter blobs;
  std::string model = model_message(file, blobs).bytes;
  std::string data = join_path(join_path(folder, "Data"), author);
  for (const std::string& each : {folder, parent_path(data), data}) make_folder(each);
  if (!blobs.empty()) {
    make_folder(join_path(data, "weights"));
    blobs.write(join_path(data, "weights/weight.bin"));
  }
  write_file(join_path(data, "model.mlmodel"), as_bytes(model));
  write_file(join_path(folder, "Manifest.json"), as_bytes(manifest(model, !blobs.empty())));
}

void rename_or_fail(const std::string& from, const std::string& to) {
  std::error_code wrong;
  std::filesystem::rename(from, to, wrong);
  if (wrong) throw Error(Code::bad_input, text("{}: cannot be written: {}", to, wrong.message()));
}

void remove_folder(const std::string& path) noexcept {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

// The old package makes room only when the new one is whole, and comes back if that cannot take its place.
void replace(const std::string& made, const std::string& path) {
  if (!is_folder(path)) return rename_or_fail(made, path);
  std::string old = text("{}.{}.old", path, getpid());
  rename_or_fail(path, old);
  try {
    rename_or_fail(made, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::rename(old, path, ignored);
    throw;
  }
  remove_folder(old);
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace
}  // namespace tl::coreml

namespace tl {

void write_package(const ModelFile& file, const std::string& given) {
  std::string path = coreml::without_slashes(given);
  bool taken = is_file(path) ||
               (is_folder(path) && !is_file(join_path(path, "Manifest.json")) && !list_folder(path).empty());
  if (taken) throw Error(Code::bad_input, text("{}: is there and is no package: it is not replaced", path));
  if (!is_folder(parent_path(path)))
    throw Error(Code::bad_input, text("{}: there is no folder {}", path, parent_path(path)));
  std::string made = text("{}.{}.part", path, getpid());
  try {
    coreml::write_into(file, made);
    coreml::replace(made, path);
  } catch (...) {
    coreml::remove_folder(made);
    throw;
  }
}

}  // namespace tl
