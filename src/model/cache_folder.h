// SPDX-License-Identifier: Apache-2.0
// The folder of the plan cache: where it is, whether it can be trusted, and how much it may hold.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/reader.h"
#include "base/storage.h"

namespace tl {

struct CachePlace {
  std::string folder = {};
  std::uint64_t limit = std::uint64_t{2} << 30;  // bytes of all files in it
};

// $TL_CACHE, else $XDG_CACHE_HOME/tensorlogic, else ~/.cache/tensorlogic; nothing where none of them is set.
// The limit is $TL_CACHE_LIMIT.
std::optional<CachePlace> cache_place();

// The content of a file of the folder, mapped, which counts as a use of it. Null where there is none, and
// where the folder or the file is someone else's or others may write to it.
StoragePtr read_cached(const CachePlace&, const std::string& name);

// Puts these bytes, one after the other, into a file, and removes those that were not used for longest while
// the folder holds too much. The name is that of the old file or of the whole new one at any time. False
// where it cannot be written.
bool write_cached(const CachePlace&, const std::string& name, const std::vector<Bytes>& content);

}  // namespace tl
