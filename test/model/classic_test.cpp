// SPDX-License-Identifier: Apache-2.0
// The classic models of test/model/classic and the compiled ones, made by tool/make_classic_models.py and
// tool/make_compiled_models.py: each example must give what scikit-learn or a formula gave, alone and, where
// arrays say all, together with the others.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "format/data/json.h"
#include "model/convert_file.h"
#include "model/feature_json.h"
#include "model/model.h"

#include <nlohmann/json.hpp>

namespace tl {
namespace {

const std::string folder = TL_SOURCE_DIR "/test/model/classic";

bool near(double a, double b) { return std::abs(a - b) <= 1e-5 + 1e-5 * std::abs(b) || (a != a && b != b); }

bool alike(const Tensor& a, const Tensor& b) {
  if (a.size() != b.size() || (a.dtype() == DType::string) != (b.dtype() == DType::string)) return false;
  if (a.dtype() == DType::string) {
    std::span<const std::string> x = a.as<std::string>(), y = b.as<std::string>();
    return std::equal(x.begin(), x.end(), y.begin());
  }
  std::vector<double> x = to_doubles(a), y = to_doubles(b);
  return std::equal(x.begin(), x.end(), y.begin(), near);
}

bool alike(const FeatureValue& got, const FeatureValue& want) {
  const auto *a = std::get_if<Dictionary>(&got), *b = std::get_if<Dictionary>(&want);
  if (!a && !b) {
    std::optional<Tensor> x = array_of(got), y = array_of(want);
    return x && y && alike(*x, *y);
  }
  if (!a || !b) return false;
  std::map<std::string, double> x, y;
  for (const DictionaryEntry& e : sorted_entries(*a)) x[e.key] = e.value;
  for (const DictionaryEntry& e : sorted_entries(*b)) y[e.key] = e.value;
  return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto& entry) {
           return y.contains(entry.first) && near(entry.second, y[entry.first]);
         });
}

void check(const Features& got, const Features& want, const std::string& what) {
  for (const auto& entry : want) {
    const std::string& name = entry.first;
    const FeatureValue& value = entry.second;
    const FeatureValue* found = find(got, name);
    REQUIRE_MESSAGE(found, what << " gives no '" << name << "'");
    CHECK_MESSAGE(alike(*found, value),
                  what << ": '" << name << "' is " << json_of(*found) << ", expected " << json_of(value));
  }
}

// All examples at once, where their inputs are arrays and every output is a label, a number or an array.
void check_together(const Model& model, std::span<const Features> in, std::span<const Features> out,
                    const std::string& name) {
  const Function& f = model.function();
  auto array = [](const Feature& x) { return x.kind == FeatureKind::tensor && !x.shape.empty(); };
  if (!f.by_rows || in.size() < 2) return;
  if (!std::all_of(f.interface.inputs.begin(), f.interface.inputs.end(), array)) return;
  Features got = model.predict(stacked(in));
  for (const Feature& feature : f.interface.outputs) {
    if (feature.kind == FeatureKind::dictionary || feature.kind == FeatureKind::sequence) continue;
    std::vector<Features> rows;
    for (const Features& row : out) rows.push_back({{feature.name, *find(row, feature.name)}});
    check(got, stacked(rows), name + " together");
  }
}

}  // namespace

TEST_CASE("classic models give what was computed elsewhere") {
  Settings settings;
  settings.threads = 2;
  Runtime runtime(settings);
  int models = 0;
  for (const std::string& file : list_folder(folder)) {
    if (!file.ends_with(".mlmodel") && !file.ends_with(".mlmodelc")) continue;
    std::string name = file.substr(0, file.rfind('.'));
    data::Json json = data::read_json(folder + "/" + name + ".json");
    std::vector<Features> in = features_of_json(json["in"]).rows, out = features_of_json(json["out"]).rows;
    std::shared_ptr<Model> model = Model::load(folder + "/" + file, runtime);
    REQUIRE(in.size() == out.size());
    for (std::size_t i = 0; i < in.size(); ++i) check(model->predict(in[i]), out[i], name);
    check_together(*model, in, out, name);
    ++models;
  }
  CHECK(models >= 40);
}

TEST_CASE("classic models and pipelines are written as packages that give the same") {
  Runtime runtime(Settings{});
  std::string path = (std::filesystem::temp_directory_path() / text("tl_{}.mlpackage", getpid())).string();
  for (const std::string& file : list_folder(folder)) {
    if (!file.ends_with(".mlmodel") && !file.ends_with(".mlmodelc")) continue;
    std::string name = file.substr(0, file.rfind('.'));
    CAPTURE(name);
    data::Json json = data::read_json(folder + "/" + name + ".json");
    std::vector<Features> in = features_of_json(json["in"]).rows, out = features_of_json(json["out"]).rows;
    convert_file(folder + "/" + file, path, {}, runtime);
    ModelFile before = read_model(folder + "/" + file), after = read_model(path);
    CHECK(after.parts.size() == before.parts.size());
    if (before.message.type) {
      CHECK(after.type == before.type);
      CHECK(after.spec_version == std::max(1, before.spec_version));
    }
    std::shared_ptr<Model> model = Model::load(path, runtime);
    for (std::size_t i = 0; i < in.size(); ++i) check(model->predict(in[i]), out[i], name);
  }
  std::filesystem::remove_all(path);
}

}  // namespace tl
