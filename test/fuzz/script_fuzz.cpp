// SPDX-License-Identifier: Apache-2.0
// Any bytes as a script: scanned, parsed, checked, reported; never run.
#include <cstdint>

#include "lang/parse.h"
#include "lang/scan.h"
#include "lang/unit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tl::lang;
  constexpr std::size_t largest = 1 << 16;
  if (size > largest) return 0;
  Unit unit;
  Chunk& chunk = unit.chunks.emplace_back();
  chunk.source =
      std::make_unique<Source>(Source{"x.tl", std::string(reinterpret_cast<const char*>(data), size)});
  is_incomplete(*chunk.source);
  Diagnostics errors;
  chunk.tree = parse(*chunk.source, errors);
  Import import = [](const std::string& path, const Unit&) -> Unit& {
    throw tl::Error(tl::Code::bad_input, path + ": no such file");
  };
  check(unit, chunk, import, errors);
  errors.report();
  return 0;
}
