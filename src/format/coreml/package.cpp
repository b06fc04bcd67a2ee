// SPDX-License-Identifier: Apache-2.0
// Manifest.json: items by identifier, one of them the root model.
#include "format/coreml/package.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/storage.h"
#include "base/text.h"

namespace tl::coreml {
namespace {

using Json = nlohmann::json;

const std::string& string_of(const Json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_string()) throw Error(Code::bad_input, text("has no '{}'", key));
  return found->get_ref<const std::string&>();
}

void check_version(const Json& manifest) {
  const std::string& version = string_of(manifest, "fileFormatVersion");
  if (version.substr(0, 2) != "1.")
    throw Error(Code::unsupported, text("has format version {}; tl knows 1.0.0", printable(version)));
}

std::string checked_path(const Json& item) {
  for (const char* key : {"name", "author", "description"}) string_of(item, key);
  const std::string& path = string_of(item, "path");
  for (std::string_view part : split(path, '/'))
    if (part.empty() || part == ".." || part.find('\0') != std::string_view::npos)
      throw Error(Code::bad_input, text("'{}' is not a path inside the package", printable(path)));
  return path;
}

std::string only_model(const Json& items) {
  std::string out;
  for (const auto& item : items) {
    std::string path = checked_path(item);
    if (path.size() < 8 || path.substr(path.size() - 8) != ".mlmodel") continue;
    if (!out.empty()) throw Error(Code::bad_input, "has no rootModelIdentifier and several models");
    out = path;
  }
  if (out.empty()) throw Error(Code::bad_input, "names no model");
  return out;
}

}  // namespace

std::string root_item(Bytes bytes) {
  std::string_view source = as_text(bytes);
  Json manifest = Json::parse(source.begin(), source.end(), nullptr, false);
  if (manifest.is_discarded() || !manifest.is_object()) throw Error(Code::bad_input, "is not a JSON object");
  check_version(manifest);
  auto items = manifest.find("itemInfoEntries");
  if (items == manifest.end() || !items->is_object())
    throw Error(Code::bad_input, "has no 'itemInfoEntries'");
  for (const auto& [id, item] : items->items())
    with_note([&, name = id] { return text("item {}", printable(name)); },
              [&, i = item] { checked_path(i); });
  if (!manifest.contains("rootModelIdentifier")) return only_model(*items);
  const std::string& root = string_of(manifest, "rootModelIdentifier");
  auto found = items->find(root);
  if (found == items->end())
    throw Error(Code::bad_input, text("the root model {} is not among its items", printable(root)));
  return checked_path(*found);
}

std::string root_model(const std::string& package) {
  std::string manifest = join_path(package, "Manifest.json");
  StoragePtr file = map_file(manifest);
  std::string item = with_note([] { return "Manifest.json"; },
                               [&] {
                                 return root_item({file->data(), file->size()});
                               });
  std::string path = join_path(join_path(package, "Data"), item);
  if (is_folder(path))
    throw Error(Code::unsupported, text("the root item {} is a folder, not a model", item));
  if (!is_file(path))
    throw Error(Code::bad_input,
                text("the model {} that Manifest.json names is missing", join_path("Data", item)));
  return path;
}

}  // namespace tl::coreml
