// SPDX-License-Identifier: Apache-2.0
// What compressed constants are made of, for kernels that read them as they are (op/matmul_compressed.h,
// op/conv_panels.h): codes of 1 to 8 bits, and numbers over a grid of blocks that say what a code stands for.
#pragma once
#include <optional>

#include "op/kernel.h"

namespace tl {

struct GridNumbers {  // over a grid of rows and columns of blocks
  std::int64_t rows = 1, columns = 1;
  std::vector<float> values = {0};  // as many in a place as a table has entries
};

GridNumbers numbers_of(const Tensor&, Dim rows, Dim columns, bool turned);
float largest(const GridNumbers&);  // magnitude; infinity where one is not finite
bool are_halves(std::span<const float>);
// Adds to offsets what has been added to the codes; false where a fraction would be lost.
bool move_offsets(GridNumbers&, unsigned flip);

// What is added to codes to make them unsigned; nothing for what is no code.
std::optional<unsigned> flip_of(DType);

// Small fields, least significant bits first, made unsigned.
class Fields {
 public:
  Fields(const std::byte* from, int bits, unsigned flip) : from_(from), bits_(bits), flip_(flip) {}
  std::uint8_t at(std::int64_t i) const {
    std::int64_t bit = i * bits_;
    int shift = static_cast<int>(bit % 8);
    unsigned word = std::to_integer<unsigned>(from_[bit / 8]);
    if (shift + bits_ > 8) word |= std::to_integer<unsigned>(from_[bit / 8 + 1]) << 8;
    return static_cast<std::uint8_t>(((word >> shift) & ((1u << bits_) - 1)) ^ flip_);
  }
  // Elements first, first + step …
  void read(std::int64_t first, std::int64_t step, std::int64_t n, std::uint8_t* to) const;

 private:
  const std::byte* from_;
  int bits_;
  unsigned flip_;
};

// The parts of a constant by a table (constexpr_lut_to_dense) or by scales and offsets.
struct CodeSource {
  const Compressed& how;

  bool is_table() const;
  bool fits(const Type&) const;  // codes that stand, one for one, for the elements of such a constant
  const Tensor& codes() const { return how.inputs[0]; }
  const Tensor* parameter(std::size_t i) const {
    return i < how.inputs.size() && how.inputs[i] ? &how.inputs[i] : nullptr;
  }
  int bits() const { return bits_of(codes().dtype()); }
  Fields fields() const { return {codes().data(), bits(), *flip_of(codes().dtype())}; }
  Shape grid(std::size_t i) const;  // over which parameter i is laid
};

}  // namespace tl
