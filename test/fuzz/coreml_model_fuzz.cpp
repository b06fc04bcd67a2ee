// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of Core ML's Model: description, MIL program, networks, pipelines, down to the graph.
#include "base/error.h"
#include "format/coreml/model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tl::coreml::read_model(std::as_bytes(std::span(data, size)), "");
  } catch (const tl::Error&) {}
  return 0;
}
