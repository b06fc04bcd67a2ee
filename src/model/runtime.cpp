// SPDX-License-Identifier: Apache-2.0
// Settings to a machine.
#include "model/runtime.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

Isa wanted_isa(const Settings& settings) {
  if (settings.isa) return std::min(*settings.isa, best_isa());
  const char* name = std::getenv("TL_ISA");
  if (!name || !*name) return best_isa();
  std::optional<Isa> isa = isa_named(name);
  if (!isa)
    throw Error(Code::bad_use,
                text("TL_ISA is '{}'; it may be base, avx2, avx512, avx512fp16 or amx", printable(name)));
  return std::min(*isa, best_isa());
}

}  // namespace

Runtime::Runtime(const Settings& settings)
    : settings_(settings),
      pool_(settings.threads > 0 ? settings.threads : usable_cores()),
      machine_{wanted_isa(settings), &pool_} {}

}  // namespace tl
