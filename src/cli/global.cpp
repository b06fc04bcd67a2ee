// SPDX-License-Identifier: Apache-2.0
// The global options made effective.
#include <sys/resource.h>

#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"

namespace tl::cli {
namespace {

std::uint64_t bytes_of_text(const std::string& given) {
  constexpr std::string_view units = "KMGT";
  char unit = 0, more = 0;
  double n = 0;
  int read = std::sscanf(given.c_str(), "%lf%c%c", &n, &unit, &more);
  std::size_t power = read >= 2 ? units.find(unit) + 1 : 0;
  if (read < 1 || read > 2 || n <= 0 || (read == 2 && power == 0))
    throw Error(Code::bad_use, text("--max-memory: '{}' is not a size such as 512M or 4G", printable(given)));
  for (; power > 0; --power) n *= 1024;
  return static_cast<std::uint64_t>(n);
}

}  // namespace

std::unique_ptr<Runtime> Global::runtime() {
  if (device != "auto" && device != "cpu")
    throw Error(Code::bad_use, text("there is no device '{}' here; there is cpu", printable(device)));
  if (!isa.empty()) settings.isa = isa_named(isa);
  if (!max_memory.empty()) {
    struct rlimit limit {};
    limit.rlim_cur = limit.rlim_max = bytes_of_text(max_memory);
    setrlimit(RLIMIT_DATA, &limit);
  }
  return std::make_unique<Runtime>(settings);
}

void Global::notice(const std::string& line) const {
  if (!quiet) std::fprintf(stderr, "tl: %s\n", line.c_str());
}

}  // namespace tl::cli
