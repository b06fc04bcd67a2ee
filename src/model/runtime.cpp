// SPDX-License-Identifier: Apache-2.0
// Settings to a machine.
#include "model/runtime.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

// What was asked for is what runs, or an error: figures and tests are of the set they name.
Isa available(Isa wanted) {
  if (wanted > best_isa())
    throw Error(Code::bad_use, text("instruction set {} is not there on this machine, which has {}",
                                    name_of(wanted), name_of(best_isa())));
  return wanted;
}

Isa wanted_isa(const Settings& settings) {
  if (settings.isa) return available(*settings.isa);
  const char* name = std::getenv("TL_ISA");
  if (!name || !*name) return best_isa();
  std::optional<Isa> isa = isa_named(name);
  if (!isa)
    throw Error(Code::bad_use,
                text("TL_ISA is '{}'; it may be base, avx2, avx512, avx512fp16 or amx", printable(name)));
  return available(*isa);
}

}  // namespace

Runtime::Runtime(const Settings& settings)
    : settings_(settings),
      pool_(settings.threads > 0 ? settings.threads : usable_cores()),
      machine_{wanted_isa(settings), &pool_, settings.precision == "bf16"} {}

}  // namespace tl
