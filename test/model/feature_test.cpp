// SPDX-License-Identifier: Apache-2.0
// The edge of a model: what is converted, what is refused and in which words.
#include "model/feature.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "model/batch.h"
#include "model/image.h"

namespace tl {
namespace {

Tensor numbers(std::vector<double> values, Shape shape, DType dtype = DType::f64) {
  return from_doubles(values, dtype, std::move(shape));
}

Feature array(DType dtype, Shape shape) {
  Feature f;
  f.name = "x", f.dtype = dtype, f.shape = std::move(shape);
  return f;
}

Feature image(Shape size, ColorSpace color) {
  Feature f;
  f.name = "img", f.kind = FeatureKind::image, f.shape = std::move(size), f.color = color;
  return f;
}

std::string message(const Feature& f, const FeatureValue& v) {
  try {
    to_input(f, v, {f.dtype, f.shape}, {});
    return "";
  } catch (const Error& e) { return e.what(); }
}

TEST_CASE("arrays take the declared type") {
  Tensor t = to_input(array(DType::i32, {3}), numbers({1.9, -1.9, 3e10}, {3}), {DType::i32, {3}}, {});
  CHECK(to_integers(t) == std::vector<std::int64_t>{1, -1, 2147483647});
  CHECK(to_doubles(to_input(array(DType::f16, {1}), 0.1, {DType::f32, {1}}, {}))[0] == 0.0999755859375);
  CHECK(to_input(array(DType::f32, {1}), std::int64_t{7}, {DType::f32, {}}, {}).rank() == 0);
  CHECK(to_input(array(DType::f32, {1, 2}), numbers({1, 2}, {2}), {DType::f32, {1, 2}}, {}).shape() ==
        Shape{1, 2});
}

TEST_CASE("what does not fit is refused with what the model takes") {
  CHECK(message(array(DType::f32, {2}), numbers({1, 2, 3}, {3})) ==
        "input 'x' takes fp32 array [2], not [3]");
  CHECK(message(array(DType::f32, {2}), std::string("a")) == "input 'x' takes fp32 array [2], not text");
  CHECK(message(image({2, 2}, ColorSpace::rgb), 3.0) == "input 'img' takes an image 2 × 2 RGB, not a number");
  Feature flexible = array(DType::f32, {1, 2});
  flexible.ranges = {{1, 1}, {2, 4}};
  CHECK(message(flexible, numbers({1, 2, 3}, {1, 3})).empty());
  CHECK(message(flexible, numbers({1, 2, 3, 4, 5}, {1, 5})) ==
        "input 'x' takes fp32 array [1, 2] within [1, 2…4], not [1, 5]");
}

TEST_CASE("missing optional inputs take their default") {
  Feature f = array(DType::f32, {2});
  CHECK(to_doubles(default_input(f, {DType::f32, {2}})) == std::vector<double>{0, 0});
  f.fallback = 3;
  CHECK(to_doubles(default_input(f, {DType::f16, {2}})) == std::vector<double>{3, 3});
}

TEST_CASE("images become planes in the model's order, and back") {
  Tensor pixels = numbers({1, 2, 3, 4, 5, 6}, {1, 2, 3}, DType::u8);
  Tensor bgr = to_input(image({1, 2}, ColorSpace::bgr), Image{pixels}, {DType::f32, {1, 3, 1, 2}}, {});
  CHECK(to_doubles(bgr) == std::vector<double>{3, 6, 2, 5, 1, 4});
  FeatureValue back = to_output(image({1, 2}, ColorSpace::bgr), bgr);
  CHECK(same(std::get<Image>(back).pixels, pixels));
  Tensor gray = to_input(image({1, 2}, ColorSpace::gray), Image{pixels}, {DType::f32, {1, 1, 1, 2}}, {});
  CHECK(to_doubles(gray) == std::vector<double>{2, 5});
  Tensor wild = numbers({-5, 300, 2.5}, {1, 1, 1, 3}, DType::f32);
  CHECK(to_integers(std::get<Image>(to_output(image({1, 3}, ColorSpace::gray), wild)).pixels) ==
        std::vector<std::int64_t>{0, 255, 2});
}

TEST_CASE("gray fp16 images keep values that 8 bits would not hold") {
  Feature f = image({1, 2}, ColorSpace::gray_f16);
  Tensor t = to_input(f, numbers({0.25, 1000}, {1, 2}), {DType::f16, {1, 1, 1, 2}}, {});
  CHECK(to_doubles(t) == std::vector<double>{0.25, 1000});
  CHECK(same(std::get<Tensor>(to_output(f, t)), numbers({0.25, 1000}, {1, 2}, DType::f16)));
}

TEST_CASE("images of another size are stretched, with a notice") {
  std::string said;
  Tensor pixels = numbers({0, 100, 100, 200}, {2, 2}, DType::u8);
  Tensor t = to_input(image({1, 1}, ColorSpace::gray), Image{pixels}, {DType::f32, {1, 1, 1, 1}},
                      [&](const std::string& line) { said = line; });
  CHECK(to_doubles(t) == std::vector<double>{100});
  CHECK(said == "image 'img' is 2 × 2, the model takes 1 × 1: stretched to fit");
  Feature flexible = image({4, 4}, ColorSpace::gray);
  flexible.ranges = {{1, 3}, {1, 8}};
  CHECK(to_input(flexible, Image{numbers(std::vector<double>(20, 1), {4, 5}, DType::u8)},
                 unranked(DType::f32), {})
            .shape() == Shape{1, 1, 3, 5});
}

TEST_CASE("one more dimension is a batch") {
  Interface interface;
  interface.inputs = {array(DType::f32, {2}), image({8, 8}, ColorSpace::gray)};
  Features both{{"x", numbers({1, 2, 3, 4}, {2, 2})},
                {"img", numbers(std::vector<double>(128, 0), {2, 8, 8}, DType::u8)}};
  Rows rows = rows_of(both, interface);
  CHECK((rows.batch && rows.rows.size() == 2));
  CHECK(to_doubles(std::get<Tensor>(rows.rows[1][0].second)) == std::vector<double>{3, 4});
  CHECK(!rows_of({{"x", numbers({1, 2}, {1, 2})}}, interface).batch);
  CHECK_THROWS_WITH(rows_of({{"x", numbers({1, 2, 3, 4, 5, 6}, {3, 2})}, both[1]}, interface),
                    "'x' has 3 rows and 'img' has 2");
  CHECK(same(std::get<Tensor>(stacked(rows.rows)[0].second), numbers({1, 2, 3, 4}, {2, 2})));
}

}  // namespace
}  // namespace tl
