// SPDX-License-Identifier: Apache-2.0
// Sampling images at computed places: boxes cut out and resized, grids of coordinates, affine maps.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"
#include "op/resize.h"

namespace tl {
namespace {

// ---- crop_resize

constexpr std::string_view box_modes =
    "CORNERS_HEIGHT_FIRST CORNERS_WIDTH_FIRST CENTER_SIZE_HEIGHT_FIRST CENTER_SIZE_WIDTH_FIRST";

std::vector<Type> infer_crop_resize(const InferCall& call) {
  need_rank(call, 0, 4, 4);
  const Shape &x = call.type(0).shape, &boxes = call.type(1).shape;
  std::int64_t height = call.attrs.integer("target_height"), width = call.attrs.integer("target_width");
  need(height > 0 && width > 0, "target_height and target_width must be positive");
  bool roi = call.attrs.boolean("roi");
  need_rank(call, 1, roi ? 3 : 2, roi ? 5 : 2);
  Dim numbers = boxes[roi ? 2 : 1];
  if (is_known(numbers) && numbers != 4 && !(roi && numbers == 5))
    throw Error(Code::bad_input, text("a box has {} numbers, it must have 4", numbers));
  if (call.has(2)) need_rank(call, 2, 1, 1);
  if (!roi) return {Type(call.type(0).dtype, {boxes[0], x[1], height, width})};
  Dim images = numbers == 5 ? 1 : is_known(numbers) ? x[0] : unknown;
  return {Type(call.type(0).dtype, {boxes[0], images, x[1], height, width})};
}

struct Span {  // of a box along one axis, in pixels; it may run backwards
  double first = 0, last = 0;
};

struct Box {
  Span rows, columns;
};

Box decoded(const double* b, const Attrs& attrs, Dim height, Dim width) {
  std::string_view mode = attrs.word("box_coordinate_mode");
  bool width_first = mode.ends_with("WIDTH_FIRST");
  double h0 = b[width_first], w0 = b[!width_first], h1 = b[2 + width_first], w1 = b[2 + !width_first];
  Box box{{h0, h1}, {w0, w1}};
  if (mode.starts_with("CENTER")) box = {{h0 - h1 / 2, h0 + h1 / 2}, {w0 - w1 / 2, w0 + w1 / 2}};
  double scale = attrs.number("spatial_scale");
  double row = attrs.boolean("normalized_coordinates") ? scale * static_cast<double>(height - 1) : scale;
  double column = attrs.boolean("normalized_coordinates") ? scale * static_cast<double>(width - 1) : scale;
  return {{box.rows.first * row, box.rows.last * row},
          {box.columns.first * column, box.columns.last * column}};
}

// The sampling modes of a resized image, on a part of it: the box of a whole image gives the whole image's
// grid.
double box_position(std::string_view mode, const Span& span, std::int64_t i, std::int64_t count) {
  auto n = static_cast<double>(count), k = static_cast<double>(i);
  double length = span.last - span.first;
  if (mode == "STRICT_ALIGN_CORNERS") return count == 1 ? span.first : span.first + k * length / (n - 1);
  if (mode == "ALIGN_CORNERS")
    return count == 1 ? span.first + length / 2 : span.first + k * length / (n - 1);
  if (mode == "OFFSET_CORNERS") return span.first + (k + 0.5) * std::max(1.0, length) / n;
  if (mode == "UNALIGN_CORNERS") return span.first + (k + 0.5) * (length + 1) / n - 0.5;
  return span.first + k * (length + 1) / n;
}

struct Samples {  // along one axis; outside: the pad value, where there is one
  std::vector<ResizeTap> taps;
  std::vector<bool> outside;
};

Samples samples_of(std::string_view mode, const Span& span, std::int64_t count, Dim length) {
  Samples s;
  for (std::int64_t i = 0; i < count; ++i) {
    double p = box_position(mode, span, i, count);
    s.taps.push_back(tap_at(p, length));
    s.outside.push_back(!(p >= 0 && p <= static_cast<double>(length - 1)));
  }
  return s;
}

double mixed(double a, double b, double part) { return part == 0 ? a : (1 - part) * a + part * b; }

double bilinear(const double* image, Dim width, const ResizeTap& row, const ResizeTap& column) {
  auto at = [&](std::int64_t y, std::int64_t x) { return image[y * width + x]; };
  return mixed(mixed(at(row.low, column.low), at(row.low, column.high), column.part),
               mixed(at(row.high, column.low), at(row.high, column.high), column.part), row.part);
}

struct CropCall {
  const Array& x;
  const Attrs& attrs;
  std::vector<double>& out;
};

// Appends one image's cut: every channel of image `n`.
void cut(const CropCall& call, const double* box_numbers, std::int64_t n) {
  Dim channels = call.x.shape[1], height = call.x.shape[2], width = call.x.shape[3];
  if (n < 0 || n >= call.x.shape[0])
    throw Error(Code::bad_input, text("a box is of image {}, there are {}", n, call.x.shape[0]));
  need(height > 0 && width > 0, "cuts boxes out of an empty image");
  Box box = decoded(box_numbers, call.attrs, height, width);
  std::string_view mode = call.attrs.word("sampling_mode");
  Samples rows = samples_of(mode, box.rows, call.attrs.integer("target_height"), height);
  Samples columns = samples_of(mode, box.columns, call.attrs.integer("target_width"), width);
  std::optional<double> pad;
  if (call.attrs.has("pad_value")) pad = call.attrs.number("pad_value");
  for (Dim c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < rows.taps.size(); ++i)
      for (std::size_t j = 0; j < columns.taps.size(); ++j) {
        const double* image = call.x.data.data() + (n * channels + c) * height * width;
        bool outside = rows.outside[i] || columns.outside[j];
        call.out.push_back(outside && pad ? *pad : bilinear(image, width, rows.taps[i], columns.taps[j]));
      }
}

void reference_crop_resize(const ReferenceCall& call) {
  const Array &x = *call.in[0], &boxes = *call.in[1];
  bool roi = call.attrs.boolean("roi");
  Dim numbers = boxes.shape[roi ? 2 : 1], count = boxes.shape[0];
  Shape shape{count, x.shape[1], call.attrs.integer("target_height"), call.attrs.integer("target_width")};
  if (roi) shape.insert(shape.begin() + 1, numbers == 5 ? 1 : x.shape[0]);
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(volume(shape)));
  const double* indices = call.in.size() > 2 && call.in[2] ? call.in[2]->data.data() : nullptr;
  if (indices) need(call.in[2]->size() == count, "needs one box index a box");
  for (Dim b = 0; b < count; ++b) {
    const double* box = boxes.data.data() + b * numbers;
    if (numbers == 5) cut({x, call.attrs, out}, box + 1, static_cast<std::int64_t>(box[0]));
    else if (roi)
      for (Dim n = 0; n < x.shape[0]; ++n) cut({x, call.attrs, out}, box, n);
    else cut({x, call.attrs, out}, box, indices ? static_cast<std::int64_t>(indices[b]) : b);
  }
  call.out[0].shape = std::move(shape);
  call.out[0].data = std::move(out);
}

// Up to iOS 16 boxes come as `roi`, [n, 1, 4 or 5, 1, 1]; in iOS 15 there is no padding: places outside are
// clamped.
void upgrade_crop_resize(MilNode& node) {
  if (node.input("roi") != no_value) {
    node.set_input("boxes", node.ex("roi"));
    node.drop("roi");
    node.set("roi", true);
  }
  if (node.opset < 6) node.drop("pad_value");
  else if (node.input("pad_value") == no_value) node.set("pad_value", 0.0);
}

void downgrade_crop_resize(MilWrite& out) {
  constexpr int ios15 = 5, ios16 = 6, ios17 = 7;
  bool roi = out.node.attrs.boolean("roi");
  out.drop("roi");
  if (roi) out.rename("boxes", "roi"), out.at_most(ios16);
  else out.need(ios17);
  if (!out.node.attrs.has("pad_value")) out.at_most(ios15);  // later they pad
}

// ---- resample, affine

constexpr std::string_view coordinate_modes =
    "normalized_minus_one_to_one normalized_zero_to_one unnormalized";

std::vector<Type> infer_resample(const InferCall& call) {
  need_rank(call, 0, 4, 4);
  need_rank(call, 1, 4, 4);
  const Shape &x = call.type(0).shape, &grid = call.type(1).shape;
  need(grid[3] == 2 || !is_known(grid[3]), "coordinates must be pairs (x, y) along their last axis");
  need(grid[0] == x[0] || !is_known(grid[0]) || !is_known(x[0]), "x and coordinates differ in their batches");
  return {Type(call.type(0).dtype, {is_known(x[0]) ? x[0] : grid[0], x[1], grid[1], grid[2]})};
}

std::vector<Type> infer_affine(const InferCall& call) {
  need_rank(call, 0, 4, 4);
  need_rank(call, 1, 2, 2);
  const Shape &x = call.type(0).shape, &matrix = call.type(1).shape;
  need(matrix[1] == 6 || !is_known(matrix[1]), "transform_matrix must have six numbers a row");
  need(matrix[0] == 1 || matrix[0] == x[0] || !is_known(matrix[0]) || !is_known(x[0]),
       "needs one matrix, or one an image");
  std::int64_t height = call.attrs.integer("output_height"), width = call.attrs.integer("output_width");
  need(height > 0 && width > 0, "output_height and output_width must be positive");
  return {Type(call.type(0).dtype, {x[0], x[1], height, width})};
}

double pixel_of(double g, Dim length, const Attrs& attrs) {
  std::string_view mode = attrs.word("coordinates_mode");
  bool align = attrs.boolean("align_corners");
  auto n = static_cast<double>(length);
  double p = g;
  if (mode == "normalized_minus_one_to_one") p = align ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
  if (mode == "normalized_zero_to_one") p = align ? g * (n - 1) : g * n - 0.5;
  return p == p ? std::clamp(p, -0x1p40, 0x1p40) : -0x1p40;
}

// Where element i of an axis is found when i may lie outside: an index, or -1 for the padding value.
std::int64_t element_of(std::string_view padding, std::int64_t i, Dim n) {
  if (i >= 0 && i < n) return i;
  if (padding == "constant") return -1;
  if (padding == "border") return i < 0 ? 0 : n - 1;
  bool edge = padding == "symmetric";  // mirrored with the edge, else without
  std::int64_t period = edge ? 2 * n : std::max<std::int64_t>(2 * n - 2, 1),
               k = (i % period + period) % period;
  return k < n ? k : period - k - (edge ? 1 : 0);
}

struct Sampler {
  const Array& x;
  const Attrs& attrs;

