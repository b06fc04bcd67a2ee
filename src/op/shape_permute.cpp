// SPDX-License-Identifier: Apache-2.0
// Operations that reorder all elements: transposes, reversals, and blocks of space moved to channels or the
// batch.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/move.h"
#include "op/ops.h"

namespace tl {

void moves::transpose(const MoveCall& call, const MoveSink& sink) {
  Move m;
  const Shape &in = call.in[0].shape, from = row_major(in), to = row_major(call.out[0].shape);
  const auto& perm = call.attrs.integers("perm");
  for (std::size_t d = 0; d < in.size(); ++d) {
    auto source = static_cast<std::size_t>(wrap_axis(perm[d], in.size()));
    m.add(in[source], from[source], to[d]);
  }
  sink(m);
}

void moves::reverse(const MoveCall& call, const MoveSink& sink) {
  Move m;
  const Shape &in = call.in[0].shape, stride = row_major(in);
  std::vector<bool> flip(in.size(), !call.attrs.has("axes"));
  if (call.attrs.has("axes"))
    for (std::int64_t axis : call.attrs.integers("axes"))
      flip[static_cast<std::size_t>(wrap_axis(axis, in.size()))] = true;
  for (std::size_t d = 0; d < in.size(); ++d) {
    if (flip[d]) m.from += (in[d] - 1) * stride[d];
    m.add(in[d], flip[d] ? -stride[d] : stride[d], stride[d]);
  }
  sink(m);
}

void moves::reverse_sequence(const MoveCall& call, const MoveSink& sink) {
  const Shape& in = call.in[0].shape;
  auto sequence = static_cast<std::size_t>(wrap_axis(call.attrs.integer("seq_axis"), in.size()));
  auto batch = static_cast<std::size_t>(wrap_axis(call.attrs.integer("batch_axis"), in.size()));
  auto stride = strides_of(in);
  Numbers lengths = call.number(1);
  for (std::int64_t b = 0; b < in[batch]; ++b) {
    std::int64_t length = std::clamp<std::int64_t>(lengths[b], 0, in[sequence]), at = b * stride[batch];
    Move turned, kept;
    turned.to = at;
    turned.from = at + (length - 1) * stride[sequence];
    turned.add(length, -stride[sequence], stride[sequence]);
    kept.from = kept.to = at + length * stride[sequence];
    kept.add(in[sequence] - length, stride[sequence], stride[sequence]);
    for (std::size_t d = 0; d < in.size(); ++d) {
      if (d == sequence || d == batch) continue;
      turned.add(in[d], stride[d], stride[d]);
      kept.add(in[d], stride[d], stride[d]);
    }
    sink(turned);
    sink(kept);
  }
}

namespace {

// Small space [n, b·b·c, h, w] against large space [n, c, h·b, w·b]: channel (bh·b + bw)·c + k, or k·b² +
// bh·b + bw.
struct Blocks {
  const Shape& small;
  const Shape& large;
  std::int64_t b;
  bool channel_first;  // the channel is the slowest of the three (pixel shuffle)
};

Move block_move(const Blocks& s, bool grow) {
  std::int64_t h = s.small[2], w = s.small[3], c = s.large[1], b = s.b;
  std::int64_t plane = h * w, wide = w * b;
  std::int64_t bw = s.channel_first ? plane : c * plane, channel = s.channel_first ? b * b * plane : plane;
  Move m;
  auto add = [&](std::int64_t count, std::int64_t small, std::int64_t large) {
    m.add(count, grow ? small : large, grow ? large : small);
  };
  add(s.small[0], s.small[1] * plane, c * h * b * wide);
  add(c, channel, h * b * wide);
  add(h, w, b * wide);
  add(b, bw * b, wide);
  add(w, 1, b);
  add(b, bw, 1);
  return m;
}

template <bool grow, bool channel_first>
void list_blocks(const MoveCall& call, const MoveSink& sink, std::string_view factor) {
  const Shape &in = call.in[0].shape, &out = call.out[0].shape;
  sink(block_move({grow ? in : out, grow ? out : in, call.attrs.integer(factor), channel_first}, grow));
}

// Batch against space: batch (bh·b1 + bw)·n + i holds the pixels of i at (h·b0 + bh, w·b1 + bw), less the
// border.
struct BatchBlocks {
  const Shape& batch;  // [n·b0·b1, c, h, w]
  const Shape& space;  // [n, c, H, W], without the border
  std::array<std::int64_t, 2> block, before;
};

// For one offset inside the block, the pixels of a dimension that are inside: first, count.
std::array<std::int64_t, 2> inside(std::int64_t offset, std::int64_t before, std::int64_t block,
                                   std::int64_t length) {
  std::int64_t first = before > offset ? (before - offset + block - 1) / block : 0;
  std::int64_t end = (length + before - offset + block - 1) / block;
  return {first, std::max<std::int64_t>(0, end - first)};
}

void list_batch_blocks(const BatchBlocks& s, bool to_space, const MoveSink& sink) {
  std::int64_t n = s.space[0], c = s.space[1], large_w = s.space[3], w = s.batch[3];
  std::int64_t small_plane = s.batch[2] * w, large_plane = s.space[2] * large_w;
  for (std::int64_t bh = 0; bh < s.block[0]; ++bh)
    for (std::int64_t bw = 0; bw < s.block[1]; ++bw) {
      auto [h0, hs] = inside(bh, s.before[0], s.block[0], s.space[2]);
      auto [w0, ws] = inside(bw, s.before[1], s.block[1], large_w);
      std::int64_t small = (bh * s.block[1] + bw) * n * c * small_plane + h0 * w + w0;
      std::int64_t large =
          (h0 * s.block[0] + bh - s.before[0]) * large_w + w0 * s.block[1] + bw - s.before[1];
      Move m;
      m.from = to_space ? small : large;
      m.to = to_space ? large : small;
      auto add = [&](std::int64_t count, std::int64_t a, std::int64_t b) {
        m.add(count, to_space ? a : b, to_space ? b : a);
      };
      add(n * c, small_plane, large_plane);
      add(hs, w, s.block[0] * large_w);
      add(ws, 1, s.block[1]);
      sink(m);
    }
}

BatchBlocks batch_blocks(const Shape& batch, const Shape& space, const Attrs& attrs,
                         std::string_view border) {
  const auto &block = attrs.integers("block_shape"), &edge = attrs.integers(border);
  return {batch, space, {block[0], block[1]}, {edge[0], edge[2]}};
}

}  // namespace

void moves::depth_to_space(const MoveCall& c, const MoveSink& s) {
  list_blocks<true, false>(c, s, "block_size");
}
void moves::space_to_depth(const MoveCall& c, const MoveSink& s) {
  list_blocks<false, false>(c, s, "block_size");
}
void moves::pixel_shuffle(const MoveCall& c, const MoveSink& s) {
  list_blocks<true, true>(c, s, "upscale_factor");
}
void moves::pixel_unshuffle(const MoveCall& c, const MoveSink& s) {
  list_blocks<false, true>(c, s, "downscale_factor");
}

void moves::batch_to_space(const MoveCall& call, const MoveSink& sink) {
  list_batch_blocks(batch_blocks(call.in[0].shape, call.out[0].shape, call.attrs, "crops"), true, sink);
}

void moves::space_to_batch(const MoveCall& call, const MoveSink& sink) {
  const auto& edge = call.attrs.integers("paddings");
  if (std::any_of(edge.begin(), edge.end(), [](std::int64_t e) { return e != 0; })) {
    Move zero;
    zero.input = -1;
    zero.add(volume(call.out[0].shape), 0, 1);
    sink(zero);
  }
  list_batch_blocks(batch_blocks(call.out[0].shape, call.in[0].shape, call.attrs, "paddings"), false, sink);
}

namespace {

std::vector<Type> infer_transpose(const InferCall& call) {
  const Type& x = call.type(0);
  const auto& perm = call.attrs.integers("perm");
  need(perm.size() == x.rank(), text("perm has {} entries, {} needs {}", perm.size(), text_of(x), x.rank()));
  std::vector<bool> seen(x.rank(), false);
  Type out(x.dtype, {});
  for (std::int64_t p : perm) {
    auto d = static_cast<std::size_t>(wrap_axis(p, x.rank(), "perm"));
    need(!seen[d], text("perm names dimension {} twice", p));
    seen[d] = true;
    out.shape.push_back(x.shape[d]);
  }
  return {out};
}

std::vector<Ex> transpose_gradient(const GradientCall& call) {
  const auto& perm = call.attrs.integers("perm");
  std::vector<std::int64_t> back(perm.size());
  for (std::size_t d = 0; d < perm.size(); ++d)
    back[static_cast<std::size_t>(wrap_axis(perm[d], perm.size()))] = static_cast<std::int64_t>(d);
  return {emit(ops::transpose, {call.grad[0]}, {{"perm", back}})};
}

std::vector<Type> infer_reverse(const InferCall& call) {
  if (call.attrs.has("axes"))
    for (std::int64_t axis : call.attrs.integers("axes")) wrap_axis(axis, call.type(0).rank());
  return {call.type(0)};
}

std::vector<Ex> reverse_gradient(const GradientCall& call) {
  std::array<Ex, 1> g{call.grad[0]};
  return {emit(ops::reverse, g, call.attrs)};
}

std::vector<Type> infer_reverse_sequence(const InferCall& call) {
  const Type &x = call.type(0), &lengths = call.type(1);
  std::int64_t sequence = wrap_axis(call.attrs.integer("seq_axis"), x.rank(), "seq_axis");
  std::int64_t batch = wrap_axis(call.attrs.integer("batch_axis"), x.rank(), "batch_axis");
  need(sequence != batch, "seq_axis and batch_axis must differ");
  Dim n = x.shape[static_cast<std::size_t>(batch)];
  bool fits = lengths.rank() == 1 && (!is_known(n) || !is_known(lengths.shape[0]) || lengths.shape[0] == n);
  need(fits, text("lengths is {}; it needs one length for each of {}", text_of(lengths), n));
  return {x};
}

std::vector<Ex> reverse_sequence_gradient(const GradientCall& call) {
  std::array<Ex, 2> in{call.grad[0], call.in[1]};
  return {emit(ops::reverse_sequence, in, call.attrs), {}};
}

Dim divided(Dim d, std::int64_t by, std::string_view what) {
  if (!is_known(d)) return by == 1 ? d : unknown;
  need(d % by == 0, text("{} is {}, which {} does not divide", what, d, by));
  return d / by;
}

std::int64_t factor_of(const InferCall& call, std::string_view name) {
  need_rank(call, 0, 4, 4);
  std::int64_t b = call.attrs.integer(name);
  need(b >= 1 && b <= 1 << 15, text("{} is {}; it must be positive", name, b));
  return b;
}

std::vector<Type> grown(const InferCall& call, std::string_view name) {
  std::int64_t b = factor_of(call, name);
  const Shape& x = call.type(0).shape;
  return {{call.type(0).dtype,
           {x[0], divided(x[1], b * b, "the number of channels"), multiply_dims(x[2], b),
            multiply_dims(x[3], b)}}};
}

std::vector<Type> shrunk(const InferCall& call, std::string_view name) {
  std::int64_t b = factor_of(call, name);
  const Shape& x = call.type(0).shape;
  return {
      {call.type(0).dtype,
       {x[0], multiply_dims(x[1], b * b), divided(x[2], b, "the height"), divided(x[3], b, "the width")}}};
}

std::vector<Type> infer_depth_to_space(const InferCall& call) { return grown(call, "block_size"); }
std::vector<Type> infer_space_to_depth(const InferCall& call) { return shrunk(call, "block_size"); }
std::vector<Type> infer_pixel_shuffle(const InferCall& call) { return grown(call, "upscale_factor"); }
std::vector<Type> infer_pixel_unshuffle(const InferCall& call) { return shrunk(call, "downscale_factor"); }

// Four numbers, before and after for each of the two dimensions; the block's two.
void check_batch_blocks(const InferCall& call, std::string_view border) {
  need_rank(call, 0, 4, 4);
  const auto &block = call.attrs.integers("block_shape"), &edge = call.attrs.integers(border);
  need(block.size() == 2 && edge.size() == 4, text("block_shape needs 2 numbers and {} needs 4", border));
  bool fits =
      std::all_of(block.begin(), block.end(), [](std::int64_t b) { return b >= 1 && b <= 1 << 15; }) &&
      std::all_of(edge.begin(), edge.end(), [](std::int64_t e) { return e >= 0 && e <= 1 << 30; });
  need(fits, text("block_shape must be positive, {} must not be negative", border));
}

std::vector<Type> infer_batch_to_space(const InferCall& call) {
  check_batch_blocks(call, "crops");
  const auto &b = call.attrs.integers("block_shape"), &crop = call.attrs.integers("crops");
  Type out = call.type(0);
  out.shape[0] = divided(out.shape[0], b[0] * b[1], "the batch");
  for (std::size_t d = 0; d < 2; ++d) {
    Dim& side = out.shape[2 + d];
    side = multiply_dims(side, b[d]);
    std::int64_t cut = crop[2 * d] + crop[2 * d + 1];
    need(!is_known(side) || cut <= side, "the crops take more than there is");
    if (cut > 0) side = is_known(side) ? side - cut : unknown;
  }
  return {out};
}

std::vector<Type> infer_space_to_batch(const InferCall& call) {
  check_batch_blocks(call, "paddings");
  const auto &b = call.attrs.integers("block_shape"), &pad = call.attrs.integers("paddings");
  Type out = call.type(0);
  out.shape[0] = multiply_dims(out.shape[0], b[0] * b[1]);
  for (std::size_t d = 0; d < 2; ++d)
    out.shape[2 + d] =
        divided(add_dims(out.shape[2 + d], pad[2 * d] + pad[2 * d + 1]), b[d], "the padded length");
  return {out};
}

std::vector<Ex> space_to_depth_gradient(const GradientCall& call) {
  return {emit(ops::depth_to_space, {call.grad[0]}, {{"block_size", call.attrs.integer("block_size")}})};
}
std::vector<Ex> depth_to_space_gradient(const GradientCall& call) {
  return {emit(ops::space_to_depth, {call.grad[0]}, {{"block_size", call.attrs.integer("block_size")}})};
}
std::vector<Ex> pixel_shuffle_gradient(const GradientCall& call) {
  return {emit(ops::pixel_unshuffle, {call.grad[0]},
               {{"downscale_factor", call.attrs.integer("upscale_factor")}})};
}
std::vector<Ex> pixel_unshuffle_gradient(const GradientCall& call) {
  return {
      emit(ops::pixel_shuffle, {call.grad[0]}, {{"upscale_factor", call.attrs.integer("downscale_factor")}})};
}
std::vector<Ex> batch_to_space_gradient(const GradientCall& call) {
  return {emit(
      ops::space_to_batch, {call.grad[0]},
      {{"block_shape", call.attrs.integers("block_shape")}, {"paddings", call.attrs.integers("crops")}})};
}
std::vector<Ex> space_to_batch_gradient(const GradientCall& call) {
  return {emit(
      ops::batch_to_space, {call.grad[0]},
      {{"block_shape", call.attrs.integers("block_shape")}, {"crops", call.attrs.integers("paddings")}})};
}

// A row of two for each dimension.
void downgrade_pairs(MilWrite& out) {
  for (std::string_view name : {"crops", "paddings"})
    if (const Tensor* flat = out.constant(name)) out.set(name, flat->reshaped({flat->size() / 2, 2}));
}

}  // namespace

namespace ops {

constinit const OpDef transpose{
    .name = "transpose",
    .doc = "Dimension i of the output is dimension perm[i] of x.",
    .inputs = {"x"},
    .attrs = {{"perm", AttrKind::integers, required}},
    .infer = infer_transpose,
    .gradient = transpose_gradient,
    .reference = move_reference<moves::transpose>,
    .mil = {.name = "transpose"},
    .samples = {{{"fp32[2, 3]"}, "perm=[1, 0]"},
                {{"fp32[2, 3, 4, 5]"}, "perm=[0, 2, 3, 1]"},
                {{"fp32[2, 9, 3, 8]"}, "perm=[0, 2, 1, -1]"},
                {{"fp32[35, 19]"}, "perm=[1, 0]"},
                {{"fp32[3, 17, 33]"}, "perm=[2, 0, 1]"},
                {{"fp32[2, 3, 0]"}, "perm=[2, 1, 0]"}},
};

constinit const OpDef reverse{
    .name = "reverse",
    .doc = "Turns the order of the elements along the given axes around, or along all.",
    .inputs = {"x"},
    .attrs = {{"axes", AttrKind::integers}},
    .infer = infer_reverse,
    .gradient = reverse_gradient,
    .reference = move_reference<moves::reverse>,
    .mil = {.name = "reverse"},
    .samples = {{{"fp32[2, 3, 5]"}}, {{"fp32[2, 3, 5]"}, "axes=[1]"}, {{"fp32[2, 3, 5]"}, "axes=[-1, 0]"}},
};

constinit const OpDef reverse_sequence{
    .name = "reverse_sequence",
    .doc = "Turns around the first lengths[b] elements along seq_axis, for each b along batch_axis.",
    .inputs = {"x", "lengths"},
    .attrs = {{"seq_axis", AttrKind::integer, "0"}, {"batch_axis", AttrKind::integer, "0"}},
    .infer = infer_reverse_sequence,
    .gradient = reverse_sequence_gradient,
    .reference = move_reference<moves::reverse_sequence>,
    .mil = {.name = "reverse_sequence"},
    .samples = {{{"fp32[3, 5, 2]", "int32[3] 0..5"}, "seq_axis=1"},
                {{"fp32[4, 2, 3]", "int32[3] 0..4"}, "seq_axis=0, batch_axis=-1"}},
};

constinit const OpDef depth_to_space{
    .name = "depth_to_space",
    .doc =
        "Lays out groups of channels as squares of pixels; the place in the square is the slower part of a "
        "channel's number.",
    .inputs = {"x"},
    .attrs = {{"block_size", AttrKind::integer, required}},
    .infer = infer_depth_to_space,
    .gradient = depth_to_space_gradient,
    .reference = move_reference<moves::depth_to_space>,
    .mil = {.name = "depth_to_space"},
    .samples = {{{"fp32[2, 12, 3, 2]"}, "block_size=2"}, {{"fp32[1, 18, 1, 3]"}, "block_size=3"}},
};

constinit const OpDef space_to_depth{
    .name = "space_to_depth",
    .doc = "The inverse of depth_to_space.",
    .inputs = {"x"},
    .attrs = {{"block_size", AttrKind::integer, required}},
    .infer = infer_space_to_depth,
    .gradient = space_to_depth_gradient,
    .reference = move_reference<moves::space_to_depth>,
    .mil = {.name = "space_to_depth"},
    .samples = {{{"fp32[2, 3, 4, 6]"}, "block_size=2"}},
};

constinit const OpDef pixel_shuffle{
    .name = "pixel_shuffle",
    .doc =
        "Lays out groups of channels as squares of pixels; the place in the square is the faster part of a "
        "channel's number.",
    .inputs = {"x"},
    .attrs = {{"upscale_factor", AttrKind::integer, required}},
    .infer = infer_pixel_shuffle,
    .gradient = pixel_shuffle_gradient,
    .reference = move_reference<moves::pixel_shuffle>,
    .mil = {.name = "pixel_shuffle"},
    .samples = {{{"fp32[2, 12, 3, 2]"}, "upscale_factor=2"}, {{"fp32[1, 9, 2, 3]"}, "upscale_factor=3"}},
};

constinit const OpDef pixel_unshuffle{
    .name = "pixel_unshuffle",
    .doc = "The inverse of pixel_shuffle.",
    .inputs = {"x"},
    .attrs = {{"downscale_factor", AttrKind::integer, required}},
    .infer = infer_pixel_unshuffle,
    .gradient = pixel_unshuffle_gradient,
    .reference = move_reference<moves::pixel_unshuffle>,
    .mil = {.name = "pixel_unshuffle",
            .since = 6,
            .parameters = {{.name = "downscale_factor", .dtype = DType::u32}}},
    .samples = {{{"fp32[2, 3, 4, 6]"}, "downscale_factor=2"}},
};

constinit const OpDef batch_to_space{
    .name = "batch_to_space",
    .doc = "Lays out groups of the batch as blocks of pixels, and crops the result.",
    .inputs = {"x"},
    .attrs = {{"block_shape", AttrKind::integers, required}, {"crops", AttrKind::integers, required}},
    .infer = infer_batch_to_space,
    .gradient = batch_to_space_gradient,
    .reference = move_reference<moves::batch_to_space>,
    .mil = {.name = "batch_to_space", .downgrade = downgrade_pairs},
    .samples = {{{"fp32[12, 2, 3, 2]"}, "block_shape=[2, 3], crops=[1, 2, 0, 3]"},
                {{"fp32[4, 2, 3, 2]"}, "block_shape=[2, 2], crops=[0, 0, 0, 0]"}},
};

constinit const OpDef space_to_batch{
    .name = "space_to_batch",
    .doc = "Pads with zeros and moves the places inside blocks of pixels to the batch.",
    .inputs = {"x"},
    .attrs = {{"block_shape", AttrKind::integers, required}, {"paddings", AttrKind::integers, required}},
    .infer = infer_space_to_batch,
    .gradient = space_to_batch_gradient,
    .reference = move_reference<moves::space_to_batch>,
    .mil = {.name = "space_to_batch", .downgrade = downgrade_pairs},
    .samples = {{{"fp32[2, 3, 3, 4]"}, "block_shape=[2, 3], paddings=[1, 0, 2, 3]"},
                {{"fp32[2, 1, 4, 4]"}, "block_shape=[2, 2], paddings=[0, 0, 0, 0]"}},
};

}  // namespace ops
}  // namespace tl
