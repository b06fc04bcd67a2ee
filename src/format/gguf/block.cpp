// SPDX-License-Identifier: Apache-2.0
// The types of ggml up to 2026 (ids, block sizes and file types as its gguf package 0.17 lists them), and
// dequantising. Arithmetic is in float32 in the order that the gguf package computes, so that values agree to
// the last bit.
#include "format/gguf/block.h"

#include <cstring>

#include "base/half.h"

namespace tl::gguf {
namespace {

using Byte = std::uint8_t;

float half_at(const Byte* at) {
  Half h;
  std::memcpy(&h.bits, at, sizeof h.bits);
  return to_float(h);
}

std::uint32_t word_at(const Byte* at) {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Runs one block's reader over many.
template <int elements, int bytes, void one(const Byte* block, float* out)>
void each(const std::byte* blocks, std::int64_t count, float* out) {
  const auto* at = reinterpret_cast<const Byte*>(blocks);
  for (std::int64_t i = 0; i < count; ++i) one(at + i * bytes, out + i * elements);
}

void q4_0(const Byte* b, float* y) {
  float d = half_at(b);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>((b[2 + j] & 15) - 8);
    y[j + 16] = d * static_cast<float>((b[2 + j] >> 4) - 8);
  }
}

void q4_1(const Byte* b, float* y) {
  float d = half_at(b), m = half_at(b + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(b[4 + j] & 15) + m;
    y[j + 16] = d * static_cast<float>(b[4 + j] >> 4) + m;
  }
}

void q5_0(const Byte* b, float* y) {
  float d = half_at(b);
  std::uint32_t high = word_at(b + 2);
  for (int j = 0; j < 16; ++j) {
    int low = (b[6 + j] & 15) | static_cast<int>(high >> j & 1) << 4,
        up = b[6 + j] >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4;
    y[j] = d * static_cast<float>(low - 16);
    y[j + 16] = d * static_cast<float>(up - 16);
  }
}

void q5_1(const Byte* b, float* y) {
  float d = half_at(b), m = half_at(b + 2);
  std::uint32_t high = word_at(b + 4);
  for (int j = 0; j < 16; ++j) {
    int low = (b[8 + j] & 15) | static_cast<int>(high >> j & 1) << 4,
        up = b[8 + j] >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4;
    y[j] = d * static_cast<float>(low) + m;
    y[j + 16] = d * static_cast<float>(up) + m;
  }
}

void q8_0(const Byte* b, float* y) {
  float d = half_at(b);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(static_cast<std::int8_t>(b[2 + j]));
}

void q2_k(const Byte* b, float* y) {
  const Byte *scales = b, *q = b + 16;
  float d = half_at(b + 80), least = half_at(b + 82);
  for (int i = 0; i < 256; ++i) {
    int part = i / 128, shift = i % 128 / 32 * 2;
    Byte scale = scales[i / 16];
    int value = q[part * 32 + i % 32] >> shift & 3;
    y[i] = d * static_cast<float>(scale & 15) * static_cast<float>(value) -
           least * static_cast<float>(scale >> 4);
  }
}

void q3_k(const Byte* b, float* y) {
  const Byte *mask = b, *q = b + 32, *packed = b + 96;
  float d = half_at(b + 108), scale[16];
  for (int i = 0; i < 16; ++i) {
    int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4, high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
    scale[i] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    int part = i / 128, step = i % 128 / 32;
    int value = (q[part * 32 + i % 32] >> (2 * step) & 3) - ((mask[i % 32] >> (part * 4 + step) & 1) ? 0 : 4);
    y[i] = scale[i / 16] * static_cast<float>(value);
  }
}

// Scale and minimum j of eight, six bits each, out of twelve bytes.
struct ScaleAndMin {
  float scale, least;
};
ScaleAndMin scale_and_min(const Byte* s, int j) {
  if (j < 4) return {static_cast<float>(s[j] & 63), static_cast<float>(s[j + 4] & 63)};
  return {static_cast<float>((s[j + 4] & 15) | s[j - 4] >> 6 << 4),
          static_cast<float>(s[j + 4] >> 4 | s[j] >> 6 << 4)};
}

void q4_k(const Byte* b, float* y) {
  float d = half_at(b), least = half_at(b + 2);
  const Byte* q = b + 16;
  for (int j = 0; j < 8; ++j) {
    ScaleAndMin s = scale_and_min(b + 4, j);
    float scale = d * s.scale, low = least * s.least;
    for (int i = 0; i < 32; ++i)
      y[j * 32 + i] = scale * static_cast<float>(q[j / 2 * 32 + i] >> (j % 2 * 4) & 15) - low;
  }
}

void q5_k(const Byte* b, float* y) {
  float d = half_at(b), least = half_at(b + 2);
  const Byte *high = b + 16, *q = b + 48;
  for (int j = 0; j < 8; ++j) {
    ScaleAndMin s = scale_and_min(b + 4, j);
    float scale = d * s.scale, low = least * s.least;
    for (int i = 0; i < 32; ++i) {
      int value = (q[j / 2 * 32 + i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
      y[j * 32 + i] = scale * static_cast<float>(value) - low;
    }
  }
}

void q6_k(const Byte* b, float* y) {
  const Byte *low = b, *high = b + 128, *scales = b + 192;
  float d = half_at(b + 208);
  for (int i = 0; i < 256; ++i) {
    int part = i / 128, step = i % 128 / 32, l = i % 32;
    int nibble = low[part * 64 + step % 2 * 32 + l] >> (step / 2 * 4) & 15;
    int value = (nibble | (high[part * 32 + l] >> (2 * step) & 3) << 4) - 32;
    y[i] = d * static_cast<float>(static_cast<std::int8_t>(scales[i / 16])) * static_cast<float>(value);
  }
}

// Plain numbers (no reader): they are views of the file.
constexpr BlockType rows[] = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {2, "Q4_0", 32, 18, each<32, 18, q4_0>},
    {3, "Q4_1", 32, 20, each<32, 20, q4_1>},
    {6, "Q5_0", 32, 22, each<32, 22, q5_0>},
    {7, "Q5_1", 32, 24, each<32, 24, q5_1>},
    {8, "Q8_0", 32, 34, each<32, 34, q8_0>},
    {9, "Q8_1", 32, 40},
    {10, "Q2_K", 256, 84, each<256, 84, q2_k>},
    {11, "Q3_K", 256, 110, each<256, 110, q3_k>},
    {12, "Q4_K", 256, 144, each<256, 144, q4_k>},
    {13, "Q5_K", 256, 176, each<256, 176, q5_k>},
    {14, "Q6_K", 256, 210, each<256, 210, q6_k>},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

struct FileType {
  std::int64_t id;
  std::string_view name;
};
constexpr FileType file_types[] = {
    {0, "F32"},     {1, "F16"},     {2, "Q4_0"},       {3, "Q4_1"},    {7, "Q8_0"},     {8, "Q5_0"},
    {9, "Q5_1"},    {10, "Q2_K"},   {11, "Q3_K_S"},    {12, "Q3_K_M"}, {13, "Q3_K_L"},  {14, "Q4_K_S"},
    {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"},    {18, "Q6_K"},   {19, "IQ2_XXS"}, {20, "IQ2_XS"},
    {21, "Q2_K_S"}, {22, "IQ3_XS"}, {23, "IQ3_XXS"},   {24, "IQ1_S"},  {25, "IQ4_NL"},  {26, "IQ3_S"},
    {27, "IQ3_M"},  {28, "IQ2_S"},  {29, "IQ2_M"},     {30, "IQ4_XS"}, {31, "IQ1_M"},   {32, "BF16"},
    {36, "TQ1_0"},  {37, "TQ2_0"},  {38, "MXFP4_MOE"}, {39, "NVFP4"},  {40, "Q1_0"},
};

}  // namespace

const BlockType* block_type(std::uint32_t id) {
  for (const BlockType& row : rows)
    if (row.id == id) return &row;
  return nullptr;
}

const BlockType* block_type(std::string_view name) {
  for (const BlockType& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::string_view file_type_name(std::int64_t id) {
  for (const FileType& row : file_types)
    if (row.id == id) return row.name;
  return {};
}

std::string_view main_block_of(std::string_view file_type) {
  if (block_type(file_type)) return file_type;
  std::string_view shorter =
      file_type.substr(0, file_type.find_last_of('_'));  // Q4_K of Q4_K_M, MXFP4 of MXFP4_MOE
  return block_type(shorter) ? shorter : std::string_view();
}

}  // namespace tl::gguf
