// SPDX-License-Identifier: Apache-2.0
// A program in a table: what `tl show` says about each kind of operation.
#pragma once
#include "ir/model_file.h"

namespace tl {

struct OperationRow {
  std::string name = {};
  std::int64_t count = 0, parameters = 0;  // parameters: elements of weights, each counted once
  std::optional<std::int64_t> multiply_adds = {
      0};  // at the default shapes; nothing: they depend on the input
  std::vector<std::pair<std::string, std::uint64_t>> bytes = {};  // of weights, by element type: "fp16"
};

// Most frequent first; blocks count with all that is in them, once.
std::vector<OperationRow> operation_table(const Function&);

}  // namespace tl
