// SPDX-License-Identifier: Apache-2.0
// From an element type to the C++ type that stores it: the one switch for code that is generic over both.
#pragma once
#include "base/error.h"
#include "base/text.h"
#include "ir/tensor.h"

namespace tl {

// Calls visit(T{}) with the C++ type that stores d. Throws Error for strings, sub-byte and 8-bit float types,
// which have none.
template <class Visit> void with_stored_type(DType d, const Visit& visit) {
  switch (d) {
    case DType::boolean: return visit(bool{});
    case DType::f16: return visit(Half{});
    case DType::f32: return visit(float{});
    case DType::f64: return visit(double{});
    case DType::bf16: return visit(BFloat{});
    case DType::i8: return visit(std::int8_t{});
    case DType::i16: return visit(std::int16_t{});
    case DType::i32: return visit(std::int32_t{});
    case DType::i64: return visit(std::int64_t{});
    case DType::u8: return visit(std::uint8_t{});
    case DType::u16: return visit(std::uint16_t{});
    case DType::u32: return visit(std::uint32_t{});
    case DType::u64: return visit(std::uint64_t{});
    default:
      throw Error(Code::unsupported, text("elements of type {} cannot be read as numbers", name_of(d)));
  }
}

}  // namespace tl
