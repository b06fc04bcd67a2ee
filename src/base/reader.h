// SPDX-License-Identifier: Apache-2.0
// The bounds-checked way through untrusted bytes: every format reader takes its bytes here.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.h"

namespace tl {

using Bytes = std::span<const std::byte>;

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

// Little-endian values and counted runs, in order, from bytes that it borrows.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  bool done() const { return left() == 0; }

  Bytes take(std::uint64_t n) {
    if (n > left()) ends_early();
    Bytes run = bytes_.subspan(at_, static_cast<std::size_t>(n));
    at_ += static_cast<std::size_t>(n);
    return run;
  }
  Bytes peek(std::size_t n) const { return bytes_.subspan(at_, n < left() ? n : left()); }
  void skip(std::uint64_t n) { take(n); }
  void seek(std::uint64_t at) {
    at_ = 0;
    take(at);
  }
  template <class T> T value() {
    static_assert(std::is_trivially_copyable_v<T> && std::endian::native == std::endian::little);
    T x;
    std::memcpy(&x, take(sizeof x).data(), sizeof x);
    return x;
  }
  std::uint32_t u32() { return value<std::uint32_t>(); }
  std::uint64_t u64() { return value<std::uint64_t>(); }
  // A u64 length, then that many bytes.
  std::string_view counted_text() { return as_text(take(u64())); }

 private:
  [[noreturn]] void ends_early() const;

  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace tl
