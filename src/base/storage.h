// SPDX-License-Identifier: Apache-2.0
// Bytes with an owner that is shared: allocated, mapped from a file, or strings. The one shared thing of the
// program.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tl {

class Storage {
 public:
  virtual ~Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  // Mapped files are read-only: whoever wants to write copies first.
  bool writable() const { return writable_; }
  // Tells the system that the pages of these bytes need not stay in memory; they are read again when touched.
  virtual void release(std::size_t /*offset*/, std::size_t /*size*/) const {}

 protected:
  Storage() = default;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool writable_ = true;
};

using StoragePtr = std::shared_ptr<Storage>;

// Uninitialised bytes, aligned to 64. Throws Error(out_of_memory) when there are not that many.
StoragePtr allocate(std::size_t size);

// A whole file, read-only, mapped. Throws an Error that names the path and the system's reason.
StoragePtr map_file(const std::string& path);

// The strings of a string tensor; data() points at std::string objects.
StoragePtr keep_strings(std::vector<std::string> strings);

}  // namespace tl
