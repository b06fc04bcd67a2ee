// SPDX-License-Identifier: Apache-2.0
// A file of the plan cache: whose it is, where each entry lies, and the entries, aligned to 64 bytes.
#pragma once
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reader.h"

namespace tl {

// 128 bits of all that was added, in this order; not meant against those who look for two that agree.
using Fingerprint = std::array<std::uint64_t, 2>;

class Digest {
 public:
  Digest& add(const void* from, std::size_t bytes);
  Digest& add(std::string_view text) { return add(text.data(), text.size()); }
  Fingerprint result() const;

 private:
  std::array<std::uint64_t, 4> state_ = {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0,
                                         0x082efa98ec4e6c89};
};

struct CacheEntry {
  std::size_t offset = 0, size = 0;
};

struct CacheContent {
  std::string_view owner = {};  // what it is made of and for; into the bytes
  std::map<Fingerprint, CacheEntry> entries = {};
};

// Nothing where the bytes are no such file, or one that was damaged: all of it but the entries' own bytes is
// under a checksum, and every place is within the file.
std::optional<CacheContent> parse_cache(Bytes);

// What stands before the entries, and between them.
struct CacheLayout {
  std::vector<std::byte> head = {};
  std::vector<std::size_t> gaps = {};  // zeros after each entry, in the order of the map
};
CacheLayout lay_out_cache(std::string_view owner, const std::map<Fingerprint, Bytes>& entries);

}  // namespace tl
