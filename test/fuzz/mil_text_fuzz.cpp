// SPDX-License-Identifier: Apache-2.0
// Fuzzes the parser of model.mil, down to the graph.
#include "base/error.h"
#include "format/coreml/mil_text.h"
#include "format/coreml/program.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tl::ModelFile file;
    tl::coreml::WeightFiles none("");
    auto program = tl::coreml::parse_mil({reinterpret_cast<const char*>(data), size});
    tl::coreml::lower_program(program, {}, none, file);
  } catch (const tl::Error&) {}
  return 0;
}
