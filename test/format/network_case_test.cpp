// SPDX-License-Identifier: Apache-2.0
// Small networks of the newer layers against what NumPy gives for them (tool/make_network_cases.py).
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/model.h"
#include "model/model.h"

namespace tl::coreml {
namespace {

using Json = nlohmann::json;

std::string from_base64(const std::string& text) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(letters.find(c));
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return out;
}

Tensor tensor_of(const Json& j) {
  return from_doubles(j.at(1).get<std::vector<double>>(), DType::f32, j.at(0).get<Shape>());
}

// Empty, or what differs.
std::string difference(const Tensor& got, const Tensor& want) {
  if (got.shape() != want.shape())
    return text("shape {}, not {}", text_of(got.shape()), text_of(want.shape()));
  std::vector<double> a = to_doubles(got), b = to_doubles(want);
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= 2e-5 * std::max(1.0, std::abs(b[i]))))
      return text("[{}] is {}, not {}", i, a[i], b[i]);
  return {};
}

void check(const Json& c, Runtime& runtime) {
  auto name = c.at("name").get<std::string>();
  try {
    Features inputs;
    for (const auto& item : c.at("inputs").items()) inputs.emplace_back(item.key(), tensor_of(item.value()));
    std::string content = from_base64(c.at("model").get<std::string>());
    Features outputs = Model(read_model(as_bytes(content), ""), runtime).predict(inputs);
    for (const auto& output : outputs) {  // no structured binding: Clang 14 cannot capture one
      std::string why =
          difference(std::get<Tensor>(output.second), tensor_of(c.at("outputs").at(output.first)));
      CHECK_MESSAGE(why.empty(), name << " " << output.first << ": " << why);
    }
    CHECK(outputs.size() == c.at("outputs").size());
  } catch (const Error& error) { FAIL_CHECK(name << ": " << std::string(error.what())); }
}

TEST_CASE("newer layers of networks give what NumPy gives") {
  std::ifstream in(TL_SOURCE_DIR "/test/format/network/cases.json");
  REQUIRE(in);
  Runtime runtime{Settings{}};
  for (const Json& c : Json::parse(in)) check(c, runtime);
}

}  // namespace
}  // namespace tl::coreml
