// SPDX-License-Identifier: Apache-2.0
// The CPU's kernel tables, one function per file of kernels; asked when a plan is made.
#pragma once
#include "op/kernel.h"

namespace tl::kernels {
#define KERNELS(family) KernelTable family(Isa);
#include "op/kernels.def"
#undef KERNELS
}  // namespace tl::kernels
