// SPDX-License-Identifier: Apache-2.0
// `tl bench --table`: what was measured here beside what an Apple chip would take.
#pragma once
#include <optional>
#include <string>

namespace tl::cli {

struct Here {  // what was measured
  std::string device = {};
  double median_ms = 0, low_ms = 0, high_ms = 0;
  std::optional<double> joules = {};  // of a prediction
};

std::string device_table(const std::string& model, const std::string& function, const std::string& chip,
                         const Here&);

}  // namespace tl::cli
