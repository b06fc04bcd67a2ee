// SPDX-License-Identifier: Apache-2.0
// The CPU: chooses a kernel for a node from the tables of op/.
#pragma once
#include "op/kernel.h"

namespace tl::cpu {

// The row's kernel for this node, null where it refuses; what is empty never reaches a row.
std::unique_ptr<Kernel> make(const KernelRow&, const KernelRequest&);

struct Chosen {
  std::unique_ptr<Kernel> kernel = {};  // null: no row took the node
  std::string_view name = {};
};

Chosen choose(const KernelRequest&);
bool has_kernel(const OpDef&);  // some row is for it, for some types

}  // namespace tl::cpu
