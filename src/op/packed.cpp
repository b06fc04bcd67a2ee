// SPDX-License-Identifier: Apache-2.0
// Entries die with the last plan that holds their bytes; they are dropped when others come.
#include "op/packed.h"

namespace tl {
StoragePtr PackedStore::held(const Key& key, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.constant.expired()) return nullptr;
  StoragePtr packed = found->second.packed.lock();
  return packed && packed->size() == bytes ? packed : nullptr;
}

void PackedStore::hold(Key key, const Tensor& constant, const StoragePtr& packed) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.alive(); });
  entries_[std::move(key)] = {constant.storage(), packed};
}

StoragePtr PackedStore::find(const Tensor& constant, const std::string& form, std::size_t bytes) {
  Key key(constant.data(), form);
  if (StoragePtr packed = held(key, bytes)) return packed;
  StoragePtr packed = archive_ ? archive_->find(constant, form, bytes) : nullptr;
  if (packed) hold(std::move(key), constant, packed);
  return packed;
}

StoragePtr PackedStore::get(const Tensor& constant, std::string form, std::size_t bytes, const Fill& fill) {
  if (StoragePtr packed = find(constant, form, bytes)) return packed;
  StoragePtr packed = allocate(bytes);
  fill(packed->data());
  if (archive_) archive_->add(constant, form, packed);
  hold({constant.data(), std::move(form)}, constant, packed);
  return packed;
}

StoragePtr packed_constant(const Machine& machine, const Tensor& constant, std::string form,
                           std::size_t bytes, const PackedStore::Fill& fill) {
  if (machine.packed) return machine.packed->get(constant, std::move(form), bytes, fill);
  StoragePtr packed = allocate(bytes);
  fill(packed->data());
  return packed;
}

bool is_packed(const Machine& machine, const Tensor& constant, const std::string& form, std::size_t bytes) {
  return machine.packed && machine.packed->find(constant, form, bytes);
}

}  // namespace tl
