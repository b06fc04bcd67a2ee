// SPDX-License-Identifier: Apache-2.0
// SafeTensors: u64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}},
// "__metadata__"), then the data, without holes. A model in several files has an index: JSON with a
// "weight_map" from name to file.
#pragma once
#include "base/reader.h"
#include "ir/model_file.h"

namespace tl::safetensors {

ModelFile read_safetensors(const std::string& path);
ModelFile read_index(const std::string& path);  // a sharded model: all tensors of all its files

ModelFile parse_safetensors(const StoragePtr& file);  // of bytes at hand (fuzzing)

using NamedArrays = std::vector<std::pair<std::string, Tensor>>;
using Texts = std::vector<std::pair<std::string, std::string>>;  // __metadata__
void write_safetensors(const std::string& path, const NamedArrays&, const Texts& metadata = {});

}  // namespace tl::safetensors
