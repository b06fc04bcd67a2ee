// SPDX-License-Identifier: Apache-2.0
// AMX: products of whole tiles, sixteen times the rate of fp32 vectors with bf16 operands, five times with
// halves in two parts.
#include "simd/unit.h"

#if defined(__x86_64__)
#include "simd/tile_instruction.inc"
#define TL_TILE __attribute__((target("amx-tile,amx-bf16")))

namespace tl {
namespace {

#include "simd/pair.inc"

#include "simd/amx.inc"

}  // namespace

extern const MatrixUnit unit_amx, unit_amx_bf16;
const MatrixUnit unit_amx = tile_unit<2>("amx"), unit_amx_bf16 = tile_unit<1>("amx_bf16");

}  // namespace tl
#endif
