// SPDX-License-Identifier: Apache-2.0
// Constants as kernels pack them, made once for all plans of a model: a plan for another shape packs nothing
// again, nor does another process where there is an archive.
#pragma once
#include <functional>
#include <map>
#include <mutex>

#include "op/kernel.h"

namespace tl {

class PackedStore {
 public:
  using Fill = std::function<void(std::byte*)>;

  // What outlives the process. Asked from several threads at once.
  class Archive {
   public:
    virtual ~Archive() = default;
    virtual StoragePtr find(const Tensor& constant, std::string_view form, std::size_t bytes) = 0;  // or null
    virtual void add(const Tensor& constant, std::string_view form, const StoragePtr& packed) = 0;
  };

  explicit PackedStore(Archive* archive = nullptr) : archive_(archive) {}

  // What `fill` writes for this constant; bytes that someone still holds are given again. `form` says all
  // that they depend on beside the constant and the machine: kernel, sizes, order.
  StoragePtr get(const Tensor& constant, std::string form, std::size_t bytes, const Fill& fill);

  // Bytes that need not be made.
  StoragePtr find(const Tensor& constant, const std::string& form, std::size_t bytes);

 private:
  struct Entry {
    std::weak_ptr<Storage> constant = {}, packed = {};  // an address is no identity once its owner is gone
    bool alive() const { return !constant.expired() && !packed.expired(); }
  };
  using Key = std::pair<const std::byte*, std::string>;
  StoragePtr held(const Key&, std::size_t bytes);
  void hold(Key, const Tensor& constant, const StoragePtr& packed);

  Archive* archive_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_ = {};
};

// From the machine's store, where it has one.
StoragePtr packed_constant(const Machine&, const Tensor& constant, std::string form, std::size_t bytes,
                           const PackedStore::Fill& fill);

// Whether the machine's store has this already: what was found out about the constant then still holds.
bool is_packed(const Machine&, const Tensor& constant, const std::string& form, std::size_t bytes);

}  // namespace tl
