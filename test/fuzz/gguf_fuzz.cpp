// SPDX-License-Identifier: Apache-2.0
// Fuzzes GGUF: the records, then every tensor that can be read.
#include "format/gguf/gguf.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tl::fuzz_tensors(data, size, [](const tl::StoragePtr& file) { return tl::gguf::parse_gguf(file); });
}
