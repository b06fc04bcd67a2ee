// SPDX-License-Identifier: Apache-2.0
// Fuzzes coremldata.bin: its layouts, and the description or model in it.
#include "base/error.h"
#include "format/coreml/coremldata.h"
#include "format/coreml/description.h"
#include "format/coreml/model.h"
#include "format/coreml/proto.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tl::Bytes bytes = std::as_bytes(std::span(data, size));
  try {
    tl::coreml::CompiledData compiled = tl::coreml::read_coremldata(bytes);
    tl::ModelFile file;
    if (!compiled.model.empty()) tl::coreml::read_model(tl::as_bytes(compiled.model), "");
    else tl::coreml::reading([&] { return tl::coreml::read_description(compiled.description, file); });
  } catch (const tl::Error&) {}
  try {
    tl::coreml::read_model_names(bytes);
  } catch (const tl::Error&) {}
  return 0;
}
