// SPDX-License-Identifier: Apache-2.0
// Which matrix unit a kernel takes.
#include "simd/unit.h"

namespace tl {

#if defined(__x86_64__)
extern const MatrixUnit unit_bf16, unit_amx, unit_amx_bf16;

const MatrixUnit* matrix_unit(Isa isa, bool bf16) {
  if (isa >= Isa::amx) return bf16 ? &unit_amx_bf16 : &unit_amx;
  if (bf16 && isa >= Isa::avx512 && has_avx512_bf16()) return &unit_bf16;
  return nullptr;
}

std::vector<const MatrixUnit*> matrix_units() {
  std::vector<const MatrixUnit*> all;
  if (has_avx512_bf16()) all.push_back(&unit_bf16);
  if (best_isa() >= Isa::amx) all.insert(all.end(), {&unit_amx, &unit_amx_bf16});
  return all;
}
#else
const MatrixUnit* matrix_unit(Isa, bool) { return nullptr; }
std::vector<const MatrixUnit*> matrix_units() { return {}; }
#endif

}  // namespace tl
