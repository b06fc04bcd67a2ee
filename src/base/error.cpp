// SPDX-License-Identifier: Apache-2.0
// The end of a program that has found a bug in itself.
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace tl {

void assertion_failed(const char* what, const char* file, int line) noexcept {
  std::fprintf(stderr, "tl: internal error at %s:%d: %s (please report it)\n", file, line, what);
  std::abort();
}

}  // namespace tl
