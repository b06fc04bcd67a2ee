// SPDX-License-Identifier: Apache-2.0
// Packed weights of one model, kept between processes: one file, mapped when the first plan is made, written
// anew when plans have packed more.
#pragma once
#include <map>
#include <set>

#include "ir/graph.h"
#include "model/cache_file.h"
#include "model/model_source.h"
#include "model/runtime.h"
#include "op/packed.h"

namespace tl {

class PlanCache final : public PackedStore::Archive {
 public:
  PlanCache(ModelSource, const Runtime&);  // of a runtime whose settings have a place for it

  // A constant of the model's own graphs is known by its place among them, which costs nothing; others by
  // their content. Graphs must come in the same order each time and outlive this.
  void know(const Graph&);

  StoragePtr find(const Tensor& constant, std::string_view form, std::size_t bytes) override;
  void add(const Tensor& constant, std::string_view form, const StoragePtr& packed) override;

  // Writes what has been added, if it is worth it. Nothing happens where that fails.
  void save();

 private:
  struct File {
    StoragePtr bytes = {};
    std::map<Fingerprint, CacheEntry> entries = {};
  };
  Fingerprint key_of(const Tensor& constant, std::string_view form);
  File read() const;

  const CachePlace place_;
  const ModelSource source_;
  const std::string owner_, name_;
  std::mutex mutex_;
  std::map<const Storage*, std::size_t> places_ = {};
  std::optional<File> file_ = {};  // once it has been looked for
  std::map<Fingerprint, std::weak_ptr<Storage>> added_ = {};
  std::pair<std::weak_ptr<Storage>, Fingerprint> last_ = {};  // content asked for several times in a row
  bool writes_ = true;
};

}  // namespace tl
