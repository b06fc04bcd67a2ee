// SPDX-License-Identifier: Apache-2.0
// m.explain(): the report of `tl explain --json` as maps and lists.
#include <nlohmann/json.hpp>

#include "format/data/json.h"
#include "model/explain.h"
#include "model/script_model.h"

namespace tl {
namespace {

lang::Value value_of(const data::Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<lang::Value> items;
    for (const data::Json& item : json) items.push_back(value_of(item));
    return items;
  }
  std::vector<std::pair<lang::Value, lang::Value>> entries;
  for (const auto& [key, item] : json.items()) entries.emplace_back(lang::Value(key), value_of(item));
  return lang::make_map(std::move(entries));
}

}  // namespace

lang::Value ScriptModel::explain(const std::string& chip) {
  return value_of(data::parse_json(explain::json_of(explain_model(model_->file(), chip))));
}

}  // namespace tl
