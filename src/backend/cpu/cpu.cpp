// SPDX-License-Identifier: Apache-2.0
// Kernel rows in the order of op/kernels.def; the first that takes the node wins.
#include "backend/cpu/cpu.h"

#include <algorithm>
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

class Nothing : public Kernel {  // every output is empty
  void run(const KernelCall&) const noexcept override {}
};

bool is_empty(const Type& type) { return type.is_tensor() && volume(type.shape) == 0; }

}  // namespace

std::unique_ptr<Kernel> make(const KernelRow& row, const KernelRequest& request) {
  if (!request.out.empty() && std::all_of(request.out.begin(), request.out.end(), is_empty))
    return std::make_unique<Nothing>();
  // What becomes of nothing (a sum of no terms) is left to the reference: no kernel need think of it.
  if (!request.in.empty() && request.has(0) && is_empty(request.in[0])) return nullptr;
  return row.make(request);
}

Chosen choose(const KernelRequest& request) {
  const Rows& rows = rows_of(request.machine.isa);
  auto found = rows.find(&request.op);
  if (found == rows.end()) return {};
  for (const KernelRow* row : found->second)
    if (!row->views && !request.views.empty()) continue;
    else if (auto kernel = make(*row, request)) return {std::move(kernel), row->name};
  return {};
}

bool has_kernel(const OpDef& op) { return rows_of(Isa::base).contains(&op); }

}  // namespace tl::cpu
