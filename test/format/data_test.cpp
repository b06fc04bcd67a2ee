// SPDX-License-Identifier: Apache-2.0
// Files of data: what is read, what is refused and in which words. Images were written by Pillow, and judged
// by it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "format/data/image.h"
#include "format/data/npy.h"
#include "format/data/zip.h"
#include "model/feature_json.h"

namespace tl {
namespace {

const std::string images = TL_SOURCE_DIR "/test/format/image/";

template <class Body> std::string message_of(const Body& body) {
  try {
    body();
    return "";
  } catch (const Error& e) { return e.what(); }
}

std::string npy(const std::string& header, const std::string& data) {
  std::string dictionary = header + "\n", file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(dictionary.size());
  file += '\0';
  return file + dictionary + data;
}

std::string npy_message(const std::string& file) {
  return message_of([&] { data::parse_npy(as_bytes(file)); });
}

std::string json_message(const std::string& text) {
  return message_of([&] { features_of_json(data::parse_json(text)); });
}

std::string image_message(std::string content) {
  return message_of([&] { data::parse_image(as_bytes(content)); });
}

std::string bytes_of_file(const std::string& path) {
  StoragePtr file = map_file(path);
  return std::string(as_text({file->data(), file->size()}));
}

TEST_CASE("arrays survive .npy") {
  for (DType dtype :
       {DType::f16, DType::f32, DType::f64, DType::i8, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    Tensor t = from_doubles(std::vector<double>{0, 1, 1, 0, 1, 0}, dtype, {2, 3});
    CHECK(same(data::parse_npy(data::format_npy(t)), t));
  }
  Tensor words = from_strings({"é", "", "longer"}, {3});
  CHECK(same(data::parse_npy(data::format_npy(words)), words));
  Tensor none(DType::f32, {2, 0});
  CHECK(data::parse_npy(data::format_npy(none)).shape() == Shape{2, 0});
}

TEST_CASE("either byte order and memory order of .npy is read") {
  Tensor big = data::parse_npy(
      as_bytes(npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", std::string("\0\1\1\0", 4))));
  CHECK(to_integers(big) == std::vector<std::int64_t>{1, 256});
  Tensor fortran = data::parse_npy(
      as_bytes(npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", "\1\2\3\4\5\6")));
  CHECK(to_integers(fortran) == std::vector<std::int64_t>{1, 3, 5, 2, 4, 6});
}

TEST_CASE("damaged .npy files are refused") {
  CHECK(npy_message("PK") == "is not a NumPy array");
  CHECK(npy_message("").find("NumPy") != std::string::npos);
  CHECK(npy_message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "1234"))
            .find("ends early") != std::string::npos);
  CHECK(npy_message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
                        "")) != "");
  CHECK(npy_message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", "")) ==
        "its header has a negative dimension");
  CHECK(npy_message(npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "12345678"))
            .find("'<c8'") != std::string::npos);
  CHECK(npy_message(npy("{'descr': '<f4', 'fortran_order': False, }", "")) == "its header has no 'shape'");
  CHECK(npy_message(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "")) ==
        "holds records, not numbers");
}

TEST_CASE("damaged archives are refused") {
  std::string path = "/tmp/tl_data_test.npz";
  data::write_npz(path, {{"x", from_doubles(std::vector<double>{1, 2}, DType::f32, {2})}});
  CHECK(data::read_npz(path).front().first == "x");
  std::string whole = bytes_of_file(path);
  write_file(path, as_bytes("PK\3\4 nothing"));
  CHECK(message_of([&] { data::read_npz(path); }) == path + ": is not a zip archive");
  std::string wrong = whole;
  wrong[wrong.find("NUMPY") + 130] ^= 1;  // the data: only the checksum can tell
  write_file(path, as_bytes(wrong));
  CHECK(message_of([&] { data::read_npz(path); }).find("checksum") != std::string::npos);
  write_file(path, as_bytes(std::string("PK\5\6") + std::string(18, '\0')));
  CHECK(data::read_npz(path).empty());
  std::remove(path.c_str());
  CHECK(message_of([&] { data::read_npz(path); }) == path + ": there is no such file");
}

TEST_CASE("JSON gives typed features and survives") {
  Rows rows = features_of_json(
      data::parse_json(R"({"x": [[1, 2.5], [NaN, -Infinity]], "n": 3, "s": "NaN", "d": {"a": 1, "b": 2}})"));
  CHECK(!rows.batch);
  CHECK(json_of(rows.rows.front()) ==
        R"({"x": [[1.0, 2.5], [NaN, -Infinity]], "n": 3, "s": "NaN", "d": {"b": 2.0, "a": 1.0}})");
  CHECK(features_of_json(data::parse_json("[{}, {}]")).rows.size() == 2);
  CHECK(json_of(FeatureValue(from_doubles(std::vector<double>{0.1}, DType::f32, {1}))) == "[0.1]");
}

TEST_CASE("bad JSON is refused") {
  CHECK(json_message("{\n  \"x\": [1, 2\n}") == "is not valid JSON at line 3, column 1");
  CHECK(json_message("3") == "is not {feature: value} or a list of such");
  CHECK(json_message(R"({"x": [[1, 2], [3]]})") ==
        "'x': a list is not rectangular: its rows have different lengths");
  CHECK(json_message(R"({"x": [1, [2]]})") == "'x': a list holds lists and values side by side");
  CHECK(json_message(R"({"x": [1, "a"]})") == "'x': a list mixes numbers and text");
  CHECK(json_message(R"({"x": null})") == "'x': null is no value of a feature: leave it out");
  CHECK(json_message(std::string(100'000, '[')) == "is nested deeper than 64 levels");
  CHECK(json_message("") != "");
}

TEST_CASE("every kind of PNG becomes gray or RGB of 8 bits") {
  CHECK(data::read_image(images + "rgb.png").shape() == Shape{3, 4, 3});
  CHECK(to_integers(data::read_image(images + "rgb.png"))[5] == 35);
  CHECK(same(data::read_image(images + "rgba.png"), data::read_image(images + "rgb.png")));
  CHECK(same(data::read_image(images + "palette.png"), data::read_image(images + "rgb.png")));
  CHECK(same(data::read_image(images + "gray16.png"), data::read_image(images + "gray.png")));
  CHECK(to_integers(data::read_image(images + "bits.png"))[11] == 255);
  Tensor rgb = data::read_image(images + "rgb.png");
  CHECK(same(data::parse_image(data::format_png(rgb)), rgb));
}

TEST_CASE("JPEG is decoded as others do") {
  Tensor rgb = data::read_image(images + "rgb.jpg");
  CHECK(rgb.shape() == Shape{16, 24, 3});
  std::span<const std::uint8_t> pixel = rgb.as<std::uint8_t>().subspan(3 * (5 * 24 + 7), 3);
  CHECK(std::vector<int>(pixel.begin(), pixel.end()) == std::vector<int>{68, 74, 70});
  CHECK(data::read_image(images + "gray.jpg").shape() == Shape{16, 24});
  CHECK(same(data::read_image(images + "progressive.jpg"), rgb));
}

TEST_CASE("damaged and unusual images are refused") {
  CHECK(image_message("GIF89a") == "is neither a PNG nor a JPEG image");
  CHECK(message_of([&] { data::read_image(images + "cmyk.jpg"); }).find("CMYK") != std::string::npos);
  std::string png = bytes_of_file(images + "rgb.png"), jpg = bytes_of_file(images + "rgb.jpg");
  CHECK(image_message(png.substr(0, png.size() / 2)).starts_with("is a damaged PNG: "));
  CHECK(image_message(jpg.substr(0, jpg.size() / 2)).starts_with("is a damaged JPEG: "));
  CHECK(image_message(png.substr(0, 8)).starts_with("is a damaged PNG: "));
  png[png.size() - 30] ^= 1;
  CHECK(image_message(png).starts_with("is a damaged PNG: "));
}

TEST_CASE("an image that claims more than its bytes can hold is not allocated") {
  std::string jpg = bytes_of_file(images + "gray.jpg");
  std::size_t frame = jpg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpg.replace(frame + 5, 4, "\x1f\x40\x1f\x40");
  CHECK(image_message(jpg) == "claims 8000 × 8000 pixels, more than its bytes can hold");
}

}  // namespace
}  // namespace tl
