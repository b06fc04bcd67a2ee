// SPDX-License-Identifier: Apache-2.0
// metadata.json: all its values are strings; what does not fit is left out, for coremldata.bin has the
// authority.
#include "format/coreml/metadata.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace tl::coreml {
namespace {

using Json = nlohmann::json;

Json parsed(Bytes bytes) {
  std::string_view source = as_text(bytes);
  Json json = Json::parse(source.begin(), source.end(), nullptr, false);
  if (json.is_discarded()) throw Error(Code::bad_input, "is not JSON");
  return json;
}

std::string string_of(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& array_of(const Json& object, const char* key) {
  static const Json none = Json::array();
  auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : none;
}

FeatureKind kind_of(std::string_view type) {
  constexpr std::pair<std::string_view, FeatureKind> table[] = {
      {"Image", FeatureKind::image},           {"Double", FeatureKind::double_},
      {"Int64", FeatureKind::int64},           {"String", FeatureKind::string},
      {"Dictionary", FeatureKind::dictionary}, {"State", FeatureKind::state}};
  for (auto [name, kind] : table)
    if (name == type) return kind;
  return FeatureKind::tensor;
}

DType dtype_of(std::string_view name) {
  constexpr std::pair<std::string_view, DType> table[] = {
      {"Float16", DType::f16}, {"Double", DType::f64}, {"Int32", DType::i32}, {"Int8", DType::i8}};
  for (auto [n, dtype] : table)
    if (n == name) return dtype;
  return DType::f32;
}

Shape shape_of(std::string_view listed) {  // "[1, 3, 224, 224]"
  Shape out;
  const char *at = listed.data(), *end = at + listed.size();
  while (at < end) {
    std::int64_t n = 0;
    auto [stop, wrong] = std::from_chars(at, end, n);
    if (wrong == std::errc()) out.push_back(n);
    at = stop == at ? at + 1 : stop;
  }
  return out;
}

std::vector<Feature> features_of(const Json& schema) {
  std::vector<Feature> out;
  for (const Json& entry : schema) {
    if (!entry.is_object()) continue;
    Feature f;
    f.name = string_of(entry, "name");
    f.description = string_of(entry, "shortDescription");
    f.kind = kind_of(string_of(entry, "type"));
    f.dtype = f.kind == FeatureKind::image ? DType::u8 : dtype_of(string_of(entry, "dataType"));
    f.shape =
        shape_of(f.kind == FeatureKind::image ? string_of(entry, "height") + " " + string_of(entry, "width")
                                              : string_of(entry, "shape"));
    f.optional = string_of(entry, "isOptional") == "1";
    out.push_back(std::move(f));
  }
  return out;
}

void fill(std::string& to, const Json& object, const char* key) {
  if (to.empty()) to = string_of(object, key);
}

}  // namespace

void read_metadata_json(Bytes bytes, Description& description, ModelFile& file) {
  Json json = parsed(bytes);
  const Json& object = json.is_array() && !json.empty() ? json.front() : json;
  if (!object.is_object()) return;
  fill(file.description, object, "shortDescription");
  fill(file.author, object, "author");
  fill(file.version, object, "version");
  fill(file.license, object, "license");
  if (auto user = object.find("userDefinedMetadata");
      file.user.empty() && user != object.end() && user->is_object())
    for (const auto& [key, value] : user->items())
      if (value.is_string()) file.user.emplace_back(key, value.get<std::string>());
  if (auto version = object.find("specificationVersion");
      file.spec_version == 0 && version != object.end() && version->is_number_integer())
    file.spec_version = static_cast<int>(version->get<std::int64_t>());
  if (!description.functions.empty() || array_of(object, "outputSchema").empty()) return;
  Interface interface;
  interface.inputs = features_of(array_of(object, "inputSchema"));
  interface.outputs = features_of(array_of(object, "outputSchema"));
  interface.states = features_of(array_of(object, "stateSchema"));
  description.functions.emplace_back("", std::move(interface));
}

void read_espresso_layers(Bytes bytes, ModelFile& file) {
  if (as_text(bytes).substr(0, 4) == "pbze") return;  // compressed
  Json json = parsed(bytes);
  if (!json.is_object()) throw Error(Code::bad_input, "is not a JSON object");
  std::map<std::string, std::int64_t> counts;
  for (const Json& layer : array_of(json, "layers"))
    if (layer.is_object()) ++counts[string_of(layer, "type")];
  file.layers.assign(counts.begin(), counts.end());
}

}  // namespace tl::coreml
