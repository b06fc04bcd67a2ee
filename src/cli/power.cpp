// SPDX-License-Identifier: Apache-2.0
// Linux's power capping interface, one counter per package.
#include "cli/power.h"

#include <cstdio>
#include <memory>

#include "base/text.h"

namespace tl::cli {
namespace {

constexpr int most_packages = 16;

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), std::fclose);
  unsigned long long value = 0;
  if (!file || std::fscanf(file.get(), "%llu", &value) != 1) return {};
  return value;
}

}  // namespace

PowerMeter::PowerMeter() {
  for (int i = 0; i < most_packages; ++i) {
    std::string folder = text("/sys/class/powercap/intel-rapl:{}", i);
    std::optional<std::uint64_t> now = number_in(folder + "/energy_uj");
    if (!now) break;
    counters_.push_back(
        {folder + "/energy_uj", *now, number_in(folder + "/max_energy_range_uj").value_or(0)});
  }
}

std::optional<double> PowerMeter::joules() const {
  if (counters_.empty()) return {};
  double sum = 0;
  for (const Counter& counter : counters_) {
    std::optional<std::uint64_t> now = number_in(counter.path);
    if (!now) return {};
    sum += static_cast<double>(*now >= counter.start ? *now - counter.start
                                                     : *now + counter.range - counter.start);
  }
  return sum * 1e-6;
}

}  // namespace tl::cli
