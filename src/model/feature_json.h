// SPDX-License-Identifier: Apache-2.0
// Features as JSON: an object {name: value}, or a list of them for a batch. Tensors are nested lists,
// dictionaries objects; images are lists of rows.
#pragma once
#include "format/data/json.h"
#include "model/batch.h"

namespace tl {

// A number, text, nested lists of equal lengths, or an object from keys to numbers.
FeatureValue value_of_json(const data::Json&);

Rows features_of_json(const data::Json&);

// Classifier dictionaries by descending value.
std::string json_of(const FeatureValue&);
std::string json_of(const Features&);
std::string json_of(std::span<const Features> rows);

// Entries by descending value, ties in their order.
struct DictionaryEntry {
  std::string key = {};
  double value = 0;
};
std::vector<DictionaryEntry> sorted_entries(const Dictionary&);

}  // namespace tl
