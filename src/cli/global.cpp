// SPDX-License-Identifier: Apache-2.0
// The global options made effective.
#include <sys/resource.h>

#include <cstdio>

#include "base/byte_size.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"

namespace tl::cli {
namespace {

std::uint64_t bytes_of_text(const std::string& given) {
  std::optional<std::uint64_t> bytes = byte_size(given);
  if (!bytes || *bytes == 0)
    throw Error(Code::bad_use, text("--max-memory: '{}' is not a size such as 512M or 4G", printable(given)));
  return *bytes;
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
  settings.cache = no_cache ? std::nullopt : cache_place();
  return std::make_unique<Runtime>(settings);
}

void Global::notice(const std::string& line) const {
  if (!quiet) std::fprintf(stderr, "tl: %s\n", line.c_str());
}

}  // namespace tl::cli
