// SPDX-License-Identifier: Apache-2.0
// Follows changed names through the interfaces of a pipeline.
#include "model/pipeline_name.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

template <class Visit> void each_name(ModelFile& file, const Visit& visit) {
  for (Function& f : file.functions) {
    Interface& i = f.interface;
    for (auto* features : {&i.inputs, &i.outputs, &i.states})
      for (Feature& feature : *features) visit(feature.name);
    visit(i.predicted_feature);
    visit(i.predicted_probabilities);
  }
  for (auto& [name, part] : file.parts) each_name(part, visit);
}

// Their messages have names of features, which are not rewritten.
bool has_names_inside(const ModelFile& file) {
  constexpr std::string_view types[] = {"featureVectorizer", "nonMaximumSuppression",
                                        "itemSimilarityRecommender", "customModel"};
  return std::find(std::begin(types), std::end(types), file.type) != std::end(types);
}

void check_parts(ModelFile& file, const std::string& old) {
  for (auto& [name, part] : file.parts) {
    check_parts(part, old);
    if (!has_names_inside(part)) continue;
    each_name(part, [&, &part_name = name](const std::string& feature) {
      if (feature == old)
        throw Error(Code::unsupported,
                    text("'{}' is not a name that programs may have, and part '{}' cannot call it otherwise",
                         printable(old), printable(part_name)));
    });
  }
}

}  // namespace

void rename_in_pipeline(ModelFile& pipeline, const Renamed& changed) {
  for (const auto& [old, now] : changed) {
    check_parts(pipeline, old);
    bool left = false, taken = false;
    each_name(pipeline, [&, &was = old](const std::string& name) { left = left || name == was; });
    if (!left) continue;  // followed already
    for (const auto& [name, part] : pipeline.parts)
      for (const Function& f : part.functions)
        for (const auto* features : {&f.interface.inputs, &f.interface.outputs})
          for (const Feature& feature : *features)
            taken = taken || (part.message.type && feature.name == now);
    if (taken)
      throw Error(Code::unsupported,
                  text("'{}' is not a name that programs may have, and '{}' is taken", printable(old), now));
    each_name(pipeline, [&, &was = old, &is = now](std::string& name) {
      if (name == was) name = is;
    });
  }
}

}  // namespace tl
