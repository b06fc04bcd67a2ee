// SPDX-License-Identifier: Apache-2.0
// CPU kernels of the operations that only move elements: their moves are listed when the plan is made, or at
// each run where an input decides them, and each is split among threads along one axis. memcpy does the work,
// so there is one build for all instruction sets.
#include <algorithm>
#include <cstring>

#include "op/kernels.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::size_t least_bytes_a_thread = 1 << 15;
constexpr std::size_t most_rank = Move::most / 2;

class MoveKernel : public Kernel {
 public:
  MoveKernel(const KernelRequest& request, ListMoves* list, unsigned deciding)
      : list_(list),
        deciding_(deciding),
        in_(request.in.begin(), request.in.end()),
        out_(request.out.begin(), request.out.end()),
        attrs_(request.attrs),
        element_(bytes_of(out_[0].dtype, 1)) {
    if (double value = fill_value(attrs_); value != 0) {
      Tensor fill = scalar(value, out_[0].dtype);
      std::memcpy(fill_.data(), fill.data(), element_);
    }
    std::array<Numbers, 4> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!(deciding_ >> i & 1)) continue;
      const Tensor* constant = request.constant(i);
      if (!constant) return;  // known only at run time
      numbers[i] = {constant->dtype(), constant->data(), constant->size()};
    }
    listed_ = true;
    list_({in_, numbers, attrs_, out_}, [&](Move m) {
      if (simplify(m)) moves_.push_back(m);
    });
  }

  std::vector<Move> moves() const { return listed_ ? moves_ : std::vector<Move>(); }

  void run(const KernelCall& call) const noexcept override {
    if (listed_) {
      for (const Move& m : moves_) move(m, call);
      return;
    }
    std::array<Numbers, 4> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (deciding_ >> i & 1) numbers[i] = {in_[i].dtype, call.in[i], volume(in_[i].shape)};
    list_({in_, numbers, attrs_, out_}, [&](Move m) {
      if (simplify(m)) move(m, call);
    });
  }

 private:
  void move(const Move& m, const KernelCall& call) const {
    const std::byte* from = m.input < 0 ? fill_.data() : call.in[m.input];
    std::byte* to = call.out[m.output];
    if (from == to) return;  // the output was given its first input's place, and this copies it onto itself
    std::size_t bytes = element_;
    int widest = 0;
    for (int a = 0; a < m.rank; ++a) {
      bytes *= static_cast<std::size_t>(axis(m, a).count);
      if (axis(m, a).count > axis(m, widest).count) widest = a;
    }
    if (call.pool.threads() == 1 || bytes < 2 * least_bytes_a_thread) return run_move(m, element_, from, to);
    int along = axis(m, 0).count >= 4 * call.pool.threads() ? 0 : widest;
    std::int64_t count = axis(m, along).count;
    auto grain = static_cast<std::int64_t>(static_cast<std::size_t>(count) * least_bytes_a_thread / bytes);
    call.pool.ranges(count, std::max<std::int64_t>(1, grain), [&](std::int64_t first, std::int64_t last) {
      Move part = m;
      Axis& a = part.axes[static_cast<std::size_t>(along)];
      part.from += first * a.from;
      part.to += first * a.to;
      a.count = last - first;
      run_move(part, element_, from, to);
    });
  }
  static const Axis& axis(const Move& m, int a) { return m.axes[static_cast<std::size_t>(a)]; }

  ListMoves* list_;
  unsigned deciding_;  // inputs whose values decide the moves, one bit each
  std::vector<Type> in_, out_;
  Attrs attrs_;
  std::size_t element_;
  std::array<std::byte, 16> fill_ = {};
  bool listed_ = false;
  std::vector<Move> moves_;
};

