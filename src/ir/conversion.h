// SPDX-License-Identifier: Apache-2.0
// What a model does to features that no tensor holds: words, categories, dictionaries, lists of items. Data
// that a reader fills in and model/convert.cpp carries out.
#pragma once
#include <optional>

#include "ir/op_def.h"

namespace tl {

struct CopyFeatures {};  // the outputs are the inputs

struct MapCategories {  // one word or number for another; of a sequence each
  Tensor keys = {}, values = {};
  std::optional<Tensor> otherwise = {};  // one element; none: an unknown key is an error
};

struct EncodeCategory {  // the place of a word or number among those known, as an array with a one there
  Tensor categories = {};
  bool ignore_unknown = false;
};

struct IndexDictionary {  // the places of a dictionary's keys among those known
  Tensor keys = {};
};

struct FillIn {  // what stands for a missing word, or for missing values of a dictionary
  std::string word = {}, missing_word = {};
  Dictionary dictionary = {};
  std::optional<double> missing_number = {};  // besides NaN
};

struct Recommend {  // items that go with those given
  Tensor items = {};
  std::vector<std::int64_t> first = {};  // the entries of item i are first[i] to first[i + 1]
  std::vector<std::int64_t> similar = {};
  std::vector<double> score = {}, adjustment = {};                       // per entry, per item
  std::string given = {}, count = {}, restriction = {}, exclusion = {};  // names of inputs
  std::string list = {}, scores = {};                                    // names of outputs
};

using Conversion =
    std::variant<CopyFeatures, MapCategories, EncodeCategory, IndexDictionary, FillIn, Recommend>;

}  // namespace tl
