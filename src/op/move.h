// SPDX-License-Identifier: Apache-2.0
// Data movement as data: an operation that only moves elements lists strided copies. The reference runs the
// list one element at a time, the kernels (op/move_kernel.cpp) as fast as the machine copies.
#pragma once
#include <array>

#include "ir/op_def.h"

namespace tl {

struct KernelRequest;

struct Axis {  // strides in elements; 0 repeats, below 0 runs backwards
  std::int64_t count = 1, from = 0, to = 0;
};

struct Move {
  static constexpr int most = 16;
  int input = 0;  // below 0: every element is the fill value
  int output = 0;
  std::int64_t from = 0, to = 0;  // where it begins, in elements
  int rank = 0;
  std::array<Axis, most> axes = {};
  void add(std::int64_t count, std::int64_t from_stride, std::int64_t to_stride);
};

// The integers of an input, whatever their type.
class Numbers {
 public:
  Numbers() = default;
  Numbers(DType dtype, const void* data, std::int64_t size) : dtype_(dtype), data_(data), size_(size) {}
  explicit operator bool() const { return data_ != nullptr; }
  std::int64_t size() const { return size_; }
  std::int64_t operator[](std::int64_t i) const;

 private:
  DType dtype_ = DType::i32;
  const void* data_ = nullptr;
  std::int64_t size_ = 0;
};

struct MoveCall {
  std::span<const Type> in;          // concrete, absent inputs too
  std::span<const Numbers> numbers;  // per input as far as needed; false where not at hand
  const Attrs& attrs;
  std::span<const Type> out;
  Numbers number(std::size_t i) const { return i < numbers.size() ? numbers[i] : Numbers{}; }
};

class MoveSink {  // what takes the moves, one by one
 public:
  template <class Take>
  MoveSink(const Take& take)
      : context_(&take),
        call_([](const void* take_it, const Move& m) { (*static_cast<const Take*>(take_it))(m); }) {}
  void operator()(const Move& m) const { call_(context_, m); }

 private:
  const void* context_;
  void (*call_)(const void*, const Move&);
};

// Every element of every output is written by exactly the last move that names it. Allocates nothing, and
// stays inside inputs and outputs whatever the numbers are.
using ListMoves = void(const MoveCall&, const MoveSink&);

namespace moves {
ListMoves whole;  // the same elements in the same order
ListMoves transpose, reverse, reverse_sequence;
ListMoves slice_by_index, slice_by_size, slice_update, crop, sliding_windows;
ListMoves concat, split, stack, tile, pad;
ListMoves depth_to_space, space_to_depth, pixel_shuffle, pixel_unshuffle, batch_to_space, space_to_batch;
ListMoves fill;
}  // namespace moves

// Strides of a dense tensor, where nothing may be allocated; at most Move::most dimensions.
std::array<std::int64_t, Move::most> strides_of(std::span<const Dim>);

// The value of elements that come from no input.
double fill_value(const Attrs&);

void reference_moves(ListMoves*, const ReferenceCall&);
template <ListMoves* list> void move_reference(const ReferenceCall& call) { reference_moves(list, call); }

// ---- for kernels

// The same copy with fewer axes, the last of them the best to run over; false if there is nothing to copy.
bool simplify(Move&);

// What the operation of a request copies, simplified, if that is all it does and known beforehand; else
// nothing.
std::vector<Move> moves_of(const KernelRequest&);

// Runs a simplified move over elements of 1, 2, 4, 8 or 16 bytes.
void run_move(const Move&, std::size_t element, const std::byte* from, std::byte* to);

}  // namespace tl
