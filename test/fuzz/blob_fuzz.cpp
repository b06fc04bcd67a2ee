// SPDX-License-Identifier: Apache-2.0
// Fuzzes weight.bin: two bytes choose element type and shape, the rest is the file.
#include <cstring>

#include "base/error.h"
#include "format/coreml/blob.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr tl::DType dtypes[] = {tl::DType::f32, tl::DType::f16, tl::DType::u8, tl::DType::i8,
                                  tl::DType::i16, tl::DType::i32, tl::DType::u1, tl::DType::u2,
                                  tl::DType::u3,  tl::DType::i4,  tl::DType::u4, tl::DType::u6};
  if (size < 2) return 0;
  try {
    tl::StoragePtr file = tl::allocate(size - 2);
    if (size > 2) std::memcpy(file->data(), data + 2, size - 2);
    tl::Type type(dtypes[data[0] % std::size(dtypes)], {data[1] % 16, data[1] / 16 + 1});
    tl::coreml::Blob blob = tl::coreml::read_blob(file, data[0] & 0x80 ? 0 : 64, type);
    volatile std::byte last{};
    if (blob.tensor.bytes()) last = blob.tensor.data()[blob.tensor.bytes() - 1];
    static_cast<void>(last);
  } catch (const tl::Error&) {}
  return 0;
}
