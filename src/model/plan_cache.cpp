// SPDX-License-Identifier: Apache-2.0
// What a file is good for is written in it as text and compared as a whole: this program's file, this machine
// since it was started (a file need not have reached the disk before), the settings, the model's files.
#include "model/plan_cache.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/program_identity.h"

namespace tl {
namespace {

constexpr std::size_t smallest_entry = std::size_t{4} << 10;  // less is packed sooner than found
constexpr std::size_t least_written = std::size_t{1} << 20;   // bytes that are worth a file

class Section final : public Storage {  // of the mapped file, which it keeps
 public:
  Section(StoragePtr file, CacheEntry entry) : file_(std::move(file)) {
    data_ = file_->data() + entry.offset, size_ = entry.size;
    writable_ = false;
  }

 private:
  StoragePtr file_;
};

Bytes bytes_of(const Storage& storage) { return {storage.data(), storage.size()}; }

std::string settings_of(const ModelSource& source, const Runtime& runtime) {
  return text("{} {} {}\n{}\n{}\n", name_of(runtime.machine().isa), runtime.settings().precision,
              machine_name(), source.path, source.part);
}

std::string hex_name(std::string_view text_of_name) {
  Fingerprint name = Digest().add(text_of_name).result();
  return text("{:016x}{:016x}.plan", name[0], name[1]);
}

}  // namespace

PlanCache::PlanCache(ModelSource source, const Runtime& runtime)
    : place_(*runtime.settings().cache),
      source_(std::move(source)),
      owner_(settings_of(source_, runtime) + program_identity() + source_.state),
      name_(hex_name(settings_of(source_, runtime))) {}

void PlanCache::know(const Graph& graph) {
  for (std::size_t i = 0; i < graph.value_count(); ++i)
    if (const Tensor& t = graph.value(ValueId(i)).constant)
      places_.emplace(t.storage().get(), places_.size());
}

Fingerprint PlanCache::key_of(const Tensor& constant, std::string_view form) {
  Digest digest;
  digest.add(text_of(constant.type())).add(form);
  auto found = places_.find(constant.storage().get());
  if (found != places_.end()) {
    std::uint64_t place[2] = {found->second, constant.offset()};
    return digest.add(place, sizeof place).result();
  }
  if (last_.first.lock() != constant.storage() || constant.offset() != 0)
    last_ = {constant.storage(), Digest().add(constant.data(), constant.bytes()).result()};
  if (constant.offset() != 0) last_.first.reset();
  return digest.add(last_.second.data(), sizeof last_.second).add("content").result();
}

PlanCache::File PlanCache::read() const {
  StoragePtr bytes = read_cached(place_, name_);
  std::optional<CacheContent> content = bytes ? parse_cache(bytes_of(*bytes)) : std::nullopt;
  if (!content || content->owner != owner_) return {};
  return {std::move(bytes), std::move(content->entries)};
}

StoragePtr PlanCache::find(const Tensor& constant, std::string_view form, std::size_t bytes) {
  if (bytes < smallest_entry || constant.dtype() == DType::string) return nullptr;
  std::lock_guard lock(mutex_);
  if (!file_) file_ = read();
  if (file_->entries.empty()) return nullptr;
  auto found = file_->entries.find(key_of(constant, form));
  if (found == file_->entries.end() || found->second.size != bytes) return nullptr;
  return std::make_shared<Section>(file_->bytes, found->second);
}

void PlanCache::add(const Tensor& constant, std::string_view form, const StoragePtr& packed) {
  if (packed->size() < smallest_entry || constant.dtype() == DType::string) return;
  std::lock_guard lock(mutex_);
  if (writes_) added_[key_of(constant, form)] = packed;
}

void PlanCache::save() {
  std::lock_guard lock(mutex_);
  std::map<Fingerprint, StoragePtr> added;
  std::size_t fresh = 0, old = 0;
  for (const auto& [key, weak] : added_)
    if (StoragePtr packed = weak.lock()) fresh += packed->size(), added[key] = std::move(packed);
  if (fresh < least_written) return;
  File file = read();  // another process may have written since
  for (const auto& [key, entry] : file.entries) old += entry.size;
  if (fresh < old / 8) return;
  std::optional<ModelSource> now = source_of(source_.path);
  writes_ = source_.settled && now && now->state == source_.state;
  if (!writes_) return added_.clear();
  std::map<Fingerprint, Bytes> entries;
  for (const auto& [key, entry] : file.entries)
    entries[key] = bytes_of(*file.bytes).subspan(entry.offset, entry.size);
  for (const auto& [key, packed] : added) entries[key] = bytes_of(*packed);
  CacheLayout layout = lay_out_cache(owner_, entries);
  static constexpr std::byte zeros[64] = {};
  std::vector<Bytes> content = {layout.head};
  std::size_t gap = 0;
  for (const auto& [key, bytes] : entries) {
    content.push_back(bytes);
    content.push_back(Bytes(zeros, layout.gaps[gap++]));
  }
  writes_ = write_cached(place_, name_, content);
  added_.clear();
  file_ = read();
}

}  // namespace tl
