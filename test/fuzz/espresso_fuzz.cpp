// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of Espresso nets, down to the graph. The input: the length of the net in two bytes, the
// net, the weights.
#include "base/error.h"
#include "format/coreml/espresso/espresso.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  tl::Bytes all = std::as_bytes(std::span(data, size)).subspan(2);
  std::size_t length = std::min<std::size_t>(all.size(), data[0] | data[1] << 8);
  tl::Function function;
  function.interface.inputs = {{.name = "x", .shape = {4}}};
  function.interface.outputs = {{.name = "y", .shape = {4}}};
  try {
    tl::coreml::lower_espresso({all.first(length), {}, all.subspan(length)}, 500, function);
  } catch (const tl::Error&) {}
  return 0;
}
