// SPDX-License-Identifier: Apache-2.0
// The edge of a graph that computes on rows: numbers, arrays and dictionaries as rows of numbers, one example
// or many at once, and rows back to features.
#pragma once
#include "model/value.h"

namespace tl {

struct RowInputs {
  std::vector<Tensor> values = {};  // fp64 [rows, n], in the order of the graph's inputs
  std::int64_t rows = 1;
  bool batch = false;  // a value had one more dimension than its feature
};

// A missing optional input takes its default in every row.
RowInputs rows_of_inputs(const Function&, const Features&);

// Of one example as the declared feature; of a batch as an array, [rows] or [rows, …], dictionaries as an
// array [rows, classes].
FeatureValue from_rows(const Function&, const Feature&, const Tensor&, bool batch);

}  // namespace tl
