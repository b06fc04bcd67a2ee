// SPDX-License-Identifier: Apache-2.0
// The references against pairs of inputs and outputs that other programs computed (tool/golden.py).
#include <dirent.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "op/ops.h"
#include "op/reference.h"
#include "sample.h"

namespace tl::test {
namespace {

using Json = nlohmann::json;

double number_of(const Json& j) {
  if (!j.is_string()) return j.is_boolean() ? j.get<bool>() : j.get<double>();
  const auto& word = j.get_ref<const std::string&>();
  return word == "NaN" ? NAN : word == "Infinity" ? INFINITY : -INFINITY;
}

Tensor tensor_of(const Json& j) {
  DType d = *dtype_named(j.at("dtype").get<std::string>());
  auto shape = j.at("shape").get<Shape>();
  if (d == DType::string) return from_strings(j.at("data").get<std::vector<std::string>>(), shape);
  std::vector<double> data;
  for (const Json& x : j.at("data")) data.push_back(number_of(x));
  return from_doubles(data, d, shape);
}

Case case_of(const OpDef& op, const Json& j) {
  Case c{&op, {}, std::vector<Tensor>(op.inputs.size())};
  Attrs given;
  for (const auto& item : j.at("attrs").items()) {
    const std::string& name = item.key();  // no structured binding: Clang 14 cannot capture one
    const Json& value = item.value();
    auto def =
        std::find_if(op.attrs.begin(), op.attrs.end(), [&](const AttrDef& d) { return d.name == name; });
    if (def == op.attrs.end()) throw Error(Code::bad_input, text("no attribute '{}'", name));
    if (!value.is_null()) given.set(name, parse_attr(def->kind, value.dump()));
  }
  c.attrs = complete({op.attrs.begin(), op.attrs.size()}, given);
  for (const Json& input : j.at("inputs")) {
    auto name = input.at("name").get<std::string>();
    auto def =
        std::find_if(op.inputs.begin(), op.inputs.end(), [&](const InputDef& d) { return d.name == name; });
    if (def == op.inputs.end()) throw Error(Code::bad_input, text("no input '{}'", name));
    auto at = static_cast<std::size_t>(def - op.inputs.begin());
    if (c.inputs[at]) c.inputs.push_back(tensor_of(input));
    else c.inputs[at] = tensor_of(input);
  }
  if (op.inputs.size() && op.inputs[op.inputs.size() - 1].arity == Arity::many && !c.inputs.back())
    c.inputs.pop_back();
  return c;
}

void check(const Json& j, const std::string& where, std::set<std::string>& missing) {
  const OpDef* op = op_named(j.at("op").get<std::string>());
  if (!op) return void(missing.insert(j.at("op").get<std::string>()));
  std::string what = where + " " + std::string(op->name) + " " + j.at("attrs").dump();
  try {
    Case c = case_of(*op, j);
    std::vector<Tensor> out = run_reference(*op, c.attrs, c.inputs);
    const Json& wanted = j.at("outputs");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      Tensor want = tensor_of(wanted[i]);
      std::string why;
      double relative = want.dtype() == DType::f16 ? 1e-3 : 2e-6;
      CHECK_MESSAGE(close(out.at(i), want, relative, why), what << " output " << i << ": " << why);
    }
  } catch (const Error& error) { FAIL_CHECK(what << ": " << std::string(error.what())); }
}

}  // namespace

TEST_CASE("references give what other programs computed") {
  std::string folder = TL_SOURCE_DIR "/test/op/golden";
  std::vector<std::string> names;
  DIR* dir = opendir(folder.c_str());
  REQUIRE(dir);
  while (const dirent* entry = readdir(dir))
    if (std::string(entry->d_name).ends_with(".json")) names.emplace_back(entry->d_name);
  closedir(dir);
  std::sort(names.begin(), names.end());
  std::set<std::string> missing;
  for (const std::string& name : names) {
    std::ifstream in(folder + "/" + name);
    int at = 0;
    for (const Json& pair : Json::parse(in)) check(pair, text("{}#{}", name, at++), missing);
  }
  for (const std::string& name : missing) MESSAGE("no operation " << name);
}

}  // namespace tl::test
