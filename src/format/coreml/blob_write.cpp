// SPDX-License-Identifier: Apache-2.0
// MIL blob storage, version 2: a header, then a record and its data for each constant, all on multiples
// of 64.
#include "format/coreml/blob_write.h"

#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/coreml/blob.h"

namespace tl::coreml {
namespace {

constexpr std::uint64_t alignment = 64;
constexpr std::int64_t fewest = 10;  // elements of a constant outside the program
constexpr int ios18 = 8;

std::uint64_t aligned(std::uint64_t at) { return (at + alignment - 1) / alignment * alignment; }

class OutFile {
 public:
  explicit OutFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
    if (!file_) fail();
  }
  ~OutFile() {
    if (file_) std::fclose(file_);
  }
  void put(const void* data, std::size_t size) {
    if (size && std::fwrite(data, 1, size, file_) != size) fail();
    at_ += size;
  }
  void pad_to(std::uint64_t at) {
    constexpr char zeros[alignment] = {};
    while (at_ < at) put(zeros, static_cast<std::size_t>(std::min(at - at_, alignment)));
  }
  void close() {
    std::FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(Code::bad_input, text("{}: cannot be written: {}", path_, std::strerror(errno)));
  }
  const std::string& path_;
  std::FILE* file_;
  std::uint64_t at_ = 0;
};

}  // namespace

bool BlobWriter::takes(const Tensor& t, int opset) {
  if (t.size() < fewest || !blob_number(t.dtype())) return false;
  switch (t.dtype()) {
    case DType::f16:
    case DType::f32:
    case DType::u8:
    case DType::i8: return true;
    default: return opset >= ios18;
  }
}

std::uint64_t BlobWriter::add(const Tensor& t) {
  auto [known, fresh] = known_.try_emplace({t.storage().get(), t.offset(), t.bytes(), t.dtype()}, end_);
  if (fresh) {
    blobs_.push_back({t, end_});
    end_ = aligned(end_ + alignment + t.bytes());
  }
  return known->second;
}

void BlobWriter::write(const std::string& path) const {
  OutFile out(path);
  const std::uint32_t header[2] = {static_cast<std::uint32_t>(blobs_.size()), 2};
  out.put(header, sizeof header);
  for (const Placed& blob : blobs_) {
    out.pad_to(blob.record);
    std::uint64_t bytes = blob.tensor.bytes();
    std::uint64_t used = static_cast<std::uint64_t>(blob.tensor.size()) *
                         static_cast<std::uint64_t>(bits_of(blob.tensor.dtype()));
    BlobRecord record{blob_sentinel, *blob_number(blob.tensor.dtype()), bytes, blob.record + alignment,
                      bytes * 8 - used};
    out.put(&record, sizeof record);
    out.pad_to(record.offset);
    out.put(blob.tensor.data(), static_cast<std::size_t>(bytes));
  }
  if (blobs_.empty()) out.pad_to(alignment);
  out.close();
}

}  // namespace tl::coreml