  double at(const double* image, std::int64_t row, std::int64_t column) const {
    std::string_view padding = attrs.word("padding_mode");
    std::int64_t r = element_of(padding, row, x.shape[2]), c = element_of(padding, column, x.shape[3]);
    return r < 0 || c < 0 ? attrs.number("padding_value") : image[r * x.shape[3] + c];
  }
  double sample(const double* image, double row, double column) const {
    if (attrs.word("sampling_mode") == "nearest")
      return at(image, static_cast<std::int64_t>(std::floor(row + 0.5)),
                static_cast<std::int64_t>(std::floor(column + 0.5)));
    auto r = static_cast<std::int64_t>(std::floor(row)), c = static_cast<std::int64_t>(std::floor(column));
    double down = row - std::floor(row), right = column - std::floor(column);
    return mixed(mixed(at(image, r, c), at(image, r, c + 1), right),
                 mixed(at(image, r + 1, c), at(image, r + 1, c + 1), right), down);
  }
  // One output pixel of every channel of image n; g is (x, y) as the attributes mean it.
  void pixel(const ReferenceCall& call, std::int64_t n, std::int64_t place, const double (&g)[2]) const {
    double column = pixel_of(g[0], x.shape[3], attrs), row = pixel_of(g[1], x.shape[2], attrs);
    std::int64_t area = call.out[0].shape[2] * call.out[0].shape[3];
    for (Dim c = 0; c < x.shape[1]; ++c) {
      const double* image = x.data.data() + (n * x.shape[1] + c) * x.shape[2] * x.shape[3];
      call.out[0].data[static_cast<std::size_t>((n * x.shape[1] + c) * area + place)] =
          sample(image, row, column);
    }
  }
};

void shape_output(const ReferenceCall& call, Dim height, Dim width) {
  const Shape& x = call.in[0]->shape;
  need(x[2] > 0 && x[3] > 0, "samples an empty image");
  call.out[0].shape = {x[0], x[1], height, width};
  call.out[0].data.resize(static_cast<std::size_t>(volume(call.out[0].shape)));
}

void reference_resample(const ReferenceCall& call) {
  const Array &x = *call.in[0], &grid = *call.in[1];
  shape_output(call, grid.shape[1], grid.shape[2]);
  Sampler sampler{x, call.attrs};
  std::int64_t area = grid.shape[1] * grid.shape[2];
  for (Dim n = 0; n < x.shape[0]; ++n)
    for (std::int64_t k = 0; k < area; ++k) {
      const double* g = grid.data.data() + (n * area + k) * 2;
      sampler.pixel(call, n, k, {g[0], g[1]});
    }
}

// The coordinate of output i of `count`, in the range and convention of the attributes.
double output_coordinate(const Attrs& attrs, std::int64_t i, std::int64_t count) {
  auto k = static_cast<double>(i), n = static_cast<double>(count);
  if (attrs.word("coordinates_mode") == "unnormalized") return k;
  double unit = !attrs.boolean("align_corners") ? (k + 0.5) / n : count == 1 ? 0 : k / (n - 1);
  return attrs.word("coordinates_mode") == "normalized_zero_to_one" ? unit : 2 * unit - 1;
}

void reference_affine(const ReferenceCall& call) {
  const Array &x = *call.in[0], &matrix = *call.in[1];
  std::int64_t height = call.attrs.integer("output_height"), width = call.attrs.integer("output_width");
  shape_output(call, height, width);
  Sampler sampler{x, call.attrs};
  for (Dim n = 0; n < x.shape[0]; ++n) {
    const double* m = matrix.data.data() + (matrix.shape[0] == 1 ? 0 : n * 6);
    for (std::int64_t k = 0; k < height * width; ++k) {
      double gx = output_coordinate(call.attrs, k % width, width),
             gy = output_coordinate(call.attrs, k / width, height);
      sampler.pixel(call, n, k, {m[0] * gx + m[1] * gy + m[2], m[3] * gx + m[4] * gy + m[5]});
    }
  }
}

}  // namespace

