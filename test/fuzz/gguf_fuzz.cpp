// SPDX-License-Identifier: Apache-2.0
// Fuzzes GGUF: the records, then every tensor that can be read.
#include <cstring>

#include "base/error.h"
#include "format/gguf/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tl::StoragePtr file = tl::allocate(size);
    if (size) std::memcpy(file->data(), data, size);
    tl::ModelFile model = tl::gguf::parse_gguf(file);
    for (const tl::NamedTensor& t : model.tensors) {
      if (!t.readable) continue;
      tl::Tensor tensor = model.read_tensor(t);
      volatile std::byte last = tensor.bytes() ? tensor.data()[tensor.bytes() - 1] : std::byte{};
      static_cast<void>(last);
    }
  } catch (const tl::Error&) {}
  return 0;
}
