// SPDX-License-Identifier: Apache-2.0
// `tl show --json`.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/show.h"
#include "model/model.h"
#include "model/operation_table.h"

namespace tl::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of_value(const MetaValue& value) {
  struct Convert {
    Json operator()(const std::vector<MetaValue>& list) const {
      Json all = Json::array();
      for (const MetaValue& item : list) all.push_back(json_of_value(item));
      return all;
    }
    Json operator()(bool b) const { return b; }
    Json operator()(std::int64_t n) const { return n; }
    Json operator()(std::uint64_t n) const { return n; }
    Json operator()(double x) const { return x; }
    Json operator()(const std::string& s) const { return s; }
  };
  return std::visit(Convert{}, value.value);
}

std::string color_name(ColorSpace color) {
  constexpr const char* names[] = {"GRAYSCALE", "RGB", "BGR", "GRAYSCALE_FLOAT16"};
  return names[static_cast<std::size_t>(color)];
}

Json json_of_feature(const Feature& feature) {
  Json j{{"name", feature.name}, {"kind", name_of(feature.kind)}};
  bool elements = feature.kind == FeatureKind::tensor || feature.kind == FeatureKind::state;
  if (elements || feature.kind == FeatureKind::sequence) j["dtype"] = name_of(feature.dtype);
  if (feature.kind == FeatureKind::dictionary) j["key"] = name_of(feature.key);
  if (elements) j["shape"] = feature.shape;
  if (feature.kind == FeatureKind::image) {
    j["height"] = feature.shape.empty() ? 0 : feature.shape[0];
    j["width"] = feature.shape.size() < 2 ? 0 : feature.shape[1];
    j["color"] = color_name(feature.color);
  }
  if (!feature.enumerated.empty()) j["enumerated"] = feature.enumerated;
  for (const DimRange& range : feature.ranges)
    j["ranges"].push_back({range.lowest, range.highest < 0 ? Json() : Json(range.highest)});
  if (feature.optional) j["optional"] = true;
  if (feature.fallback) j["default"] = *feature.fallback;
  if (!feature.description.empty()) j["description"] = feature.description;
  return j;
}

Json json_of_features(std::span<const Feature> features) {
  Json all = Json::array();
  for (const Feature& feature : features) all.push_back(json_of_feature(feature));
  return all;
}

Json json_of_table(const Function& function) {
  Json all = Json::array();
  for (const OperationRow& r : operation_table(function)) {
    Json bytes = Json::object();
    for (const auto& [type, n] : r.bytes) bytes[type] = n;
    all.push_back({{"op", r.name},
                   {"count", r.count},
                   {"parameters", r.parameters},
                   {"multiply_adds", r.multiply_adds ? Json(*r.multiply_adds) : Json()},
                   {"bytes", bytes}});
  }
  return all;
}

// ---- programs

Json json_of_value(const Graph& graph, ValueId v) {
  const Value& value = graph.value(v);
  return {{"name", value.name.empty() ? text("%{}", index(v)) : value.name},
          {"type", text_of(value.type)},
          {"constant", value.is_constant()}};
}

Json json_of_values(const Graph& graph, std::span<const ValueId> values) {
  Json all = Json::array();
  for (ValueId v : values) all.push_back(v == no_value ? Json() : json_of_value(graph, v));
  return all;
}

Json json_of_attrs(const Attrs& attrs) {
  Json all = Json::object();
  for (const auto& [name, value] : attrs) std::visit([&, n = name](const auto& v) { all[n] = v; }, value);
  return all;
}

Json json_of_block(const Graph& graph, const Block& block) {
  Json nodes = Json::array();
  for (const Node& node : block.nodes) {
    Json j{{"op", node.op->name},
           {"name", node.name},
           {"inputs", json_of_values(graph, node.inputs)},
           {"attributes", json_of_attrs(node.attrs)},
           {"outputs", json_of_values(graph, node.outputs)}};
    for (const Block& inner : node.blocks) j["blocks"].push_back(json_of_block(graph, inner));
    nodes.push_back(std::move(j));
  }
  return {{"inputs", json_of_values(graph, block.inputs)},
          {"nodes", nodes},
          {"outputs", json_of_values(graph, block.outputs)}};
}

Json json_of_function(const ModelFile& file, const Function& function) {
  Json ops = Json::object();
  for (const auto& [name, n] : operation_counts(file, function)) ops[name] = n;
  Json j{{"name", function.name}, {"opset", function.opset}, {"runs", true}};
  if (std::string why = why_not_run(file, function); !why.empty()) j["runs"] = false, j["why_not"] = why;
  j["inputs"] = json_of_features(function.interface.inputs);
  j["outputs"] = json_of_features(function.interface.outputs);
  j["states"] = json_of_features(function.interface.states);
  if (function.graph) {
    j["table"] = json_of_table(function);
    j["program"] = json_of_block(*function.graph, function.graph->body);
  }
  j[counts_layers(file, function) ? "layers" : "ops"] = ops;
  return j;
}

Json json_of_tensors(const ModelFile& file) {
  Json all = Json::array();
  for (const NamedTensor& t : file.tensors)
    all.push_back({{"name", t.name},
                   {"type", t.stored},
                   {"shape", t.shape},
                   {"bytes", t.bytes},
                   {"readable", t.readable}});
  return all;
}

Json json_of_precisions(const Metadata& m) {
  Json all = Json::array();
  for (const Precision& p : m.precisions)
    all.push_back(
        {{"type", p.name}, {"tensors", p.tensors}, {"parameters", p.parameters}, {"bytes", p.bytes}});
  return all;
}

Json whole(const ModelFile& file) {
  Metadata m = metadata_of(file);
  Json j{{"container", file.container}, {"spec_version", m.spec_version}};
  for (auto& [name, word] : words_of(m)) j[name] = std::move(word);
  j["inputs"] = json_of_features(m.interface.inputs);
  j["outputs"] = json_of_features(m.interface.outputs);
  j["states"] = json_of_features(m.interface.states);
  if (!m.interface.predicted_feature.empty()) j["predicted_feature"] = m.interface.predicted_feature;
  if (!m.interface.predicted_probabilities.empty())
    j["predicted_probabilities"] = m.interface.predicted_probabilities;
  j["default_function"] = file.default_function;
  j["functions"] = Json::array();
  for (const Function& function : file.functions) j["functions"].push_back(json_of_function(file, function));
  j["parameters"] = m.parameters;
  j["bytes"] = m.bytes;
  j["precisions"] = json_of_precisions(m);
  if (!file.tensors.empty()) j["tensors"] = json_of_tensors(file);
  j["user"] = Json::object();
  for (const auto& [key, value] : m.user) j["user"][key] = value;
  j["meta"] = Json::object();
  for (const auto& [key, value] : file.meta) j["meta"][key] = json_of_value(value);
  for (const auto& [name, part] : file.parts) {
    Json inner = whole(part);
    inner["part"] = name;
    j["parts"].push_back(std::move(inner));
  }
  return j;
}

}  // namespace

std::string json_of(const ModelFile& file) {
  return whole(file).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tl::cli
