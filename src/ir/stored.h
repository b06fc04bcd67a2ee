// SPDX-License-Identifier: Apache-2.0
// Plain numbers that a file holds as a tensor: what the readers of weights give for types that need no
// arithmetic.
#pragma once
#include <algorithm>

#include "ir/model_file.h"

namespace tl {

// A view of the file where its bytes lie as the processor wants them, else a copy: formats do not promise
// alignment, and a truth value is any byte.
inline Tensor stored_tensor(const NamedTensor& t, DType dtype) {
  Tensor view(dtype, t.shape, t.file, t.offset);
  auto place = reinterpret_cast<std::uintptr_t>(view.data());
  const auto* bytes = reinterpret_cast<const unsigned char*>(view.data());
  bool aligned = place % static_cast<std::size_t>(std::max(1, bits_of(dtype) / 8)) == 0;
  bool truths = dtype == DType::boolean;
  if (aligned && !(truths && std::any_of(bytes, bytes + view.bytes(), [](unsigned char b) { return b > 1; })))
    return view;
  Tensor copy(dtype, t.shape);
  auto* to = reinterpret_cast<unsigned char*>(copy.writable_data());
  std::transform(bytes, bytes + view.bytes(), to, [truths](unsigned char b) { return truths ? b != 0 : b; });
  return copy;
}

}  // namespace tl
