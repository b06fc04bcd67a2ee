// SPDX-License-Identifier: Apache-2.0
// Seeded inputs: the same on every machine.
#include "cli/random_input.h"

#include "base/error.h"
#include "base/text.h"

namespace tl::cli {
namespace {

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  double unit() { return static_cast<double>(next() >> 40) * 0x1p-24; }  // exact as float

 private:
  std::uint64_t state_;
};

Tensor random_tensor(const Feature& feature, Random& random) {
  Shape shape = feature.shape;
  for (Dim& d : shape)
    if (!is_known(d)) d = 1;
  std::vector<double> values(static_cast<std::size_t>(volume(shape)));
  for (double& x : values)
    x = is_float(feature.dtype) ? random.unit() : static_cast<double>(random.next() >> 63);
  return from_doubles(values, feature.dtype, shape);
}

Image random_image(const Feature& feature, Random& random) {
  if (feature.shape.size() != 2)
    throw Error(Code::bad_input, text("input '{}' has no size of its own: give an image", feature.name));
  bool gray = feature.color == ColorSpace::gray || feature.color == ColorSpace::gray_f16;
  Shape shape = feature.shape;
  if (!gray) shape.push_back(3);
  Tensor pixels(DType::u8, shape);
  for (std::uint8_t& p : pixels.writable<std::uint8_t>()) p = static_cast<std::uint8_t>(random.next() >> 56);
  return {pixels};
}

}  // namespace

Features random_inputs(const Interface& interface, std::uint64_t seed) {
  Random random(seed);
  Features features;
  for (const Feature& feature : interface.inputs) {
    switch (feature.kind) {
      case FeatureKind::tensor: features.emplace_back(feature.name, random_tensor(feature, random)); break;
      case FeatureKind::image: features.emplace_back(feature.name, random_image(feature, random)); break;
      case FeatureKind::int64:
        features.emplace_back(feature.name, static_cast<std::int64_t>(random.next() >> 63));
        break;
      case FeatureKind::double_: features.emplace_back(feature.name, random.unit()); break;
      default:
        throw Error(Code::bad_input, text("input '{}' is {} and cannot be made up: give it with --input",
                                          feature.name, name_of(feature.kind)));
    }
  }
  return features;
}

}  // namespace tl::cli
