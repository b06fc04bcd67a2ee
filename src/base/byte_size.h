// SPDX-License-Identifier: Apache-2.0
// Sizes as people write them: 512M, 4G.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace tl {

// Bytes; nothing where it is no such size. Zero is one.
std::optional<std::uint64_t> byte_size(const std::string& text);

}  // namespace tl
