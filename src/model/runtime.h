// SPDX-License-Identifier: Apache-2.0
// What a process computes with: chosen once from the settings, passed to everything that runs.
#pragma once
#include <optional>

#include "model/cache_folder.h"
#include "op/kernel.h"

namespace tl {

struct Settings {
  int threads = 0;                       // 0: as many as usable cores
  std::optional<Isa> isa = {};           // this one; else $TL_ISA, else the best there is
  std::string precision = "auto";        // auto, fp16, fp32, bf16, reference
  std::uint64_t seed = 0;                // replaces a random operation's seed -1
  double timeout = 0;                    // seconds a run may take; 0: no limit
  std::optional<CachePlace> cache = {};  // where packed weights are kept between processes; nothing: nowhere
};

class Runtime {
 public:
  explicit Runtime(const Settings&);
  const Settings& settings() const { return settings_; }
  const Machine& machine() const { return machine_; }

 private:
  Settings settings_;
  ThreadPool pool_;
  Machine machine_;
};

}  // namespace tl
