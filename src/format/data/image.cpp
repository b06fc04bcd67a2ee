// SPDX-License-Identifier: Apache-2.0
// Which decoder an image file takes; PNG over libpng.
#include "format/data/image.h"

#include <png.h>

#include <csetjmp>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "format/data/jpeg.h"

namespace tl::data {
namespace {

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

// All that lives across libpng's longjmp; nothing with a destructor is made between setjmp and it.
struct PngReader {
  Reader bytes;
  char problem[128] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::uint32_t width = 0, height = 0, channels = 0;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void on_error(png_structp png, png_const_charp what) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::snprintf(reader->problem, sizeof reader->problem, "%s", what);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, std::size_t n) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (n > reader->bytes.left()) png_error(png, "ends early");
  std::memcpy(to, reader->bytes.take(n).data(), n);
}

bool read_header(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader, on_read);
  png_set_user_limits(reader.png, 1u << 20, 1u << 20);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);  // palettes, fewer than 8 bits, transparent colours
  png_set_scale_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  reader.width = png_get_image_width(reader.png, reader.info);
  reader.height = png_get_image_height(reader.png, reader.info);
  reader.channels = png_get_channels(reader.png, reader.info);
  return true;
}

bool read_rows(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

// Deflate makes at most 1,032 bytes of one: what claims to be larger is not read, and nothing is allocated
// for it.
void check_size(const PngReader& reader, std::size_t file) {
  std::uint64_t pixels = std::uint64_t{reader.width} * reader.height;
  if (pixels > most_pixels) fail(text("is {} × {} pixels: that is too large", reader.width, reader.height));
  if (pixels / 8 > 1032 * std::uint64_t{file})
    fail(text("claims {} × {} pixels, more than its bytes can hold", reader.width, reader.height));
  if (reader.channels != 1 && reader.channels != 3) fail("has a pixel format that is not supported");
}

Tensor parse_png(Bytes content) {
  PngReader reader{Reader(content)};
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  reader.info = reader.png ? png_create_info_struct(reader.png) : nullptr;
  if (!reader.info) throw Error(Code::out_of_memory, "out of memory");
  if (!read_header(reader)) fail(text("is a damaged PNG: {}", printable(reader.problem)));
  check_size(reader, content.size());
  Shape shape{reader.height, reader.width};
  if (reader.channels == 3) shape.push_back(3);
  Tensor pixels(DType::u8, shape);
  std::vector<png_bytep> rows(reader.height);
  std::uint8_t* data = pixels.writable<std::uint8_t>().data();
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = data + y * reader.width * reader.channels;
  if (!read_rows(reader, rows.data())) fail(text("is a damaged PNG: {}", printable(reader.problem)));
  return pixels;
}

}  // namespace

Tensor parse_image(Bytes content) {
  std::string_view bytes = as_text(content);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return parse_png(content);
  if (bytes.starts_with("\xff\xd8")) return parse_jpeg(content);
  fail("is neither a PNG nor a JPEG image");
}

Tensor read_image(const std::string& path) {
  StoragePtr file = map_file(path);
  return with_note([&] { return path; }, [&] { return parse_image({file->data(), file->size()}); });
}

std::vector<std::byte> format_png(const Tensor& pixels) {
  bool gray = pixels.rank() == 2, rgb = pixels.rank() == 3 && pixels.shape()[2] == 3;
  if (pixels.dtype() != DType::u8 || !(gray || rgb) || pixels.size() == 0 || pixels.shape()[0] > 1 << 20 ||
      pixels.shape()[1] > 1 << 20)
    fail(text("{} is not what a PNG can hold: uint8 [height, width] or [height, width, 3]",
              text_of(pixels.type())));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(pixels.shape()[0]);
  image.width = static_cast<png_uint_32>(pixels.shape()[1]);
  image.format = gray ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr)) fail(image.message);
  std::vector<std::byte> content(size);
  if (!png_image_write_to_memory(&image, content.data(), &size, 0, pixels.data(), 0, nullptr))
    fail(image.message);
  content.resize(size);
  return content;
}

void write_png(const std::string& path, const Tensor& pixels) { write_file(path, format_png(pixels)); }

}  // namespace tl::data
