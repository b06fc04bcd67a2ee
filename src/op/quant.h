// SPDX-License-Identifier: Apache-2.0
// Which scale, offset or table belongs to which element: shared by the references and the kernels of
// quantisation.
#pragma once
#include "ir/type.h"

namespace tl {

// A grid of blocks laid over a tensor: along every axis as many blocks as the grid has elements there.
class Blocks {
 public:
  Blocks() = default;
  Blocks(std::span<const Dim> tensor, std::span<const Dim> grid);  // throws Error unless every axis divides

  std::int64_t count() const { return count_; }
  // Which block holds the element at row-major place `i`.
  std::int64_t at(std::int64_t i) const {
    std::int64_t block = 0;
    for (std::size_t d = length_.size(); d-- > 0;) {
      block += i % length_[d] / size_[d] * stride_[d];
      i /= length_[d];
    }
    return block;
  }
  // From element `i` on: how many elements in a row are of one block, or, where every element of the last
  // axis has its own (each()), how many have blocks that follow one another.
  std::int64_t run(std::int64_t i) const { return repeat_ - i % repeat_; }
  bool each() const { return each_; }

 private:
  std::vector<std::int64_t> length_, size_, stride_;
  std::int64_t count_ = 1, repeat_ = 1;  // repeat_: how many elements of the last axes stay together
  bool each_ = false;
};

// The grid of a parameter that is one number, or a vector along an axis.
Shape axis_grid(std::span<const Dim> tensor, std::span<const Dim> parameter,
                std::optional<std::int64_t> axis);

}  // namespace tl
