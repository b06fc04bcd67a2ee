// SPDX-License-Identifier: Apache-2.0
// Feature values to tensors and back (coreml.md 2.4, 2.5, 9).
#include "model/feature.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "model/image.h"

namespace tl {
namespace {

[[noreturn]] void mismatch(const Feature& feature, const std::string& got) {
  throw Error(Code::bad_input, text("input '{}' takes {}, not {}", feature.name, describe(feature), got));
}

bool within(const Feature& feature, const Shape& shape) {
  if (!feature.enumerated.empty())
    return std::find(feature.enumerated.begin(), feature.enumerated.end(), shape) !=
               feature.enumerated.end() ||
           shape == feature.shape;
  if (!feature.ranges.empty()) {
    if (feature.ranges.size() != shape.size()) return false;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      const DimRange& range = feature.ranges[d];
      if (shape[d] < range.lowest || (range.highest >= 0 && shape[d] > range.highest)) return false;
    }
    return true;
  }
  return feature.shape.empty() || shape == feature.shape;
}

Shape without_leading_ones(Shape shape) {
  while (!shape.empty() && shape.front() == 1) shape.erase(shape.begin());
  return shape;
}

// The shape that the graph computes with: what was given, or the same with leading ones added or taken away.
Shape fitting_shape(const Feature& feature, const Shape& given, const Type& graph_type) {
  if (within(feature, given) || (graph_type.ranked && given == graph_type.shape)) return given;
  if (!feature.flexible() && without_leading_ones(given) == without_leading_ones(feature.shape))
    return feature.shape;
  mismatch(feature, text_of(given));
}

// The five lengths of an array for an older network, whose declared shape is the end of them.
Shape fitting_five(const Feature& feature, const Shape& given) {
  if (given.size() > 5) mismatch(feature, text_of(given));
  if (within(feature, given)) return five_dims(given);
  Shape five = five_dims(given);
  std::size_t rank = feature.shape.size();
  bool vector = rank == 1 && five[3] == 1 && five[4] == 1;
  Shape end = vector ? Shape{five[2]} : Shape(five.begin() + 2, five.end());
  if ((vector || rank == 3) && within(feature, end)) return five;
  return five_dims(fitting_shape(feature, given, unranked(feature.dtype)));
}

Tensor array_input(const Feature& feature, const Tensor& given, const Type& graph_type) {
  if (given.dtype() == DType::string) mismatch(feature, "text");
  Shape shape =
      feature.five ? fitting_five(feature, given.shape()) : fitting_shape(feature, given.shape(), graph_type);
  Tensor t = given.reshaped(shape);
  if (graph_type.ranked && graph_type.rank() == 0 && t.size() == 1)
    t = t.reshaped({});  // described as [1], a scalar inside
  // First to the declared type, as the caller's buffer would be; then to the graph's.
  bool number = feature.kind == FeatureKind::int64 ||
                feature.kind == FeatureKind::double_;  // which no element type narrows
  return converted(number ? t : converted(t, feature.dtype), graph_type.dtype);
}

std::string kind_of(const FeatureValue& value) {
  constexpr const char* names[] = {"an array", "an image", "an integer", "a number", "text", "a dictionary"};
  return names[value.index()];
}

// A plane of gray fp16 pixels from an array: any values, which 8 bits would not hold; never stretched.
Tensor half_plane(const Feature& feature, const Tensor& given, const Type& graph_type) {
  Shape size = given.shape();
  while (size.size() > 2 && size.front() == 1) size.erase(size.begin());
  if (size.size() == 3 && size.back() == 1) size.pop_back();
  if (size.size() != 2 || given.dtype() == DType::string || !within(feature, size))
    mismatch(feature, text_of(given.type()));
  return converted(given.reshaped({1, 1, size[0], size[1]}), graph_type.dtype);
}

Shape image_size(const Feature& feature, const Image& image) {
  Shape given{image.height(), image.width()};
  if (within(feature, given) || feature.shape.size() != 2) return given;
  if (feature.enumerated.empty() && feature.ranges.empty()) return feature.shape;
  if (!feature.enumerated.empty()) return nearest_size(given, feature.enumerated);
  Shape fit = given;
  for (std::size_t d = 0; d < 2; ++d) {
    fit[d] = std::max(fit[d], feature.ranges[d].lowest);
    if (feature.ranges[d].highest >= 0) fit[d] = std::min(fit[d], feature.ranges[d].highest);
  }
  return fit;
}

Tensor image_input(const Feature& feature, const Image& given, const Type& graph_type, const Notice& notice) {
  Shape size = image_size(feature, given);
  Image image = given;
  if (size != Shape{given.height(), given.width()}) {
    image = resized(given, size[0], size[1]);
    if (notice)
      notice(text("image '{}' is {} × {}, the model takes {} × {}: stretched to fit", feature.name,
                  given.width(), given.height(), size[1], size[0]));
  }
  bool gray = feature.color == ColorSpace::gray || feature.color == ColorSpace::gray_f16;
  return converted(planes(gray ? to_gray(image) : to_rgb(image), feature.color == ColorSpace::bgr),
                   graph_type.dtype);
}

// What an older network gives, as declared, or [C, H, W] if there is no sequence and no batch.
Tensor without_five(const Feature& feature, const Tensor& t) {
  Shape shape = five_dims(t.shape());
  if (shape[0] != 1 || shape[1] != 1) return t;
  bool declared = !feature.shape.empty() && is_known(feature.shape) && volume(feature.shape) == t.size();
  return t.reshaped(declared ? feature.shape : Shape(shape.begin() + 2, shape.end()));
}

// [1, 1, height, width] as fp16 [height, width]: what a buffer of half floats holds.
Tensor plane_of_halves(const Tensor& t) {
  if (t.rank() < 2 || volume(t.shape()) != t.shape()[t.rank() - 2] * t.shape()[t.rank() - 1])
    throw Error(Code::bad_input, text("an image output has the shape {}", text_of(t.shape())));
  return converted(t.reshaped({t.shape()[t.rank() - 2], t.shape()[t.rank() - 1]}), DType::f16);
}

}  // namespace

