// SPDX-License-Identifier: Apache-2.0
// Which kind of classic model is read by which function, and those that cannot run.
#include "format/coreml/classic/classic.h"

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/model_type.h"
#include "format/coreml/proto.h"
#include "op/ops.h"

namespace tl::coreml {
namespace {

using Lower = void(const Message&, Function&);

struct Row {
  std::uint32_t type;
  Lower* lower;
};

constexpr Row rows[] = {
    {300, lower_linear_regressor},
    {301, lower_vector_regressor},
    {302, [](const Message& m, Function& f) { lower_trees(m, f, false); }},
    {400, lower_linear_classifier},
    {401, lower_vector_classifier},
    {402, [](const Message& m, Function& f) { lower_trees(m, f, true); }},
    {404, lower_neighbours},
    {501, lower_recommender},
    {560, lower_thresholding},
    {600, lower_one_hot},
    {601, lower_imputer},
    {602, lower_feature_vectorizer},
    {603, lower_dictionary},
    {604, lower_scaler},
    {606, lower_category_map},
    {607, lower_normalizer},
    {609, lower_array_extractor},
    {610, lower_suppression},
    {900, [](const Message&, Function& f) { f.conversion = CopyFeatures{}; }},
    {2003, lower_sound},
};

std::string quoted(std::string_view name) { return name.empty() ? "" : text(" '{}'", printable(name)); }

std::string why_not(std::uint32_t type, const Message& message) {
  if (type == 555)
    return text("a customModel cannot be run: the code of its class{} is not in the file",
                quoted(message.text(10)));
  if (type == 3000)
    return text("a serializedModel{} cannot be run: its content is known to Apple's systems only",
                quoted(message.text(1)));
  return why_not_run(model_type(type));
}

}  // namespace

void lower_classic(std::uint32_t type, const Message& message, Function& function) {
  for (const Row& row : rows) {
    if (row.type != type) continue;
    try {
      return reading([&] { row.lower(message, function); });
    } catch (const Error& error) {
      if (error.code() != Code::unsupported) throw;
      function.why_not = error.what();
      return;
    }
  }
  function.why_not = why_not(type, message);
}

std::vector<std::pair<std::string, std::int64_t>> sizes_of(std::uint32_t type, const Message& message,
                                                           const Function& function) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  if (function.graph)
    for (const Node& node : function.graph->body.nodes) {
      auto length = [&](std::size_t input) { return function.graph->type(node.inputs[input]).shape[0]; };
      if (node.op == &ops::tree_ensemble)
        out.emplace_back("trees", length(1)), out.emplace_back("nodes", length(2));
      if (node.op == &ops::nearest)
        out.emplace_back("samples", length(1)), out.emplace_back("neighbours", node.attrs.integer("k"));
    }
  if (type == 301 || type == 401) {
    std::uint32_t sparse = type == 301 ? 2 : 3;
    std::size_t n = message.message(message.has(sparse) ? sparse : sparse + 1).messages(1).size();
    out.emplace_back("support vectors", static_cast<std::int64_t>(n));
  }
  if (type == 501 && function.conversion)
    out.emplace_back("items", std::get<Recommend>(*function.conversion).items.size());
  if (function.labels) out.emplace_back("classes", function.labels.size());
  return out;
}

}  // namespace tl::coreml
