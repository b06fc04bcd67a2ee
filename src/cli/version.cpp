// SPDX-License-Identifier: Apache-2.0
// Version, commit, compiler and the instruction set in use.
#include "cli/version.h"

#include "base/text.h"
#include "simd/isa.h"

#ifndef TL_COMMIT
#define TL_COMMIT "unknown"
#endif
#ifndef TL_VERSION
#define TL_VERSION "0"
#endif

namespace tl::cli {

std::string version_text() {
#ifdef __clang__
  std::string compiler = text("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  std::string compiler = text("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  return text("tl {} (commit {}, {}), instruction set {}", TL_VERSION, TL_COMMIT, compiler,
              name_of(best_isa()));
}

}  // namespace tl::cli