constinit const OpDef ops::crop_resize{
    .name = "crop_resize",
    .doc =
        "Cuts boxes out of images and resizes them by linear interpolation; without pad_value places outside "
        "are clamped.",
    .inputs = {"x", "boxes", {"box_indices", Arity::optional}},
    .attrs = {{"target_height", AttrKind::integer, "1"},
              {"target_width", AttrKind::integer, "1"},
              {"normalized_coordinates", AttrKind::boolean, "false"},
              {"spatial_scale", AttrKind::number, "1"},
              {"box_coordinate_mode", AttrKind::word, "CORNERS_HEIGHT_FIRST", box_modes},
              {"sampling_mode", AttrKind::word, "DEFAULT", sampling_modes},
              {"pad_value", AttrKind::number, absent},
              {"roi", AttrKind::boolean, "false"}},  // boxes [n, 1, 4 or 5, 1, 1], and outputs of rank 5
    .infer = infer_crop_resize,
    .reference = reference_crop_resize,
    .mil = {"crop_resize",
            5,
            upgrade_crop_resize,
            downgrade_crop_resize,
            {{.name = "spatial_scale", .dtype = DType::f32},
             {.name = "pad_value", .since = 6, .tied = true},
             {.name = "box_indices", .since = 7}}},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[2, 3, 4, 5]", "fp32[2, 4] = [0.5, 1, 3, 2, 0, 0, 2.5, 4]",
                            "int32[2] = [1, 0]"},
                 .attrs = "target_height=3, target_width=2, sampling_mode=ALIGN_CORNERS, pad_value=0"}},
};

