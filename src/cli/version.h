// SPDX-License-Identifier: Apache-2.0
// What `tl --version` says.
#pragma once
#include <string>

namespace tl::cli {

std::string version_text();  // "tl 0.1.0 (commit 1a2b3c4, GCC 12.2.0), instruction set avx512"

}  // namespace tl::cli
