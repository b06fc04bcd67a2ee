// SPDX-License-Identifier: Apache-2.0
// --inputs and --input.
#include "cli/input.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "format/data/image.h"
#include "format/data/npy.h"
#include "model/feature_json.h"

namespace tl::cli {
namespace {

[[noreturn]] void misuse(const std::string& what) { throw Error(Code::bad_use, what); }

const Feature& feature_named(const Interface& interface, std::string_view name) {
  std::vector<std::string_view> names;
  std::string all;
  for (const Feature& feature : interface.inputs) {
    if (feature.name == name) return feature;
    names.push_back(feature.name);
    all += text("{}'{}'", all.empty() ? "" : ", ", feature.name);
  }
  if (names.empty()) misuse(text("there is no input '{}': the model takes none", printable(name)));
  misuse(
      text("there is no input '{}'{}; the inputs are {}", printable(name), did_you_mean(name, names), all));
}

// The feature that a nameless array is for.
const Feature& only_input(const Interface& interface) {
  const Feature* only = nullptr;
  for (const Feature& feature : interface.inputs) {
    if (feature.optional && interface.inputs.size() > 1) continue;
    if (only)
      misuse(text("an .npy file has no names and the model takes several inputs: use --input {}=FILE.npy",
                  interface.inputs.front().name));
    only = &feature;
  }
  if (!only) misuse("the model takes no inputs");
  return *only;
}

Features features_of(data::NamedArrays arrays) {
  Features features;
  for (auto& [name, tensor] : arrays) features.emplace_back(name, std::move(tensor));
  return features;
}

Rows read_file(const std::string& path, const Interface& interface) {
  if (path.ends_with(".npz")) return rows_of(features_of(data::read_npz(path)), interface);
  if (path.ends_with(".npy")) return rows_of({{only_input(interface).name, data::read_npy(path)}}, interface);
  if (path.ends_with(".json"))
    return with_note([&] { return path; }, [&] { return features_of_json(data::read_json(path)); });
  misuse(text("--inputs '{}': the name must end in .npz, .npy or .json", printable(path)));
}

bool is_picture(std::string_view path) {
  for (std::string_view ending : {".png", ".PNG", ".jpg", ".JPG", ".jpeg", ".JPEG"})
    if (path.ends_with(ending)) return true;
  return false;
}

FeatureValue literal(const Feature& feature, const std::string& given) {
  data::Json value;
  try {
    value = data::parse_json(given);
  } catch (const Error&) {
    misuse(
        text("input '{}' takes {}; '{}' is neither a number, a list nor the name of a file that it can be "
             "read from",
             feature.name, name_of(feature.kind), printable(given)));
  }
  return value_of_json(value);
}

// What NAME=VALUE means is said by the declared type of the feature.
FeatureValue read_value(const Feature& feature, const std::string& given) {
  if (feature.kind == FeatureKind::string) return given;
  if (given.ends_with(".npy")) return data::read_npy(given);
  if (is_picture(given)) {
    if (feature.kind == FeatureKind::image || feature.kind == FeatureKind::tensor) {
      Tensor pixels = data::read_image(given);
      return feature.kind == FeatureKind::image ? FeatureValue(Image{pixels}) : FeatureValue(pixels);
    }
    misuse(text("input '{}' takes {}, not an image", feature.name, name_of(feature.kind)));
  }
  if (given.ends_with(".json"))
    return with_note([&] { return given; }, [&] { return value_of_json(data::read_json(given)); });
  if (feature.kind == FeatureKind::image)
    misuse(text("input '{}' is an image: '{}' is not the name of a .png, .jpg or .npy file", feature.name,
                printable(given)));
  return literal(feature, given);
}

std::pair<std::string, FeatureValue> read_pair(const std::string& given, const Interface& interface) {
  // The longest declared name that fits, since a name may hold a '='.
  for (std::size_t at = given.rfind('='); at != std::string::npos && at > 0; at = given.rfind('=', at - 1))
    for (const Feature& feature : interface.inputs)
      if (feature.name == given.substr(0, at))
        return {feature.name, read_value(feature, given.substr(at + 1))};
  std::size_t at = given.find('=');
  if (at == std::string::npos) misuse(text("--input '{}' is not NAME=VALUE", printable(given)));
  feature_named(interface, given.substr(0, at));
  misuse(text("--input '{}' is not NAME=VALUE", printable(given)));
}

FeatureValue* find_in(Features& features, const std::string& name) {
  for (auto& [key, value] : features)
    if (key == name) return &value;
  return nullptr;
}

void merge(Rows& to, const Rows& from, bool replace) {
  if (from.batch && !to.batch) {
    to.rows.assign(from.rows.size(), to.rows.empty() ? Features{} : Features(to.rows.front()));
    to.batch = true;
  } else if (from.batch && from.rows.size() != to.rows.size())
    misuse(text("one input has {} rows and another {}", to.rows.size(), from.rows.size()));
  for (std::size_t k = 0; k < to.rows.size(); ++k)
    for (const auto& [name, value] : from.rows[from.batch ? k : 0]) {
      FeatureValue* there = find_in(to.rows[k], name);
      if (there && !replace)
        misuse(text("input '{}' is given twice: a step ends with its --outputs", printable(name)));
      if (there) *there = value;
      else to.rows[k].emplace_back(name, value);
    }
}

}  // namespace

Rows read_inputs(const Step& step, const Interface& interface) {
  Rows all{{Features{}}, false};
  for (const std::string& file : step.files) merge(all, read_file(file, interface), false);
  for (const std::string& value : step.values)
    merge(all, rows_of({read_pair(value, interface)}, interface), true);
  if (all.rows.empty()) throw Error(Code::bad_input, "the inputs have no rows");
  return all;
}

void fill_with(Rows& rows, const Features& others) {
  for (Features& row : rows.rows)
    for (const auto& [name, value] : others)
      if (!find(row, name)) row.emplace_back(name, value);
}

Rows read_results(const std::string& path) {
  if (path.ends_with(".npz")) return {{features_of(data::read_npz(path))}, false};
  return with_note([&] { return path; }, [&] { return features_of_json(data::read_json(path)); });
}

}  // namespace tl::cli
