// SPDX-License-Identifier: Apache-2.0
// Constants as kernels pack them, made once for all plans of a process: a plan for another shape packs
// nothing again.
#pragma once
#include <functional>
#include <map>
#include <mutex>

#include "op/kernel.h"

namespace tl {

class PackedStore {
 public:
  using Fill = std::function<void(std::byte*)>;

  // What `fill` writes for this constant; bytes that someone still holds are given again. `form` says all
  // that they depend on beside the constant: kernel, sizes, order.
  StoragePtr get(const Tensor& constant, std::string form, std::size_t bytes, const Fill& fill);

 private:
  struct Entry {
    std::weak_ptr<Storage> constant = {}, packed = {};  // an address is no identity once its owner is gone
    bool alive() const { return !constant.expired() && !packed.expired(); }
  };
  std::mutex mutex_;
  std::map<std::pair<const std::byte*, std::string>, Entry> entries_ = {};
};

// From the machine's store, where it has one.
StoragePtr packed_constant(const Machine&, const Tensor& constant, std::string form, std::size_t bytes,
                           const PackedStore::Fill& fill);

}  // namespace tl
