// SPDX-License-Identifier: Apache-2.0
// Entries die with the last plan that holds their bytes; they are dropped when others come.
#include "op/packed.h"

namespace tl {

StoragePtr PackedStore::get(const Tensor& constant, std::string form, std::size_t bytes, const Fill& fill) {
  std::pair key(constant.data(), std::move(form));
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found != entries_.end() && !found->second.constant.expired())
      if (StoragePtr packed = found->second.packed.lock(); packed && packed->size() == bytes) return packed;
  }
  StoragePtr packed = allocate(bytes);
  fill(packed->data());
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.alive(); });
  entries_[std::move(key)] = {constant.storage(), packed};
  return packed;
}

StoragePtr packed_constant(const Machine& machine, const Tensor& constant, std::string form,
                           std::size_t bytes, const PackedStore::Fill& fill) {
  if (machine.packed) return machine.packed->get(constant, std::move(form), bytes, fill);
  StoragePtr packed = allocate(bytes);
  fill(packed->data());
  return packed;
}

}  // namespace tl
