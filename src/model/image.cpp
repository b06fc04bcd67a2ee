// SPDX-License-Identifier: Apache-2.0
// Pixels and planes.
#include "model/image.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

std::int64_t channels(const Image& image) { return image.pixels.rank() == 2 ? 1 : image.pixels.shape()[2]; }

std::uint8_t to_byte(double x) {
  return x == x ? static_cast<std::uint8_t>(std::nearbyint(std::clamp(x, 0.0, 255.0))) : 0;
}

// The weights with which a line of `from` samples makes sample i of `to`.
struct Taps {
  std::int64_t first = 0;
  std::vector<double> weights = {};
};

std::vector<Taps> taps(std::int64_t from, std::int64_t to) {
  double scale = static_cast<double>(from) / static_cast<double>(to), reach = std::max(scale, 1.0);
  std::vector<Taps> all(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale;
    std::int64_t low = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(centre - reach + 0.5)));
    std::int64_t high = std::min(from, static_cast<std::int64_t>(std::floor(centre + reach + 0.5)));
    Taps& one = all[static_cast<std::size_t>(i)];
    one.first = low;
    double sum = 0;
    for (std::int64_t k = low; k < std::max(high, low + 1); ++k) {
      double weight = std::max(0.0, 1 - std::fabs((static_cast<double>(k) + 0.5 - centre) / reach));
      one.weights.push_back(weight);
      sum += weight;
    }
    for (double& weight : one.weights)
      weight = sum > 0 ? weight / sum : 1.0 / static_cast<double>(one.weights.size());
  }
  return all;
}

}  // namespace

Image resized(const Image& image, std::int64_t height, std::int64_t width) {
  std::int64_t c = channels(image), h = image.height(), w = image.width();
  if (h == 0 || w == 0) throw Error(Code::bad_input, "the image has no pixels");
  std::span<const std::uint8_t> in = image.pixels.as<std::uint8_t>();
  std::vector<Taps> across = taps(w, width), down = taps(h, height);
  std::vector<double> wide(static_cast<std::size_t>(h * width * c), 0);
  for (std::int64_t y = 0; y < h; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::size_t k = 0; k < across[static_cast<std::size_t>(x)].weights.size(); ++k)
        for (std::int64_t ch = 0; ch < c; ++ch)
          wide[static_cast<std::size_t>((y * width + x) * c + ch)] +=
              across[static_cast<std::size_t>(x)].weights[k] *
              in[static_cast<std::size_t>(
                  (y * w + across[static_cast<std::size_t>(x)].first + static_cast<std::int64_t>(k)) * c +
                  ch)];
  Shape shape = image.pixels.shape();
  shape[0] = height, shape[1] = width;
  Tensor out(DType::u8, shape);
  std::span<std::uint8_t> to = out.writable<std::uint8_t>();
  std::int64_t row = width * c;
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t i = 0; i < row; ++i) {
      double sum = 0;
      const Taps& tap = down[static_cast<std::size_t>(y)];
      for (std::size_t k = 0; k < tap.weights.size(); ++k)
        sum += tap.weights[k] *
               wide[static_cast<std::size_t>((tap.first + static_cast<std::int64_t>(k)) * row + i)];
      to[static_cast<std::size_t>(y * row + i)] = to_byte(sum);
    }
  return {out};
}

Image to_gray(const Image& image) {
  if (channels(image) == 1) return {image.pixels.reshaped({image.height(), image.width()})};
  Tensor out(DType::u8, {image.height(), image.width()});
  std::span<const std::uint8_t> in = image.pixels.as<std::uint8_t>();
  std::span<std::uint8_t> to = out.writable<std::uint8_t>();
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i] = to_byte(0.299 * in[3 * i] + 0.587 * in[3 * i + 1] + 0.114 * in[3 * i + 2]);
  return {out};
}

Image to_rgb(const Image& image) {
  if (channels(image) == 3) return image;
  Tensor out(DType::u8, {image.height(), image.width(), 3});
  std::span<const std::uint8_t> in = image.pixels.as<std::uint8_t>();
  std::span<std::uint8_t> to = out.writable<std::uint8_t>();
  for (std::size_t i = 0; i < in.size(); ++i) to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = in[i];
  return {out};
}