bool movable(const KernelRequest& request) {
  if (!request.post.empty() || is_packed(request.out[0].dtype) || request.out[0].dtype == DType::string)
    return false;
  auto fits = [](const Type& t) { return t.is_concrete() && t.rank() <= most_rank; };
  return std::all_of(request.in.begin(), request.in.end(), fits) &&
         std::all_of(request.out.begin(), request.out.end(), fits);
}

template <ListMoves* list, unsigned deciding = 0, int in_place = -1>
std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!movable(request)) return nullptr;
  auto kernel = std::make_unique<MoveKernel>(request, list, deciding);
  kernel->in_place = in_place;
  return kernel;
}

// A border that is copied from the inside must be checked against it, which only inference does.
std::unique_ptr<Kernel> make_pad(const KernelRequest& request) {
  if (request.attrs.word("mode") != "constant" && !request.constant(1)) return nullptr;
  return make<moves::pad, 2>(request);
}

class ShapeKernel : public Kernel {
 public:
  explicit ShapeKernel(const Shape& shape) : shape_(shape.begin(), shape.end()) {}
  void run(const KernelCall& call) const noexcept override {
    std::copy(shape_.begin(), shape_.end(), call.output<std::int32_t>(0));
  }

 private:
  std::vector<std::int32_t> shape_;
};

std::unique_ptr<Kernel> make_shape(const KernelRequest& request) {
  if (!request.in[0].is_concrete() || !request.post.empty()) return nullptr;
  return std::make_unique<ShapeKernel>(request.in[0].shape);
}

constexpr KernelRow rows[] = {
    {&ops::reshape, "copy", make<moves::whole, 0, 0>},
    {&ops::reshape_like, "copy", make<moves::whole, 0, 0>},
    {&ops::expand_dims, "copy", make<moves::whole, 0, 0>},
    {&ops::squeeze, "copy", make<moves::whole, 0, 0>},
    {&ops::flatten2d, "copy", make<moves::whole, 0, 0>},
    {&ops::identity, "copy", make<moves::whole, 0, 0>},
    {&ops::shape, "shape", make_shape},
    {&ops::transpose, "transpose", make<moves::transpose>},
    {&ops::reverse, "move", make<moves::reverse>},
    {&ops::reverse_sequence, "move", make<moves::reverse_sequence, 2>},
    {&ops::depth_to_space, "move", make<moves::depth_to_space>},
    {&ops::space_to_depth, "move", make<moves::space_to_depth>},
    {&ops::pixel_shuffle, "move", make<moves::pixel_shuffle>},
    {&ops::pixel_unshuffle, "move", make<moves::pixel_unshuffle>},
    {&ops::batch_to_space, "move", make<moves::batch_to_space>},
    {&ops::space_to_batch, "move", make<moves::space_to_batch>},
    {&ops::slice_by_index, "move", make<moves::slice_by_index, 6>},
    {&ops::slice_by_size, "move", make<moves::slice_by_size, 2>},
    {&ops::slice_update, "move", make<moves::slice_update, 12, 0>},
    {&ops::crop, "move", make<moves::crop>},
    {&ops::sliding_windows, "move", make<moves::sliding_windows>},
    {&ops::concat, "move", make<moves::concat>},
    {&ops::split, "move", make<moves::split>},
    {&ops::stack, "move", make<moves::stack>},
    {&ops::tile, "move", make<moves::tile>},
    {&ops::pad, "move", make_pad},
    {&ops::fill, "fill", make<moves::fill>},
    {&ops::fill_like, "fill", make<moves::fill>},
};

}  // namespace

std::vector<Move> moves_of(const KernelRequest& request) {
  for (const KernelRow& row : rows) {
    if (row.op != &request.op) continue;
    std::unique_ptr<Kernel> kernel = row.make(request);
    const auto* move = dynamic_cast<const MoveKernel*>(kernel.get());
    return move ? move->moves() : std::vector<Move>();
  }
  return {};
}

namespace kernels {
KernelTable move(Isa) { return rows; }
}  // namespace kernels

}  // namespace tl
