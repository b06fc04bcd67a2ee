// SPDX-License-Identifier: Apache-2.0
// Numbers as a network stores them (coreml.md 6.5), and the operation that stands for them while they are
// still bytes of the file: plans expand it where a kernel packs the weight.
#pragma once
#include <string_view>

#include "ir/op_def.h"

namespace tl::coreml {

struct StoredForm {
  std::int64_t field = 1;  // of WeightParams: 1 fp32, 2 fp16, 30 codes, 31 int8
  std::int64_t bits = 32;
  std::int64_t axis = 0;  // of the scales
  std::vector<double> scale = {}, bias = {}, table = {};
};

Tensor decoded(std::string_view data, const StoredForm&, Shape);  // fp32

// Of bytes; no operation of the language or of MIL, so it is in no list. It decomposes into a constant.
extern const OpDef stored_weight;
Attrs stored_attrs(const StoredForm&, const Shape&);

}  // namespace tl::coreml
