// SPDX-License-Identifier: Apache-2.0
// The chips that a report can be about, and the constants of the estimate.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "op/ane.h"

namespace tl::explain {

struct Chip {
  std::string_view name = {};
  char line = 'M';
  int generation = 1;
  double tflops = 0;    // of its Neural Engine, fp16
  double memory = 0;    // GB/s
  double floor_ms = 0;  // 0: not measured
  double knee_mb = 0;   // of working set
  double gpu_tflops = 0;
  std::string_view source = {};
};

std::span<const Chip> chips();
const Chip& chip_named(std::string_view name);  // without regard to case; throws Error that lists them
bool covers(const AneChips&, const Chip&);

namespace cost {
#define COST(name, value) inline constexpr double name = value;
#include "explain/cost.def"
#undef COST
}  // namespace cost

}  // namespace tl::explain
