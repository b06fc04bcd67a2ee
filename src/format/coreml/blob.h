// SPDX-License-Identifier: Apache-2.0
// Weights outside the program: the blobs of weight.bin, handed out as views of the mapped file.
#pragma once
#include <map>
#include <optional>

#include "ir/tensor.h"

namespace tl::coreml {

struct Blob {
  StoragePtr file = {};
  std::uint64_t offset = 0, bytes = 0;  // of the data
  Tensor tensor = {};
};

// What stands at the place that a program names; the data is elsewhere.
struct BlobRecord {
  std::uint32_t sentinel = 0, dtype = 0;
  std::uint64_t size = 0, offset = 0;  // of the data
  std::uint64_t unused_bits = 0;  // at the end of the last byte, of small integers; older files have noise
};
inline constexpr std::uint32_t blob_sentinel = 0xdeadbeef;
std::optional<std::uint32_t> blob_number(DType);  // nothing: such values are never outside the program

// The blob whose record is at `offset`. Throws Error where the record, its type or its size do not fit.
Blob read_blob(const StoragePtr& file, std::uint64_t offset, const Type&);

// The files that `@model_path` stands for, each mapped once.
class WeightFiles {
 public:
  // folder: what `@model_path` means; empty: there is none, and every reference is an error.
  explicit WeightFiles(std::string folder) : folder_(std::move(folder)) {}
  Blob read(std::string_view name, std::uint64_t offset, const Type&);

 private:
  const StoragePtr& file(std::string_view name);

  std::string folder_;
  std::map<std::string, StoragePtr, std::less<>> files_;
};

}  // namespace tl::coreml
