// SPDX-License-Identifier: Apache-2.0
// Kernel rows in the order of op/kernels.def; the first that takes the node wins.
#include "backend/cpu/cpu.h"

#include <unordered_map>

#include "op/kernels.h"

namespace tl::cpu {
namespace {

using Rows = std::unordered_map<const OpDef*, std::vector<const KernelRow*>>;

Rows collect(Isa isa) {
  Rows rows;
  auto add = [&](KernelTable table) {
    for (const KernelRow& row : table) rows[row.op].push_back(&row);
  };
#define KERNELS(family) add(kernels::family(isa));
#include "op/kernels.def"
#undef KERNELS
  return rows;
}

template <Isa isa> const Rows& rows() {
  static const Rows all = collect(isa);
  return all;
}

const Rows& rows_of(Isa isa) {
  switch (isa) {
    case Isa::base: return rows<Isa::base>();
    case Isa::avx2: return rows<Isa::avx2>();
    case Isa::avx512: return rows<Isa::avx512>();
    case Isa::avx512fp16: return rows<Isa::avx512fp16>();
    case Isa::amx: return rows<Isa::amx>();
  }
  return rows<Isa::base>();
}

}  // namespace

Chosen choose(const KernelRequest& request) {
  const Rows& rows = rows_of(request.machine.isa);
  auto found = rows.find(&request.op);
  if (found == rows.end()) return {};
  for (const KernelRow* row : found->second)
    if (auto kernel = row->make(request)) return {std::move(kernel), row->name};
  return {};
}

bool has_kernel(const OpDef& op) { return rows_of(Isa::base).contains(&op); }

}  // namespace tl::cpu
