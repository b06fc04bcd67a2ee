// SPDX-License-Identifier: Apache-2.0
// Fuzzes the plan cache's file. The input is the index in the clear: it is put under a true checksum first,
// half of the time, since none would be hit by chance.
#include <cstring>
#include <vector>

#include "model/cache_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> file(size);
  if (size) std::memcpy(file.data(), data, size);
  if (size >= 48 && size % 2 == 0) {
    std::uint64_t head[6];
    std::memcpy(head, file.data(), sizeof head);
    head[0] = 0x31304e414c504c54, head[1] = size, head[4] = head[5] = 0;
    std::size_t index = 48 + (head[2] + 7) / 8 * 8 + head[3] * 32;
    std::memcpy(file.data(), head, sizeof head);
    if (head[2] < size && head[3] < size && index <= size) {
      tl::Fingerprint sum = tl::Digest().add(head, sizeof head).add(file.data() + 48, index - 48).result();
      std::memcpy(file.data() + 32, sum.data(), sizeof sum);
    }
  }
  if (std::optional<tl::CacheContent> content = tl::parse_cache(file)) {
    volatile char last = content->owner.empty() ? '\0' : content->owner.back();
    for (const auto& [key, entry] : content->entries)
      if (entry.size) last = static_cast<char>(file.at(entry.offset + entry.size - 1));
    static_cast<void>(last);
  }
  return 0;
}
