// SPDX-License-Identifier: Apache-2.0
// JPEG: baseline and progressive, gray and colour.
#include "format/data/jpeg.h"

#include <csetjmp>
#include <cstdio>
// jpeglib.h needs FILE
#include <jerror.h>
#include <jpeglib.h>

#include "base/text.h"

namespace tl::data {
namespace {

constexpr int most_scans = 256;  // of a progressive file; cameras write about ten

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

// All that lives across libjpeg's longjmp; nothing with a destructor is made between setjmp and it.
struct JpegReader {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf back = {};
  char problem[JMSG_LENGTH_MAX] = {};
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

void on_error(j_common_ptr info) {
  auto* reader = static_cast<JpegReader*>(info->client_data);
  (*info->err->format_message)(info, reader->problem);
  std::longjmp(reader->back, 1);
}

// Warnings that mean that pixels are missing are errors here; the rest is harmless.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE) on_error(info);
}

void on_progress(j_common_ptr info) {
  auto* decompress = reinterpret_cast<j_decompress_ptr>(info);
  if (decompress->input_scan_number <= most_scans) return;
  auto* reader = static_cast<JpegReader*>(info->client_data);
  std::snprintf(reader->problem, sizeof reader->problem, "has more than %d scans", most_scans);
  std::longjmp(reader->back, 1);
}

bool read_header(JpegReader& reader, Bytes content) {
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = on_error;
  reader.errors.emit_message = on_message;
  reader.info.client_data = &reader;
  if (setjmp(reader.back)) return false;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = on_progress;
  reader.info.progress = &reader.progress;
  jpeg_mem_src(&reader.info, reinterpret_cast<const unsigned char*>(content.data()),
               static_cast<unsigned long>(content.size()));
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

bool read_rows(JpegReader& reader, std::uint8_t* to) {
  if (setjmp(reader.back)) return false;
  jpeg_start_decompress(&reader.info);
  std::size_t row =
      std::size_t{reader.info.output_width} * static_cast<std::size_t>(reader.info.output_components);
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW at = to + reader.info.output_scanline * row;
    jpeg_read_scanlines(&reader.info, &at, 1);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

// The least a JPEG can spend is a bit per block of 64 samples.
void check_size(const jpeg_decompress_struct& info, std::size_t file) {
  std::uint64_t pixels = std::uint64_t{info.image_width} * info.image_height;
  if (pixels > most_pixels)
    fail(text("is {} × {} pixels: that is too large", info.image_width, info.image_height));
  if (pixels / 1024 > file)
    fail(text("claims {} × {} pixels, more than its bytes can hold", info.image_width, info.image_height));
}

}  // namespace

Tensor parse_jpeg(Bytes content) {
  JpegReader reader;
  if (!read_header(reader, content)) fail(text("is a damaged JPEG: {}", printable(reader.problem)));
  check_size(reader.info, content.size());
  J_COLOR_SPACE space = reader.info.jpeg_color_space;
  if (space == JCS_CMYK || space == JCS_YCCK) fail("is a CMYK JPEG: convert it to RGB first");
  bool gray = space == JCS_GRAYSCALE;
  reader.info.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
  Shape shape{static_cast<Dim>(reader.info.image_height), static_cast<Dim>(reader.info.image_width)};
  if (!gray) shape.push_back(3);
  Tensor pixels(DType::u8, shape);
  if (!read_rows(reader, pixels.writable<std::uint8_t>().data()))
    fail(text("is a damaged JPEG: {}", printable(reader.problem)));
  return pixels;
}

}  // namespace tl::data