constinit const OpDef ops::resample{
    .name = "resample",
    .doc = "Samples images at coordinates (x, y) given for every output pixel.",
    .inputs = {"x", "coordinates"},
    .attrs = {{"sampling_mode", AttrKind::word, "bilinear", "bilinear nearest"},
              {"padding_mode", AttrKind::word, "constant", "constant border reflection symmetric"},
              {"padding_value", AttrKind::number, "0"},
              {"coordinates_mode", AttrKind::word, "normalized_minus_one_to_one", coordinate_modes},
              {"align_corners", AttrKind::boolean, "false"}},
    .infer = infer_resample,
    .reference = reference_resample,
    .mil = {.name = "resample", .parameters = {{.name = "padding_value", .tied = true}}},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[1, 2, 3, 4]", "fp32[1, 2, 2, 2]"}},
                {.inputs = {"fp32[1, 2, 3, 4]", "fp32[1, 2, 2, 2]"},
                 .attrs = "sampling_mode=nearest, padding_mode=symmetric"}},
};

constinit const OpDef ops::affine{
    .name = "affine",
    .doc =
        "Samples images at coordinates mapped by a matrix, rows (a0, a1, a2) for x and (b0, b1, b2) for y.",
    .inputs = {"x", "transform_matrix"},
    .attrs = {{"output_height", AttrKind::integer, required},
              {"output_width", AttrKind::integer, required},
              {"sampling_mode", AttrKind::word, "bilinear", "bilinear nearest"},
              {"padding_mode", AttrKind::word, "constant", "constant border reflection symmetric"},
              {"padding_value", AttrKind::number, "0"},
              {"coordinates_mode", AttrKind::word, "normalized_minus_one_to_one", coordinate_modes},
              {"align_corners", AttrKind::boolean, "true"}},
    .infer = infer_affine,
    .reference = reference_affine,
    .mil = {.name = "affine", .parameters = {{.name = "padding_value", .tied = true}}},
    .near_zero = 1e-5,
    .samples = {{.inputs = {"fp32[2, 2, 3, 4]", "fp32[1, 6]"}, .attrs = "output_height=3, output_width=2"}},
};

}  // namespace tl
