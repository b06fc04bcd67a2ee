// SPDX-License-Identifier: Apache-2.0
// The stages of a reduction on threads.
#include <algorithm>

#include "op/reduce.h"

namespace tl {
namespace {

// Groups of adjacent axes, innermost first.
std::vector<Runs> stages_of(Shape shape, std::vector<std::int64_t> axes) {
  std::vector<Runs> stages;
  while (!axes.empty()) {
    std::vector<std::int64_t> group{axes.back()};
    axes.pop_back();
    auto joins = [&](std::int64_t axis) {  // what is between has length 1
      return std::all_of(shape.begin() + axis + 1, shape.begin() + group.back(),
                         [](Dim d) { return d == 1; });
    };
    while (!axes.empty() && joins(axes.back())) group.push_back(axes.back()), axes.pop_back();
    stages.push_back(*runs(shape, group));
    for (std::int64_t axis : group) shape[static_cast<std::size_t>(axis)] = 1;
  }
  if (stages.empty()) stages.push_back(*runs(shape, {}));
  return stages;
}

constexpr std::int64_t most_pieces = 64;

class ReduceKernel final : public Kernel {
 public:
  ReduceKernel(std::vector<Runs> stages, const Reduction& how, std::int64_t count, std::int64_t size)
      : stages_(std::move(stages)), how_(how), count_(count) {
    const Runs& r = stages_.front();
    half_ = (static_cast<std::size_t>(r.outer * r.inner) * 4 + 63) / 64 * 64;
    scratch = stages_.size() > 1 ? 2 * half_ : half_;
    flops = static_cast<double>(size);
  }

  void run(const KernelCall& call) const noexcept override {
    const std::byte* in = call.in[0];
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      std::byte* out = call.scratch + (s % 2) * half_;
      const Fold& fold = s == 0 ? how_.first : how_.join;
      if (stages_[s].inner == 1) rows(fold, stages_[s], in, out, call.pool);
      else columns(fold, stages_[s], in, out, call.pool);
      in = out;
    }
    how_.end(in, stages_.back().outer * stages_.back().inner, count_, call.out[0]);
  }

 private:
  static std::int64_t grain(std::int64_t elements) {
    return std::max<std::int64_t>(1, fold_grain / std::max<std::int64_t>(1, elements));
  }

  void rows(const Fold& fold, const Runs& r, const std::byte* in, std::byte* out,
            const ThreadPool& pool) const {
    auto row = static_cast<std::int64_t>(fold.bytes) * r.length;
    if (r.outer < pool.threads() && r.length >= 2 * fold_grain) {
      for (std::int64_t i = 0; i < r.outer; ++i) pieces(fold, in + i * row, r.length, out + i * 4, pool);
      return;
    }
    pool.ranges(r.outer, grain(r.length), [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) fold.row(in + i * row, r.length, out + i * 4);
    });
  }

  void pieces(const Fold& fold, const std::byte* x, std::int64_t length, std::byte* out,
              const ThreadPool& pool) const {
    alignas(64) std::byte part[most_pieces * 4];  // few long rows: threads share each
    std::int64_t n = std::min<std::int64_t>(most_pieces, pool.threads());
    pool.each(n, [&](std::int64_t k) {
      std::int64_t from = length * k / n, to = length * (k + 1) / n;
      fold.row(x + from * static_cast<std::int64_t>(fold.bytes), to - from, part + k * 4);
    });
    how_.join.row(part, n, out);
  }

  void columns(const Fold& fold, const Runs& r, const std::byte* in, std::byte* out,
               const ThreadPool& pool) const {
    std::int64_t tiles = (r.inner + column_tile - 1) / column_tile,
                 bytes = static_cast<std::int64_t>(fold.bytes);
    pool.ranges(r.outer * tiles, grain(r.length * std::min(r.inner, column_tile)),
                [&](std::int64_t from, std::int64_t to) {
                  for (std::int64_t unit = from; unit < to; ++unit) {
                    std::int64_t i = unit / tiles, c = unit % tiles * column_tile,
                                 n = std::min(column_tile, r.inner - c);
                    alignas(64) std::byte total[column_tile * 4];
                    fold.columns(in + (i * r.length * r.inner + c) * bytes, r.length, r.inner, n, total);
                    std::copy_n(total, n * 4, out + (i * r.inner + c) * 4);
                  }
                });
  }

  std::vector<Runs> stages_;
  Reduction how_;
  std::int64_t count_;
  std::size_t half_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> reduce_kernel(const KernelRequest& request, const Reduction& how) {
  if (!request.post.empty() || !how.end) return nullptr;
  const Shape& shape = request.in[0].shape;
  auto axes = axes_of(request.attrs, shape.size());
  std::int64_t count = 1;
  for (std::int64_t axis : axes) count *= shape[static_cast<std::size_t>(axis)];
  return std::make_unique<ReduceKernel>(stages_of(shape, std::move(axes)), how, count, volume(shape));
}

}  // namespace tl
