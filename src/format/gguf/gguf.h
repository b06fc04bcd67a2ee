// SPDX-License-Identifier: Apache-2.0
// GGUF: magic "GGUF", u32 version (2 or 3), u64 tensors, u64 key-values; the key-values (text key, u32 type,
// value); the tensor records (text name, u32 rank, u64 dims innermost first, u32 type, u64 offset); then,
// from the next multiple of general.alignment (32 if not said) on, the data. Text is u64 length and bytes.
// All little-endian.
#pragma once
#include "base/reader.h"
#include "ir/model_file.h"

namespace tl::gguf {

// Throws Error that names the file, the place and the reason.
ModelFile read_gguf(const std::string& path);

// The same of bytes at hand, whose owner `file` keeps (fuzzing).
ModelFile parse_gguf(const StoragePtr& file);

}  // namespace tl::gguf
