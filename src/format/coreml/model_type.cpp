// SPDX-License-Identifier: Apache-2.0
// Field numbers of Model.Type; those of layers are in network/layer.def.
#include "format/coreml/model_type.h"

#include "base/text.h"

namespace tl::coreml {
namespace {

struct Row {
  std::uint32_t field;
  std::string_view name;
};

constexpr Row model_types[] = {{200, "pipelineClassifier"},
                               {201, "pipelineRegressor"},
                               {202, "pipeline"},
                               {300, "glmRegressor"},
                               {301, "supportVectorRegressor"},
                               {302, "treeEnsembleRegressor"},
                               {303, "neuralNetworkRegressor"},
                               {304, "bayesianProbitRegressor"},
                               {400, "glmClassifier"},
                               {401, "supportVectorClassifier"},
                               {402, "treeEnsembleClassifier"},
                               {403, "neuralNetworkClassifier"},
                               {404, "kNearestNeighborsClassifier"},
                               {500, "neuralNetwork"},
                               {501, "itemSimilarityRecommender"},
                               {502, "mlProgram"},
                               {555, "customModel"},
                               {556, "linkedModel"},
                               {560, "classConfidenceThresholding"},
                               {600, "oneHotEncoder"},
                               {601, "imputer"},
                               {602, "featureVectorizer"},
                               {603, "dictVectorizer"},
                               {604, "scaler"},
                               {606, "categoricalMapping"},
                               {607, "normalizer"},
                               {609, "arrayFeatureExtractor"},
                               {610, "nonMaximumSuppression"},
                               {900, "identity"},
                               {2000, "textClassifier"},
                               {2001, "wordTagger"},
                               {2002, "visionFeaturePrint"},
                               {2003, "soundAnalysisPreprocessing"},
                               {2004, "gazetteer"},
                               {2005, "wordEmbedding"},
                               {2006, "audioFeaturePrint"},
                               {3000, "serializedModel"}};

bool one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  for (std::string_view t : types)
    if (t == type) return true;
  return false;
}

}  // namespace

std::string_view model_type(std::uint32_t field) {
  for (const Row& row : model_types)
    if (row.field == field) return row.name;
  return {};
}

std::uint32_t number_of(std::string_view type) {
  for (const Row& row : model_types)
    if (row.name == type) return row.field;
  return 0;
}

std::string why_not_run(std::string_view type) {
  if (one_of(type, {"visionFeaturePrint", "audioFeaturePrint"}))
    return text("{} {} cannot be run: its weights are part of Apple's systems and not in the file",
                type.front() == 'a' ? "an" : "a", type);
  if (one_of(type, {"textClassifier", "wordTagger", "gazetteer", "wordEmbedding", "serializedModel"}))
    return text("a {} cannot be run: its content is known to Apple's systems only", type);
  if (type == "customModel") return "a customModel cannot be run: its code is not in the file";
  return text("a {} cannot be run: this version does not support it", type);
}

}  // namespace tl::coreml
