// SPDX-License-Identifier: Apache-2.0
// Espresso's layers as those of a NeuralNetwork: what was fused becomes a layer of its own again. Numbers of
// modes and operations are those of coreml.md 8.5 and of nets whose source is known; others are refused.
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/espresso/layer.h"

namespace tl::coreml::espresso {

void unknown(std::string what) { throw Error(Code::unsupported, std::move(what)); }

Wires wires(const Part& part) { return {part.name(), part.bottoms(), part.tops()}; }

void put(Out& network, const Wires& wires, std::uint32_t type, const Out& params) {
  Out layer;
  layer.text(1, wires.name);
  for (const std::string& value : wires.in) layer.text(2, value);
  for (const std::string& value : wires.out) layer.text(3, value);
  network.message(1, layer.message(type, params));
}

Fused::Fused(const Part& part, Out& network) : part_(part), network_(network) {
  for (auto [key, field] : {std::pair<const char*, std::uint32_t>{"fused_relu", 10},
                            {"has_relu", 10},
                            {"fused_tanh", 30},
                            {"has_tanh", 30}})
    if (part.flag(key)) field_ = field;
  for (const char* key : {"has_prelu", "has_batch_norm", "fused_sigmoid"})
    if (part.flag(key)) unknown(text("'{}' within a layer is not supported", key));
}

void Fused::operator()(std::uint32_t type, const Out& params) {
  const std::string& top = part_.tops()[0];
  std::string inner = field_ ? top + "/linear" : top;
  put(network_, {part_.name(), part_.bottoms(), {inner}}, type, params);
  if (field_) put(network_, {part_.name() + "/fused", {inner}, {top}}, 130, Out().message(field_, Out()));
}

void need_bottoms(const Part& part, std::size_t n) {
  if (part.bottoms().size() != n)
    throw Error(Code::bad_input, text("takes {} values, {} are given", n, part.bottoms().size()));
}

namespace {

// ---- padding

Out amounts(std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right) {
  return Out().message(10, Out().num(1, top).num(2, bottom)).message(10, Out().num(1, left).num(2, right));
}

Out amounts(const Part& part) {
  return amounts(part.integer("pad_t"), part.integer("pad_b"), part.integer("pad_l"), part.integer("pad_r"));
}

void put_padding(const Part& part, Out& params, std::uint32_t valid) {
  switch (part.integer("pad_mode")) {
    case 0: params.message(valid, Out().message(1, amounts(part))); break;
    case 1: params.message(valid + 1, Out()); break;
    case 2: params.message(valid, Out()); break;
    default: unknown(text("padding of mode {} is not known", part.integer("pad_mode")));
  }
}

// ---- sums of products

struct Kernel {
  std::int64_t out, in, groups, height, width;
  std::int64_t size() const {
    double elements =
        static_cast<double>(out) * static_cast<double>(in / groups) * static_cast<double>(height * width);
    if (elements > 1e10) throw Error(Code::bad_input, "has more weights than are possible");
    return out * (in / groups) * height * width;
  }
};

Kernel kernel_of(const Part& part) {
  Kernel k{part.length("C"), part.length("K"), part.integer("n_groups", 1), part.integer("Ny", 1),
           part.integer("Nx", 1)};
  if (k.groups < 1 || k.in % k.groups || k.out % k.groups || k.height < 1 || k.width < 1 ||
      k.height > 65536 || k.width > 65536)
    throw Error(Code::bad_input, text("{} groups of {} inputs and {} outputs, kernel {} x {}", k.groups, k.in,
                                      k.out, k.height, k.width));
  return k;
}

// [out, in / groups, …] as [in, out / groups, …].
Out turned(const Part& part, const Kernel& k) {
  std::vector<float> from = part.floats("blob_weights", k.size()), to(from.size());
  std::int64_t area = k.height * k.width, outs = k.out / k.groups, ins = k.in / k.groups;
  for (std::int64_t g = 0; g < k.groups; ++g)
    for (std::int64_t o = 0; o < outs; ++o)
      for (std::int64_t i = 0; i < ins; ++i)
        for (std::int64_t a = 0; a < area; ++a)
          to[static_cast<std::size_t>(((g * ins + i) * outs + o) * area + a)] =
              from[static_cast<std::size_t>(((g * outs + o) * ins + i) * area + a)];
  return weight_of(to);
}

void put_convolution(const Part& part, Out& network) {
  need_bottoms(part, 1);
  Kernel k = kernel_of(part);
  bool back = part.type() == "deconvolution", biased = part.flag("has_biases");
  Out p;
  p.num(1, k.out).num(2, back ? k.in : k.in / k.groups).num(10, k.groups).list(20, {k.height, k.width});
  p.list(30, {part.integer("stride_y", 1), part.integer("stride_x", 1)});
  p.list(40, {part.integer("dilation_y", 1), part.integer("dilation_x", 1)});
  put_padding(part, p, 50);
  p.num(60, back).num(70, biased);
  p.message(90, back ? turned(part, k) : part.weight("blob_weights", k.size()));
  if (biased) p.message(91, part.weight("blob_biases", k.out));
  if (back && part.has("deconv_out_height"))
    p.list(100, {part.length("deconv_out_height"), part.length("deconv_out_width")});
  Fused(part, network)(100, p);
}

void put_inner_product(const Part& part, Out& network) {
  need_bottoms(part, 1);
  std::int64_t in = part.length("nB"), out = part.length("nC");
  bool biased = part.flag("has_biases") || part.has_weight("blob_biases");
  Out p;
  p.num(1, in).num(2, out).num(10, biased).message(20, part.weight("blob_weights", in * out));
  if (biased) p.message(21, part.weight("blob_biases", out));
  Fused(part, network)(140, p);
}

// ---- pooling

std::int64_t pooled(std::int64_t size, std::int64_t window, std::int64_t stride, std::int64_t border) {
  return (size + border - window) / std::max<std::int64_t>(1, stride) + 1;
}

void put_pool(const Part& part, Out& network) {
  need_bottoms(part, 1);
  constexpr std::int64_t kinds[] = {1, 0, 2};  // average, largest, L2 as a NeuralNetwork counts them
  std::int64_t kind = part.integer("avg_or_max");
  if (kind < 0 || kind > 2) unknown(text("pooling of kind {} is not known", kind));
  Out p;
  p.num(1, kinds[kind]).num(50, part.flag("average_count_exclude_padding"));
  if (part.flag("is_global")) {
    put(network, wires(part), 120, p.num(60, 1));
    return;
  }
  std::int64_t height = part.length("size_y"), width = part.length("size_x");
  std::int64_t down = part.integer("stride_y", 1), across = part.integer("stride_x", 1);
  p.list(10, {height, width}).list(20, {down, across});
  // Whether a window that is not whole counts is said by the lengths of the result.
  std::int64_t vertical = part.integer("pad_t") + part.integer("pad_b");
  const Lengths *from = part.shape(part.bottoms()[0]), *to = part.shape(part.tops()[0]);
  bool beyond =
      part.integer("pad_mode") == 0 && from && to && to->h == pooled(from->h, height, down, vertical) + 1;
  if (beyond) p.message(32, Out().list(10, {part.integer("pad_t"), part.integer("pad_l")}));
  else put_padding(part, p, 30);
  put(network, wires(part), 120, p);
}

// ---- normalisation

void put_batch_norm(const Part& part, Out& network) {
  need_bottoms(part, 1);
  std::int64_t channels = part.length("C");
  std::vector<float> all = part.floats("blob_batchnorm_params", 4 * channels);
  Out p;
  p.num(1, channels);
  bool each = part.flag("training_instancenorm"), measured = part.flag("training") || each;
  p.num(5, measured).num(6, each);
  if (double eps = part.number("training_eps"); eps > 0) p.real(10, eps);
  for (std::uint32_t k = 0; k < (measured ? 2u : 4u); ++k) {  // gamma, beta, mean, variance lie side by side
    std::vector<float> one;
    for (std::size_t i = k; i < all.size(); i += 4) one.push_back(all[i]);
    p.message(15 + k, weight_of(one));
  }
  Fused(part, network)(160, p);
}

void put_l2_norm(const Part& part, Out& network) {
  const Lengths* shape = part.bottoms().empty() ? nullptr : part.shape(part.bottoms()[0]);
  bool flat = shape && shape->h == 1 && shape->w == 1;
  double eps = part.number("eps", 1e-6);
  if (part.integer("normalization_mode") == 0) return put(network, wires(part), 170, Out().real(1, eps));
  if (part.integer("normalization_mode") != 1 || !flat) unknown("this kind of normalisation is not known");
  put(network, wires(part), 165, Out().num(1, 1).num(2, 1).real(3, eps));
}

// ---- shapes

void put_reshape(const Part& part, Out& network) {
  if (part.integer("mode") > 1) unknown(text("reshaping of mode {} is not known", part.integer("mode")));
  if (part.integer("dst_n", 1) > 1 || part.integer("dst_nd_rank") > 3)
    unknown("reshaping to more than channels, height and width is not supported");
  std::vector<std::int64_t> target{part.integer("dst_k", 1), part.integer("dst_h", 1),
                                   part.integer("dst_w", 1)};
  if (part.integer("dst_seq", 1) > 1) target.insert(target.begin(), part.integer("dst_seq"));
  put(network, wires(part), 300, Out().list(1, target).num(2, part.integer("mode")));
}

// Axes are counted w, h, k, n, seq by Espresso, and Seq, C, H, W by the layer.
void put_transpose(const Part& part, Out& network) {
  constexpr std::int64_t axis_of[] = {3, 2, 1, -1, 0};
  if (part.integer("axis_n", 3) != 3) unknown("a transpose that moves the batch is not supported");
  std::vector<std::int64_t> axes;
  for (auto [key, fallback] :
       {std::pair<const char*, std::int64_t>{"axis_seq", 4}, {"axis_k", 2}, {"axis_h", 1}, {"axis_w", 0}}) {
    std::int64_t from = part.integer(key, fallback);
    if (from < 0 || from > 4 || from == 3) unknown(text("'{}' is {}, which is not known", key, from));
    axes.push_back(axis_of[from]);
  }
  put(network, wires(part), 310, Out().list(1, axes));
}

void put_upsample(const Part& part, Out& network) {
  if (part.flag("use_fractional_scale_factors")) unknown("upsampling by a fraction is not supported");
  std::int64_t mode = part.integer("mode");
  if (mode < 0 || mode > 1) unknown(text("upsampling of mode {} is not known", mode));
  Out p;
  p.list(1, {part.length("scaling_factor_y"), part.length("scaling_factor_x")}).num(5, mode);
  if (mode == 1 && part.flag("align_corners")) p.num(6, 1);
  put(network, wires(part), 210, p);
}

void put_border(const Part& part, Out& network) {
  Out p;
  switch (part.integer("pad_pad_mode")) {
    case 0: p.message(1, Out().real(1, part.number("pad_value"))); break;
    case 1: p.message(2, Out()); break;
    case 2: p.message(3, Out()); break;
    default: unknown(text("padding of mode {} is not known", part.integer("pad_pad_mode")));
  }
  put(network, wires(part), 200, p.message(10, amounts(part)));
}

void put_crop(const Part& part, Out& network) {
  need_bottoms(part, 1);
  Out sides = amounts(part.integer("t"), part.integer("b"), part.integer("l"), part.integer("r"));
  put(network, wires(part), 190, Out().message(1, sides));
}

void put_reduce(const Part& part, Out& network) {
  need_bottoms(part, 1);
  std::int64_t mode = part.integer("mode");
  if (mode < 0 || mode > 2) unknown(text("a reduction of mode {} is not known", mode));
  const Lengths *from = part.shape(part.bottoms()[0]), *to = part.shape(part.tops()[0]);
  if (!from || !to) unknown("a reduction whose shapes are not said");
  bool k = to->k != from->k, h = to->h != from->h, w = to->w != from->w;
  std::int64_t axis = k && (h || w) ? 0 : k ? 2 : h && w ? 1 : h ? 3 : 4;
  if (axis == 0 && (to->k != 1 || to->h != 1 || to->w != 1)) unknown("a reduction over these axes");
  put(network, wires(part), 280, Out().num(1, mode).num(3, axis));
}

void put_constant(const Part& part, Out& network) {
  std::int64_t k = part.integer("k", 1), h = part.integer("h", 1), w = part.integer("w", 1);
  if (part.integer("n", 1) != 1 || k < 1 || h < 1 || w < 1 ||
      static_cast<double>(k) * static_cast<double>(h) * static_cast<double>(w) > 1e9)
    unknown("a constant of this shape is not supported");
  std::string key = part.has("constant_blob") ? "constant_blob" : "blob_constant";
  put(network, {part.name(), {}, part.tops()}, 290,
      Out().list(1, {k, h, w}).message(2, part.weight(key, k * h * w)));
}

void put_space(const Part& part, Out& network) {
  std::int64_t mode = part.flag("pixel_shuffle") ? 2 : part.flag("reverse") ? 1 : 0;
  put(network, wires(part), 345, Out().num(1, mode).num(2, part.length("block_size")));
}

// ---- layers that need a line or two

struct Row {
  const char* type;
  void (*put)(const Part&, Out&);
};

constexpr Row rows[] = {
    {"convolution", put_convolution},
    {"deconvolution", put_convolution},
    {"inner_product", put_inner_product},
    {"pool", put_pool},
    {"batchnorm", put_batch_norm},
    {"l2_normalize", put_l2_norm},
    {"activation", put_activation},
    {"elementwise", put_elementwise},
    {"reshape", put_reshape},
    {"transpose", put_transpose},
    {"upsample", put_upsample},
    {"general_padding", put_border},
    {"crop", put_crop},
    {"reduce", put_reduce},
    {"load_constant", put_constant},
    {"space_to_depth", put_space},
    {"softmax", [](const Part& p, Out& n) { put(n, wires(p), 175, Out()); }},
    {"concat", [](const Part& p, Out& n) { put(n, wires(p), 320, Out()); }},
    {"flatten", [](const Part& p, Out& n) { put(n, wires(p), 301, Out().num(1, p.integer("mode"))); }},
    {"copy", [](const Part& p, Out& n) { put(n, wires(p), 130, Out().message(5, Out().real(1, 1))); }},
    {"lrn",
     [](const Part& p, Out& n) {
       Out params;
       params.real(1, p.number("alpha")).real(2, p.number("beta")).num(3, p.length("local_size"));
       put(n, wires(p), 180, params.real(4, p.number("k", 1)));
     }},
};

}  // namespace

void put_part(const Part& part, Out& network) {
  for (const Row& row : rows)
    if (part.type() == row.type) return row.put(part, network);
  unknown(text("layers of type '{}' are not supported", printable(part.type())));
}

}  // namespace tl::coreml::espresso
