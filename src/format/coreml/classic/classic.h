// SPDX-License-Identifier: Apache-2.0
// The models of Core ML that are neither programs nor networks (coreml.md 7.2): each kind a function that
// reads its message into a graph or a conversion.
#pragma once
#include "format/coreml/network/message.h"
#include "ir/model_file.h"

namespace tl::coreml {

// By field number of Model's type: fills in graph, conversion or why_not of `function`, whose interface is
// set. Throws Error for what is wrong.
void lower_classic(std::uint32_t type, const Message&, Function&);

// What `tl show` says of how large it is: "trees" and 500.
std::vector<std::pair<std::string, std::int64_t>> sizes_of(std::uint32_t type, const Message&,
                                                           const Function&);

void lower_trees(const Message&, Function&, bool classifier);
void lower_linear_regressor(const Message&, Function&);
void lower_linear_classifier(const Message&, Function&);
void lower_vector_regressor(const Message&, Function&);
void lower_vector_classifier(const Message&, Function&);
void lower_neighbours(const Message&, Function&);
void lower_feature_vectorizer(const Message&, Function&);
void lower_array_extractor(const Message&, Function&);
void lower_scaler(const Message&, Function&);
void lower_normalizer(const Message&, Function&);
void lower_imputer(const Message&, Function&);
void lower_thresholding(const Message&, Function&);
void lower_suppression(const Message&, Function&);
void lower_sound(const Message&, Function&);
void lower_one_hot(const Message&, Function&);
void lower_category_map(const Message&, Function&);
void lower_dictionary(const Message&, Function&);
void lower_recommender(const Message&, Function&);

// A pipeline: every part must find its inputs among those of the pipeline and the outputs of earlier parts,
// and every output must come from somewhere. Throws Error naming the feature.
void check_wiring(const ModelFile&);

// The names of the file that a linked model refers to, best first, within the model's folder.
std::vector<std::string> linked_names(const Message&);

}  // namespace tl::coreml
