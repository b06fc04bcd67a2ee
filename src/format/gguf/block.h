// SPDX-License-Identifier: Apache-2.0
// How GGUF stores tensors: types of blocks, and blocks to numbers.
#pragma once
#include "base/reader.h"

namespace tl::gguf {

struct BlockType {
  std::uint32_t id = 0;         // as the file says it
  std::string_view name = {};   // as ggml spells it
  int elements = 1, bytes = 1;  // of one block
  // Writes `elements` numbers of each block; null: shown, not read.
  void (*read)(const std::byte* blocks, std::int64_t count, float* out) = nullptr;
};

const BlockType* block_type(std::uint32_t id);  // null: not a type, or one that was withdrawn
const BlockType* block_type(std::string_view name);

// The name that general.file_type stands for: "Q4_K_M"; "" for a number that has none.
std::string_view file_type_name(std::int64_t id);
// The block type of most weights in such a file: "Q4_K" of "Q4_K_M".
std::string_view main_block_of(std::string_view file_type);

}  // namespace tl::gguf
