// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of .npy: what is read can be written and read again.
#include "base/error.h"
#include "format/data/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tl::Tensor t = tl::data::parse_npy(std::as_bytes(std::span(data, size)));
    tl::Tensor again = tl::data::parse_npy(tl::data::format_npy(t));
    TL_ASSERT(again.shape() == t.shape());
  } catch (const tl::Error&) {}
  return 0;
}
