// SPDX-License-Identifier: Apache-2.0
// The energy that the processor here took, where the system lets it be read (RAPL on Linux).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tl::cli {

class PowerMeter {
 public:
  PowerMeter();  // starts now
  // Joules since then, of all processor packages; nothing where no counter can be read.
  std::optional<double> joules() const;

 private:
  struct Counter {
    std::string path = {};
    std::uint64_t start = 0, range = 0;  // microjoules; it begins again at 0 after `range`
  };
  std::vector<Counter> counters_ = {};
};

}  // namespace tl::cli
