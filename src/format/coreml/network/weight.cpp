// SPDX-License-Identifier: Apache-2.0
// WeightParams (coreml.md 6.5): floats, halves and codes as constants of fp32.
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

struct Codes {  // the fields of a quantised weight
  std::int64_t bits = 8;
  std::vector<double> scale = {}, bias = {}, table = {};
  bool linear = false;
};

Codes read_codes(const Message& quantization) {
  Codes out;
  out.bits = quantization.integer(1, 8);
  out.linear = quantization.has(101);
  out.scale = quantization.message(101).numbers(1);
  out.bias = quantization.message(101).numbers(2);
  out.table = quantization.message(102).numbers(1);
  bool by_table = quantization.has(102);
  if (!out.linear && !by_table)
    throw Error(Code::bad_input, "quantised weights have neither scales nor a table");
  if (by_table && out.table.size() != std::size_t{1} << out.bits)
    throw Error(Code::bad_input,
                tl::text("a table has {} entries for codes of {} bits", out.table.size(), out.bits));
  return out;
}

// A run of bytes that is either a view of the mapped file, whose pages need not stay, or not.
struct Run {
  std::string_view data;
  const StoragePtr& file;
  void release() const {
    if (!file) return;
    auto* begin = reinterpret_cast<const std::byte*>(data.data());
    if (begin < file->data() || begin >= file->data() + file->size()) return;
    file->release(static_cast<std::size_t>(begin - file->data()), data.size());
  }
};

Tensor floats(const Run& run, Shape shape) {
  Tensor t(DType::f32, std::move(shape));
  if (t.bytes()) std::memcpy(t.writable_data(), run.data.data(), t.bytes());
  run.release();
  return t;
}

Tensor halves(const Run& run, Shape shape) {
  Tensor t(DType::f32, std::move(shape));
  std::span<float> to = t.writable<float>();
  for (std::size_t i = 0; i < to.size(); ++i) {
    Half h;
    std::memcpy(&h, run.data.data() + 2 * i, 2);
    to[i] = to_float(h);
  }
  run.release();
  return t;
}

// Codes of `bits` bits, the most significant bit first; of 16 bits the bytes are little-endian.
std::uint32_t code_at(std::string_view data, std::int64_t bits, std::size_t i) {
  auto byte = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(data[k])); };
  if (bits == 8) return byte(i);
  if (bits == 16) return byte(2 * i) | byte(2 * i + 1) << 8;
  std::size_t first = i * static_cast<std::size_t>(bits);
  std::uint32_t code = 0;
  for (std::size_t b = first; b < first + static_cast<std::size_t>(bits); ++b)
    code = code << 1 | (byte(b / 8) >> (7 - b % 8) & 1);
  return code;
}

Tensor decoded(const Run& run, const Codes& codes, Shape shape, int channel_axis) {
  auto axis = static_cast<std::size_t>(channel_axis);
  std::size_t channels = axis < shape.size() ? static_cast<std::size_t>(shape[axis]) : 1, inner = 1;
  for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  for (const auto* list : {&codes.scale, &codes.bias})
    if (codes.linear && list->size() > 1 && list->size() != channels)
      throw Error(Code::bad_input,
                  tl::text("{} scales or biases are given for {} channels", list->size(), channels));
  if (codes.linear && codes.scale.empty()) throw Error(Code::bad_input, "quantised weights have no scale");
  Tensor t(DType::f32, std::move(shape));
  std::span<float> to = t.writable<float>();
  auto of = [](const std::vector<double>& list, std::size_t channel) {
    return list.empty() ? 0 : list[list.size() == 1 ? 0 : channel];
  };
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::uint32_t code = code_at(run.data, codes.bits, i);
    std::size_t channel = i / inner % channels;
    to[i] = static_cast<float>(codes.linear ? code * of(codes.scale, channel) + of(codes.bias, channel)
                                            : codes.table[code]);
  }
  run.release();
  return t;
}

Tensor signed_bytes(const Run& run, const Message& quantization, Shape shape) {
  std::vector<double> scale = quantization.message(101).numbers(1);
  if (scale.size() != 1 &&
      (scale.empty() || shape.empty() || scale.size() != static_cast<std::size_t>(shape[0])))
    throw Error(Code::bad_input, "int8 weights have no scale, or not one for every output");
  Tensor t(DType::f32, std::move(shape));
  std::span<float> to = t.writable<float>();
  std::size_t each = to.empty() ? 1 : to.size() / scale.size();
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i] = static_cast<float>(static_cast<signed char>(run.data[i]) * scale[i / each]);
  run.release();
  return t;
}

struct Stored {
  std::uint32_t field = 0;  // 1 floats, 2 halves, 30 codes, 31 int8
  std::string_view data = {};
  std::int64_t size = 0, padding = 0;  // elements; of codes up to 7 more may be the end's zeros
};

Stored stored_in(const Message& params) {
  for (std::uint32_t field : {1u, 2u, 30u, 31u}) {
    std::string_view data = params.text(field);
    if (data.empty()) continue;
    std::int64_t bits = field == 1    ? 32
                        : field == 2  ? 16
                        : field == 31 ? 8
                                      : params.message(40).integer(1, 8);
    if (field == 30 && (bits < 1 || bits > 16))
      throw Error(Code::bad_input, tl::text("weights are quantised to {} bits; 1 to 16 are possible", bits));
    auto size = static_cast<std::int64_t>(data.size()) * 8 / bits;
    return {field, data, size, field == 30 ? 7 / bits : 0};
  }
  return {};
}

}  // namespace

bool has_weight(const Message& params) { return stored_in(params).field != 0; }
std::int64_t weight_size(const Message& params) { return stored_in(params).size; }

Tensor weight_values(Layer& layer, const Message& params, Shape shape, int channel_axis) {
  Stored stored = stored_in(params);
  for (Dim d : shape)
    if (d < 0) throw Error(Code::bad_input, tl::text("weights have the shape {}", text_of(shape)));
  std::int64_t needed = volume(shape);
  if (!stored.field && needed) throw Error(Code::bad_input, "weights are missing");
  if (stored.size < needed || stored.size > needed + stored.padding)
    throw Error(Code::bad_input,
                tl::text("there are {} weights, the shape {} needs {}", stored.size, text_of(shape), needed));
  Run run{stored.data, layer.net.file()};
  Message quantization = params.message(40);
  if (stored.field == 31) return signed_bytes(run, quantization, shape);
  if (stored.field == 30) return decoded(run, read_codes(quantization), shape, channel_axis);
  return stored.field == 2 ? halves(run, shape) : floats(run, shape);
}

Ex weight(Layer& layer, const Message& params, Shape shape, int channel_axis) {
  return constant(layer.place, weight_values(layer, params, std::move(shape), channel_axis));
}

}  // namespace tl::coreml