Tensor planes(const Image& image, bool bgr) {
  std::int64_t c = channels(image), size = image.height() * image.width();
  Tensor out(DType::f32, {1, c, image.height(), image.width()});
  std::span<const std::uint8_t> in = image.pixels.as<std::uint8_t>();
  std::span<float> to = out.writable<float>();
  for (std::int64_t ch = 0; ch < c; ++ch) {
    std::int64_t from = bgr && c == 3 ? 2 - ch : ch;
    for (std::int64_t i = 0; i < size; ++i)
      to[static_cast<std::size_t>(ch * size + i)] = in[static_cast<std::size_t>(i * c + from)];
  }
  return out;
}

Image image_from_planes(const Tensor& t, bool bgr) {
  if (t.rank() < 3)
    throw Error(Code::bad_input, text("an image output has the shape {}", text_of(t.shape())));
  Shape shape(t.shape().end() - 3, t.shape().end());
  std::int64_t c = shape[0], size = shape[1] * shape[2];
  if ((c != 1 && c != 3) || size * c != t.size())
    throw Error(Code::bad_input, text("an image output has the shape {}", text_of(t.shape())));
  Tensor out(DType::u8, c == 1 ? Shape{shape[1], shape[2]} : Shape{shape[1], shape[2], 3});
  std::vector<double> in = to_doubles(t);
  std::span<std::uint8_t> to = out.writable<std::uint8_t>();
  for (std::int64_t ch = 0; ch < c; ++ch) {
    std::int64_t at = bgr && c == 3 ? 2 - ch : ch;
    for (std::int64_t i = 0; i < size; ++i)
      to[static_cast<std::size_t>(i * c + at)] = to_byte(in[static_cast<std::size_t>(ch * size + i)]);
  }
  return {out};
}

Image image_of(const Tensor& given, const Feature& feature) {
  Tensor t = given;
  if (t.rank() == 4 && t.shape()[0] == 1) t = t.reshaped({t.shape().begin() + 1, t.shape().end()});
  auto channel_count = [](Dim d) { return d == 1 || d == 3; };
  if (t.dtype() == DType::string || t.rank() < 2 || t.rank() > 3)
    throw Error(
        Code::bad_input,
        text("input '{}' is an image; an array for it is [height, width] or [height, width, 3], not {}",
             feature.name, text_of(given.shape())));
  if (t.rank() == 3 && channel_count(t.shape()[0]) && !channel_count(t.shape()[2]) && t.shape()[2] != 4)
    return image_from_planes(t, feature.color == ColorSpace::bgr);
  std::vector<double> in = to_doubles(t);
  std::int64_t c = t.rank() == 2 ? 1 : t.shape()[2], kept = c == 4 ? 3 : c;  // alpha is dropped
  if (c != 1 && c != 3 && c != 4)
    throw Error(Code::bad_input,
                text("input '{}' is an image, but the array has {} channels", feature.name, c));
  Tensor out(DType::u8, kept == 1 ? Shape{t.shape()[0], t.shape()[1]} : Shape{t.shape()[0], t.shape()[1], 3});
  std::span<std::uint8_t> to = out.writable<std::uint8_t>();
  std::int64_t pixels = t.shape()[0] * t.shape()[1];
  for (std::int64_t i = 0; i < pixels; ++i)
    for (std::int64_t ch = 0; ch < kept; ++ch)
      to[static_cast<std::size_t>(i * kept + ch)] = to_byte(in[static_cast<std::size_t>(i * c + ch)]);
  return {out};
}

Shape nearest_size(const Shape& given, std::span<const Shape> allowed) {
  auto change = [&](const Shape& s) {
    return std::fabs(std::log(static_cast<double>(s[0]) / static_cast<double>(given[0]))) +
           std::fabs(std::log(static_cast<double>(s[1]) / static_cast<double>(given[1])));
  };
  return *std::min_element(allowed.begin(), allowed.end(),
                           [&](const Shape& a, const Shape& b) { return change(a) < change(b); });
}

}  // namespace tl