const FeatureValue* find(const Features& features, std::string_view name) {
  for (const auto& [key, value] : features)
    if (key == name) return &value;
  return nullptr;
}

std::string describe(const Feature& feature) {
  constexpr std::string_view colors[] = {"gray", "RGB", "BGR", "gray fp16"};
  switch (feature.kind) {
    case FeatureKind::image:
      return text("an image {} × {} {}{}", feature.shape.size() > 1 ? feature.shape[1] : 0,
                  feature.shape.empty() ? 0 : feature.shape[0],
                  colors[static_cast<std::size_t>(feature.color)],
                  feature.flexible() ? " (other sizes are allowed)" : "");
    case FeatureKind::tensor:
    case FeatureKind::state: {
      std::string shapes = text_of(feature.shape);
      for (std::size_t i = 0; i < feature.enumerated.size(); ++i)
        shapes += (i ? ", " : " or one of ") + text_of(feature.enumerated[i]);
      if (!feature.ranges.empty()) {
        shapes += " within [";
        for (std::size_t d = 0; d < feature.ranges.size(); ++d) {
          const DimRange& r = feature.ranges[d];
          shapes += text("{}{}", d ? ", " : "",
                         r.lowest == r.highest ? text("{}", r.lowest)
                         : r.highest < 0       ? text("{}…", r.lowest)
                                               : text("{}…{}", r.lowest, r.highest));
        }
        shapes += "]";
      }
      return text("{} array {}", name_of(feature.dtype), shapes);
    }
    case FeatureKind::int64: return "an integer";
    case FeatureKind::double_: return "a number";
    case FeatureKind::string: return "text";
    case FeatureKind::dictionary:
      return text("a dictionary from {} to numbers", feature.key == DType::string ? "text" : "integers");
    case FeatureKind::sequence:
      return text("a sequence of {}", feature.dtype == DType::string ? "text" : "integers");
  }
  return "";
}

Tensor to_input(const Feature& feature, const FeatureValue& value, const Type& graph_type,
                const Notice& notice) {
  if (feature.kind == FeatureKind::image) {
    if (const auto* image = std::get_if<Image>(&value))
      return image_input(feature, *image, graph_type, notice);
    const auto* tensor = std::get_if<Tensor>(&value);
    if (tensor && feature.color == ColorSpace::gray_f16) return half_plane(feature, *tensor, graph_type);
    if (tensor) return image_input(feature, image_of(*tensor, feature), graph_type, notice);
    mismatch(feature, kind_of(value));
  }
  if (const auto* tensor = std::get_if<Tensor>(&value)) return array_input(feature, *tensor, graph_type);
  if (const auto* whole = std::get_if<std::int64_t>(&value))
    return array_input(feature, from_integers({whole, 1}, DType::i64, {1}), graph_type);
  if (const auto* number = std::get_if<double>(&value))
    return array_input(feature, from_doubles({number, 1}, DType::f64, {1}), graph_type);
  mismatch(feature, kind_of(value));
}

Tensor default_input(const Feature& feature, const Type& graph_type) {
  Shape shape = graph_type.ranked && graph_type.rank() == 0 ? Shape{}
                : feature.five                              ? five_dims(feature.shape)
                                                            : feature.shape;
  std::vector<double> values(static_cast<std::size_t>(volume(shape)), feature.fallback.value_or(0));
  return from_doubles(values, graph_type.dtype, shape);
}

FeatureValue to_output(const Feature& feature, const RunValue& value) {
  if (const auto* dictionary = std::get_if<Dictionary>(&value)) return *dictionary;
  const auto* tensor = std::get_if<Tensor>(&value);
  if (!tensor)
    throw Error(Code::unsupported, text("output '{}' is not a value that can be given out", feature.name));
  switch (feature.kind) {
    case FeatureKind::image:
      if (feature.color == ColorSpace::gray_f16) return plane_of_halves(*tensor);
      return image_from_planes(*tensor, feature.color == ColorSpace::bgr);
    case FeatureKind::string:
      if (tensor->dtype() == DType::string && tensor->size() == 1) return tensor->as<std::string>()[0];
      return *tensor;
    case FeatureKind::int64:
      if (tensor->size() == 1 && tensor->dtype() != DType::string) return to_integers(*tensor).front();
      return *tensor;
    case FeatureKind::double_:
      if (tensor->size() == 1 && tensor->dtype() != DType::string) return to_doubles(*tensor).front();
      return *tensor;
    default: break;
  }
  if (tensor->dtype() == DType::string) return *tensor;
  Tensor t = converted(*tensor, feature.dtype);
  if (feature.five) return without_five(feature, t);
  return t.rank() == 0 && feature.shape == Shape{1} ? t.reshaped({1}) : t;
}

}  // namespace tl
