// SPDX-License-Identifier: Apache-2.0
// MIL blob storage: a header of 64 bytes, then records of 64 bytes, each saying where its data is.
#include "format/coreml/blob.h"

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/reader.h"
#include "base/text.h"

namespace tl::coreml {
namespace {

constexpr std::uint64_t alignment = 64;

constexpr DType table[] = {DType::f16, DType::f32, DType::u8,  DType::i8,     DType::bf16,  DType::i16,
                           DType::u16, DType::i4,  DType::u1,  DType::u2,     DType::u4,    DType::u3,
                           DType::u6,  DType::i32, DType::u32, DType::f8e4m3, DType::f8e5m2};

std::optional<DType> blob_dtype(std::uint32_t number) {
  return number >= 1 && number <= std::size(table) ? std::optional(table[number - 1]) : std::nullopt;
}

BlobRecord read_record(Bytes bytes, std::uint64_t offset) {
  Reader in(bytes);
  in.skip(4);
  std::uint32_t version = in.u32();
  if (version != 1 && version != 2)
    throw Error(Code::unsupported, text("is blob storage of version {}; 1 and 2 can be read", version));
  in.seek(offset);
  BlobRecord r{in.u32(), in.u32(), in.u64(), in.u64(), 0};
  if (r.sentinel != blob_sentinel)
    throw Error(Code::bad_input, text("there is no blob at offset {}", offset));
  if (r.offset > bytes.size() || r.size > bytes.size() - r.offset)
    throw Error(Code::bad_input,
                text("the blob at offset {} ends at {}, after the file's end at {}", offset,
                     r.offset + r.size < r.size ? ~std::uint64_t{0} : r.offset + r.size, bytes.size()));
  if (r.size && (r.offset < alignment || (r.offset < offset + alignment && r.offset + r.size > offset)))
    throw Error(Code::bad_input, text("the blob at offset {} overlaps its own description: it begins at {}",
                                      offset, r.offset));
  return r;
}

}  // namespace

std::optional<std::uint32_t> blob_number(DType dtype) {
  for (std::size_t i = 0; i < std::size(table); ++i)
    if (table[i] == dtype) return static_cast<std::uint32_t>(i + 1);
  return std::nullopt;
}

Blob read_blob(const StoragePtr& file, std::uint64_t offset, const Type& type) {
  if (!type.is_tensor() || !type.is_concrete())
    throw Error(Code::bad_input, text("a blob cannot hold {}", text_of(type)));
  BlobRecord r = read_record({file->data(), file->size()}, offset);
  std::optional<DType> stored = blob_dtype(r.dtype);
  if (!stored || *stored != type.dtype)
    throw Error(Code::bad_input,
                text("the blob at offset {} holds {}, the program says {}", offset,
                     stored ? std::string(name_of(*stored)) : text("an unknown type ({})", r.dtype),
                     name_of(type.dtype)));
  std::uint64_t needed = bytes_of(type.dtype, volume(type.shape));
  if (r.size < needed)
    throw Error(Code::bad_input, text("the blob at offset {} has {} bytes, {} needs {}", offset, r.size,
                                      text_of(type), needed));
  if (r.offset % alignment == 0)
    return {file, r.offset, needed, Tensor(type.dtype, type.shape, file, r.offset)};
  Tensor copy(type.dtype, type.shape);  // kernels rely on alignment
  if (needed) std::memcpy(copy.writable_data(), file->data() + r.offset, needed);
  return {file, r.offset, needed, copy};
}

const StoragePtr& WeightFiles::file(std::string_view name) {
  if (auto found = files_.find(name); found != files_.end()) return found->second;
  constexpr std::string_view prefix = "@model_path/";
  std::string_view path = name;
  if (path.substr(0, prefix.size()) == prefix) path.remove_prefix(prefix.size());
  for (std::string_view part : split(path, '/'))
    if (part.empty() || part == ".." || part.find('\0') != std::string_view::npos)
      throw Error(Code::bad_input, text("'{}' is not a path inside the model", printable(name)));
  if (folder_.empty())
    throw Error(Code::bad_input,
                text("its weights are in '{}', which a single file does not have", printable(name)));
  return files_.emplace(std::string(name), map_file(join_path(folder_, path))).first->second;
}

Blob WeightFiles::read(std::string_view name, std::uint64_t offset, const Type& type) {
  const StoragePtr& storage = file(name);
  return with_note([&] { return std::string(name); }, [&] { return read_blob(storage, offset, type); });
}

}  // namespace tl::coreml
