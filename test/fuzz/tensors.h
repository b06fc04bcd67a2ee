// SPDX-License-Identifier: Apache-2.0
// What fuzzing a file of tensors is: parse, then read every tensor that can be read.
#pragma once
#include <cstring>

#include "base/error.h"
#include "ir/model_file.h"

namespace tl {

template <class Parse> int fuzz_tensors(const std::uint8_t* data, std::size_t size, const Parse& parse) {
  try {
    StoragePtr file = allocate(size);
    if (size) std::memcpy(file->data(), data, size);
    ModelFile model = parse(file);
    for (const NamedTensor& t : model.tensors) {
      if (!t.readable) continue;
      Tensor tensor = model.read_tensor(t);
      volatile std::byte last = tensor.bytes() ? tensor.data()[tensor.bytes() - 1] : std::byte{};
      static_cast<void>(last);
    }
  } catch (const Error&) {}
  return 0;
}

}  // namespace tl
