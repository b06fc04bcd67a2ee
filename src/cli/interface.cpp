// SPDX-License-Identifier: Apache-2.0
// Interfaces, aligned.
#include "cli/interface.h"

#include <algorithm>

#include "base/text.h"
#include "model/feature.h"

namespace tl::cli {
namespace {

std::string takes(const Feature& feature) {
  std::string what = describe(feature);
  for (std::string_view article : {"an ", "a "})
    if (what.starts_with(article)) what.erase(0, article.size());
  if (!feature.optional) return what;
  return what + (feature.fallback ? text(" (optional, default {})", *feature.fallback) : " (optional)");
}

void append(std::string& page, std::string_view title, std::span<const Feature> features) {
  if (features.empty()) return;
  std::size_t width = 0;
  for (const Feature& feature : features) width = std::max(width, printable(feature.name).size());
  page += text("{}\n", title);
  for (const Feature& feature : features) {
    page += text("  {:<{}}  {}", printable(feature.name), width, takes(feature));
    page += feature.description.empty() ? "\n" : text("  {}\n", printable(feature.description));
  }
}

std::string example_value(const Feature& feature) {
  switch (feature.kind) {
    case FeatureKind::image: return feature.name + ".png";
    case FeatureKind::int64: return "1";
    case FeatureKind::double_: return "0.5";
    case FeatureKind::string: return "text";
    case FeatureKind::dictionary: return feature.key == DType::string ? R"({"key": 1.0})" : R"({"1": 1.0})";
    case FeatureKind::sequence: return feature.dtype == DType::string ? R"(["text"])" : "[1, 2]";
    default: return feature.name + ".npy";
  }
}

}  // namespace

std::string quoted_for_shell(std::string_view word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string(word);
  std::string out = "'";
  for (char c : word) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

std::string interface_text(const Interface& interface) {
  std::string page;
  append(page, "Inputs", interface.inputs);
  append(page, "Outputs", interface.outputs);
  append(page, "States", interface.states);
  return page;
}

std::string ready_command(const std::string& path, const Interface& interface, std::string_view function) {
  std::string line = "tl predict " + quoted_for_shell(path);
  if (!function.empty()) line += " --function " + quoted_for_shell(function);
  for (const Feature& feature : interface.inputs)
    if (!feature.optional)
      line += " --input " + quoted_for_shell(feature.name + "=" + example_value(feature));
  return printable(line, 2000);
}

}  // namespace tl::cli
