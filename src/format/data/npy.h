// SPDX-License-Identifier: Apache-2.0
// NumPy's files: .npy (one array) and .npz (several by name). Versions 1 to 3; either byte order and memory
// order is read, little-endian C order is written. Types: bool, (u)int8–64, float16–64, fixed-length strings.
#pragma once
#include <utility>

#include "base/reader.h"
#include "ir/tensor.h"

namespace tl::data {

using NamedArrays = std::vector<std::pair<std::string, Tensor>>;

Tensor parse_npy(Bytes content);
std::vector<std::byte> format_npy(const Tensor&);  // strings as U, of the longest one's length

Tensor read_npy(const std::string& path);
void write_npy(const std::string& path, const Tensor&);
NamedArrays read_npz(const std::string& path);
void write_npz(const std::string& path, const NamedArrays&);

}  // namespace tl::data
