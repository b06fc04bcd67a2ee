// SPDX-License-Identifier: Apache-2.0
// Neural networks written here field by field, and what they give: both shape regimes, images, every form of
// weights, classifiers, and what is refused.
#include <doctest/doctest.h>

#include <cstring>

#include "base/error.h"
#include "format/coreml/model.h"
#include "model/model.h"

namespace tl::coreml {
namespace {

using Numbers = std::vector<double>;

// ---- protobuf

std::string varint(std::uint64_t n) {
  std::string out;
  for (; n > 127; n >>= 7) out += static_cast<char>((n & 127) | 128);
  return out + static_cast<char>(n);
}
std::string num(std::uint32_t field, std::int64_t n) {
  return varint(field << 3) + varint(static_cast<std::uint64_t>(n));
}
std::string sub(std::uint32_t field, const std::string& body) {
  return varint(field << 3 | 2) + varint(body.size()) + body;
}
std::string raw(float x) {
  std::string out(4, '\0');
  std::memcpy(out.data(), &x, 4);
  return out;
}
std::string real(std::uint32_t field, float x) { return varint(field << 3 | 5) + raw(x); }
std::string reals(std::uint32_t field, const std::vector<float>& values) {
  std::string run;
  for (float x : values) run += raw(x);
  return sub(field, run);
}
std::string integers(std::uint32_t field, const std::vector<std::int64_t>& values) {
  std::string run;
  for (std::int64_t n : values) run += varint(static_cast<std::uint64_t>(n));
  return sub(field, run);
}

// ---- models

std::string array(const std::string& name, const std::vector<std::int64_t>& shape,
                  const std::string& more = {}) {
  return sub(1, name) + sub(3, sub(5, integers(1, shape) + num(2, 65568) + more));
}
std::string layer(std::uint32_t type, const std::string& params, const std::vector<std::string>& in = {"x"},
                  const std::vector<std::string>& out = {"y"}) {
  std::string body = sub(1, "l");
  for (const std::string& name : in) body += sub(2, name);
  for (const std::string& name : out) body += sub(3, name);
  return sub(1, body + sub(type, params));
}
struct Made {
  std::string network = {};
  std::vector<std::string> inputs = {}, outputs = {array("y", {})};
  std::uint32_t type = 500;
  std::string about = {};
};
ModelFile read(const Made& made) {
  std::string about;
  for (const std::string& input : made.inputs) about += sub(1, input);
  for (const std::string& output : made.outputs) about += sub(10, output);
  std::string model = num(1, 4) + sub(2, about + made.about) + sub(made.type, made.network);
  StoragePtr file = allocate(model.size());  // as if it were mapped
  std::memcpy(file->data(), model.data(), model.size());
  return read_model({file->data(), file->size()}, "", file);
}
Tensor counting(Shape shape) {
  Numbers values(static_cast<std::size_t>(volume(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return from_doubles(values, DType::f32, std::move(shape));
}
Features predict(const Made& made, const Features& inputs) {
  Runtime runtime{Settings{}};
  return Model(read(made), runtime).predict(inputs);
}
Tensor answer(const Made& made, const Tensor& x) {
  return std::get<Tensor>(predict(made, {{"x", x}}).at(0).second);
}
std::string message_of(const Made& made) {
  try {
    read(made);
  } catch (const Error& error) { return error.what(); }
  return "no error";
}

std::string convolution(const std::string& weights,
                        const std::string& more = {}) {  // 1×1, one channel to two
  return num(1, 2) + num(2, 1) + integers(20, {1, 1}) + sub(50, "") + sub(90, weights) + more;
}
const std::string two_weights = reals(1, {2, -1});
const std::string exact = num(5, 1);  // EXACT_ARRAY_MAPPING

TEST_CASE("older networks see arrays as [Seq, Batch, C, H, W]") {
  Made made{layer(100, convolution(two_weights)), {array("x", {1, 1, 2})}};
  Tensor one = answer(made, counting({1, 1, 2}));
  CHECK(one.shape() == Shape{2, 1, 2});
  CHECK(to_doubles(one) == Numbers{0, 2, 0, -1});
  CHECK(answer(made, counting({3, 2, 1, 1, 2})).shape() == Shape{3, 2, 2, 1, 2});
  CHECK(answer(made, counting({3, 2, 1, 1, 2})).shape() == Shape{3, 2, 2, 1, 2});
  Made dense{layer(140, num(1, 2) + num(2, 1) + sub(20, two_weights)), {array("x", {2})}, {array("y", {1})}};
  CHECK(answer(dense, counting({2})).shape() == Shape{1});
  CHECK(to_doubles(answer(dense, counting({3, 1, 2, 1, 1}))) == Numbers{-1, 1, 3});
}

TEST_CASE("layers that work along Seq") {
  Made made{layer(310, integers(1, {1, 0, 2, 3})), {array("x", {2, 1, 1})}};
  Tensor swapped = answer(made, counting({3, 1, 2, 1, 1}));
  CHECK(swapped.shape() == Shape{2, 1, 3, 1, 1});
  CHECK(to_doubles(swapped) == Numbers{0, 2, 4, 1, 3, 5});
  Made twice{layer(340, num(1, 2)), {array("x", {2})}};
  CHECK(to_doubles(answer(twice, counting({2}))) == Numbers{0, 1, 0, 1});
  Made joined{layer(320, num(100, 1), {"x", "x"}), {array("x", {2})}};
  CHECK(answer(joined, counting({2})).shape() == Shape{2, 1, 2, 1, 1});
  Made shaped{layer(300, integers(1, {2, 2, 1, 1})), {array("x", {4})}};
  CHECK(answer(shaped, counting({4})).shape() == Shape{2, 1, 2, 1, 1});
}

TEST_CASE("exact arrays keep their rank") {
  Made dense{exact + layer(140, num(1, 2) + num(2, 1) + sub(20, two_weights)), {array("x", {3, 2})}};
  CHECK(answer(dense, counting({3, 2})).shape() == Shape{3, 1});
  CHECK(to_doubles(answer(dense, counting({3, 2}))) == Numbers{-1, 1, 3});
  Made soft{exact + layer(950, num(1, -2)), {array("x", {2, 1})}};
  CHECK(to_doubles(answer(soft, from_doubles(Numbers{5, 5}, DType::f32, {2, 1}))) == Numbers{0.5, 0.5});
  Made five{exact + layer(100, convolution(two_weights)), {array("x", {2, 1, 1, 1, 2})}};
  CHECK(answer(five, counting({2, 1, 1, 1, 2})).shape() == Shape{2, 1, 2, 1, 2});
}

TEST_CASE("a newer layer among older ones: arrays of rank 5") {
  Made made{layer(320, "", {"x", "x"}, {"t"}) + layer(950, num(1, -1), {"t"}), {array("x", {2})}};
  CHECK(answer(made, counting({2})).size() == 4);
}

TEST_CASE("lengths that may differ from call to call") {
  std::string ranges =
      sub(31, sub(1, num(1, 1) + num(2, 1)) + sub(1, num(1, 1) + num(2, -1)) + sub(1, num(1, 2) + num(2, 9)));
  Made made{layer(100, convolution(two_weights)), {array("x", {1, 1, 2}, ranges)}};
  CHECK(answer(made, counting({1, 1, 2})).shape() == Shape{2, 1, 2});
  CHECK(answer(made, counting({1, 4, 9})).shape() == Shape{2, 4, 9});
  CHECK_THROWS_AS(answer(made, counting({1, 4, 10})), Error);
}

TEST_CASE("weights as halves, codes and int8") {
  auto of = [](const std::string& weights) {
    return to_doubles(answer({layer(100, convolution(weights)), {array("x", {1, 1, 1})}},
                             from_doubles(Numbers{1}, DType::f32, {1, 1, 1})));
  };
  CHECK(of(sub(2, std::string("\x00\x40\x00\xbc", 4))) == Numbers{2, -1});
  auto linear = [](int bits, std::vector<float> scale, std::vector<float> bias) {
    return sub(40, num(1, bits) + sub(101, reals(1, scale) + reals(2, bias)));
  };
  CHECK(of(sub(30, "\x31") + linear(4, {2}, {1})) == Numbers{7, 3});  // the first code is on top
  CHECK(of(sub(30, "\x31") + linear(4, {1, 2}, {0, 1})) == Numbers{3, 3});
  CHECK(of(sub(30, "\xff\x02") + linear(8, {1}, {})) == Numbers{255, 2});
  CHECK(of(sub(30, "\xa8") + linear(3, {1}, {})) == Numbers{5, 2});
  std::string table = sub(40, num(1, 2) + sub(102, reals(1, {9, 8, 7, 6})));
  CHECK(of(sub(30, "\xd0") + table) == Numbers{6, 8});
  CHECK(of(sub(31, "\xff\x02") + linear(8, {0.5f}, {})) == Numbers{-0.5, 1});
}

TEST_CASE("large weights stay bytes of the file until they are packed") {
  std::vector<float> scales(200, 0.5f);
  scales[3] = 2;
  std::string codes(200 * 100, '\x03');
  std::string params =
      num(1, 100) + num(2, 200) +
      sub(20, sub(30, codes) + sub(40, num(1, 8) + sub(101, reals(1, scales) + reals(2, {1}))));
  Made made{layer(140, params), {array("x", {100})}};
  CHECK(print(read(made).functions.at(0).graph.value()).find("stored_weight") != std::string::npos);
  Numbers ones(100, 1);
  Numbers y = to_doubles(answer(made, from_doubles(ones, DType::f32, {100})));
  CHECK(y.at(2) == 250);
  CHECK(y.at(3) == 700);
}

TEST_CASE("a transposed convolution has its scales along the second dimension") {
  std::string weights = sub(30, "\x01\x01") + sub(40, num(1, 8) + sub(101, reals(1, {2, 3})));
  Made made{layer(100, num(1, 2) + num(2, 1) + integers(20, {1, 1}) + num(60, 1) + sub(90, weights)),
            {array("x", {1, 1, 1})}};
  CHECK(to_doubles(answer(made, from_doubles(Numbers{1}, DType::f32, {1, 1, 1}))) == Numbers{2, 3});
}

TEST_CASE("poolings: both heavy sides of `same`, and windows that hang over") {
  auto pooled = [](const std::string& padding, std::int64_t n) {
    Made made{layer(120, integers(10, {1, 2}) + integers(20, {1, 2}) + padding), {array("x", {1, 1, n})}};
    return to_doubles(answer(made, counting({1, 1, n})));
  };
  CHECK(pooled(sub(31, ""), 3) == Numbers{1, 2});
  CHECK(pooled(sub(31, num(1, 1)), 3) == Numbers{0, 2});
  CHECK(pooled(sub(32, integers(10, {0, 0})), 3) == Numbers{1, 2});
  CHECK(pooled("", 3) == Numbers{1});
}

TEST_CASE("images: channels in their order, scaled, shifted, less a mean image") {
  auto image = [](int color) { return sub(1, "x") + sub(3, sub(4, num(1, 1) + num(2, 1) + num(3, color))); };
  std::string copy = layer(130, sub(5, real(1, 1)));
  std::string scaler = sub(2, sub(1, "x") + sub(10, real(10, 2) + real(20, 1) + real(21, 2) + real(22, 3)));
  Tensor pixel = from_integers(std::vector<std::int64_t>{10, 20, 30}, DType::u8, {1, 1, 3});
  CHECK(to_doubles(answer({copy + scaler, {image(20)}}, pixel)) == Numbers{23, 42, 61});
  CHECK(to_doubles(answer({copy + scaler, {image(30)}}, pixel)) == Numbers{61, 42, 23});
  std::string mean = sub(2, sub(11, reals(1, {1, 2, 3})));
  CHECK(to_doubles(answer({copy + mean, {image(20)}}, pixel)) == Numbers{9, 18, 27});
  CHECK(
      message_of({copy + sub(2, sub(11, reals(1, {1, 2}))), {image(20)}}).find("a mean image of 2 numbers") !=
      std::string::npos);
}

Made classifier(const std::string& labels) {
  std::string about = sub(11, "label") + sub(12, "all");
  return {layer(130, sub(5, real(1, 1))) + labels,
          {array("x", {3})},
          {sub(1, "all") + sub(3, sub(6, sub(2, ""))), sub(1, "label") + sub(3, sub(3, ""))},
          403,
          about};
}

TEST_CASE("a classifier gives the label of the greatest and all probabilities") {
  Features out =
      predict(classifier(sub(100, sub(1, "a") + sub(1, "b") + sub(1, "c"))), {{"x", counting({3})}});
  REQUIRE(out.size() == 2);
  CHECK(std::get<std::string>(out.at(1).second) == "c");
  CHECK(to_doubles(std::get<Dictionary>(out.at(0).second).values) == Numbers{0, 1, 2});
  CHECK(message_of(classifier(sub(100, sub(1, "a")))).find("has 1 classes for 3 probabilities") !=
        std::string::npos);
}

TEST_CASE("a custom layer is refused by the name of its class") {
  ModelFile file = read({layer(500, sub(10, "Swirl")), {array("x", {3})}});
  CHECK(!file.functions.at(0).graph);
  CHECK(file.functions.at(0).why_not.find("'Swirl'") != std::string::npos);
}

}  // namespace
}  // namespace tl::coreml
