// SPDX-License-Identifier: Apache-2.0
// Several predictions at once: arrays with one more dimension than a feature declares are taken apart into
// rows, and results of rows are stacked again.
#pragma once
#include "model/value.h"

namespace tl {

struct Rows {
  std::vector<Features> rows = {};
  bool batch = false;  // false: one prediction, and `rows` holds just that
};

// Features with the extra dimension must agree in length; the others are the same in every row.
Rows rows_of(const Features&, const Interface&);

// One array per output, [rows, …]. Throws Error for outputs that no array holds, or whose shapes differ.
Features stacked(std::span<const Features> rows);

// A result as an array, numbers with rank 0, text as strings; nothing for dictionaries.
std::optional<Tensor> array_of(const FeatureValue&);

}  // namespace tl
