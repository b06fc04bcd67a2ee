// SPDX-License-Identifier: Apache-2.0
// [header][owner, zeros to 8][index: fingerprint, offset, size][zeros to 64][entries, each with zeros to 64].
// Numbers are as this machine writes them: the file is of no use to another.
#include "model/cache_file.h"

#include <bit>
#include <cstring>

namespace tl {
namespace {

constexpr std::size_t line = 64;
constexpr std::uint64_t magic = 0x3130'4e41'4c50'4c54;  // "TLPLAN01" where the low byte comes first
constexpr std::size_t longest_owner = std::size_t{16} << 20;

struct Header {
  std::uint64_t magic = tl::magic, length = 0, owner_bytes = 0, entries = 0, checksum[2] = {};
};
struct Record {
  Fingerprint key = {};
  std::uint64_t offset = 0, size = 0;
};
static_assert(sizeof(Header) == 48 && sizeof(Record) == 32);

std::size_t rounded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

Fingerprint checksum_of(Header header, Bytes rest) {
  header.checksum[0] = header.checksum[1] = 0;
  return Digest().add(&header, sizeof header).add(rest.data(), rest.size()).result();
}

std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 31, x *= 0x7fb5d329728ea185;
  x ^= x >> 27, x *= 0x81dadef4bc2dd44d;
  return x ^ x >> 33;
}

void take(std::uint64_t& state, std::uint64_t word) {
  state = std::rotl((state ^ word) * 0x9e3779b97f4a7c15, 29);
}

}  // namespace

Digest& Digest::add(const void* from, std::size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  std::array<std::uint64_t, 4> words;
  std::array<std::uint64_t, 4> state = state_;
  std::size_t left = bytes;
  for (; left >= sizeof words; left -= sizeof words, at += sizeof words) {
    std::memcpy(words.data(), at, sizeof words);
    for (std::size_t i = 0; i < 4; ++i) take(state[i], words[i]);
  }
  words = {};
  if (left) std::memcpy(words.data(), at, left);
  for (std::size_t i = 0; i < 4; ++i) take(state[i], words[i]);
  for (std::size_t i = 0; i < 4; ++i) take(state[i], bytes);  // what ends here is not what goes on
  state_ = state;
  return *this;
}

Fingerprint Digest::result() const {
  Fingerprint result = {0x452821e638d01377, 0xbe5466cf34e90c6c};
  for (std::uint64_t word : state_) {
    result[0] = mixed(result[0] ^ word);
    result[1] = mixed(result[1] + std::rotl(word, 17));
  }
  return result;
}

std::optional<CacheContent> parse_cache(Bytes bytes) {
  Header header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != magic || header.length != bytes.size()) return std::nullopt;
  std::size_t left = bytes.size() - sizeof header;
  if (header.owner_bytes > longest_owner || rounded(header.owner_bytes, 8) > left) return std::nullopt;
  std::size_t index_at = sizeof header + rounded(header.owner_bytes, 8);
  if (header.entries > (bytes.size() - index_at) / sizeof(Record)) return std::nullopt;
  std::size_t index_end = index_at + header.entries * sizeof(Record);
  Fingerprint sum = checksum_of(header, bytes.subspan(sizeof header, index_end - sizeof header));
  if (sum[0] != header.checksum[0] || sum[1] != header.checksum[1]) return std::nullopt;
  CacheContent content;
  content.owner = {reinterpret_cast<const char*>(bytes.data()) + sizeof header, header.owner_bytes};
  for (std::size_t i = 0; i < header.entries; ++i) {
    Record r;
    std::memcpy(&r, bytes.data() + index_at + i * sizeof r, sizeof r);
    bool within = r.offset % line == 0 && r.offset >= index_end && r.offset <= bytes.size() &&
                  r.size <= bytes.size() - r.offset;
    if (!within || !content.entries.emplace(r.key, CacheEntry{r.offset, r.size}).second) return std::nullopt;
  }
  return content;
}

CacheLayout lay_out_cache(std::string_view owner, const std::map<Fingerprint, Bytes>& entries) {
  CacheLayout layout;
  Header header;
  header.owner_bytes = owner.size(), header.entries = entries.size();
  std::size_t index_at = sizeof header + rounded(owner.size(), 8);
  std::size_t index_end = index_at + entries.size() * sizeof(Record), at = rounded(index_end, line);
  layout.head.resize(at);
  std::memcpy(layout.head.data() + sizeof header, owner.data(), owner.size());
  std::byte* to = layout.head.data() + index_at;
  for (const auto& [key, content] : entries) {
    Record record{key, at, content.size()};
    std::memcpy(to, &record, sizeof record);
    to += sizeof record;
    layout.gaps.push_back(rounded(content.size(), line) - content.size());
    at += content.size() + layout.gaps.back();
  }
  header.length = at;
  Bytes rest(layout.head.data() + sizeof header, index_end - sizeof header);
  Fingerprint sum = checksum_of(header, rest);
  header.checksum[0] = sum[0], header.checksum[1] = sum[1];
  std::memcpy(layout.head.data(), &header, sizeof header);
  return layout;
}

}  // namespace tl
