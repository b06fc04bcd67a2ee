// SPDX-License-Identifier: Apache-2.0
// Floats, halves and codes as fp32.
#include "format/coreml/network/stored.h"

#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"

namespace tl::coreml {
namespace {

void floats(std::string_view data, std::span<float> to) {
  if (!to.empty()) std::memcpy(to.data(), data.data(), to.size_bytes());
}

void halves(std::string_view data, std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    Half h;
    std::memcpy(&h, data.data() + 2 * i, 2);
    to[i] = to_float(h);
  }
}

// Codes of `bits` bits, the most significant bit first; of 16 bits the bytes are little-endian.
std::uint32_t code_at(std::string_view data, std::size_t bits, std::size_t i) {
  auto byte = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(data[k])); };
  if (bits == 8) return byte(i);
  if (bits == 16) return byte(2 * i) | byte(2 * i + 1) << 8;
  std::uint32_t code = 0;
  for (std::size_t b = i * bits; b < (i + 1) * bits; ++b) code = code << 1 | (byte(b / 8) >> (7 - b % 8) & 1);
  return code;
}

// Which scale an element has: that of its place along the axis.
struct Channels {
  std::size_t count = 1, inner = 1;
  Channels(const Shape& shape, std::int64_t axis) {
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (static_cast<std::int64_t>(d) == axis) count = static_cast<std::size_t>(shape[d]);
      if (static_cast<std::int64_t>(d) > axis) inner *= static_cast<std::size_t>(shape[d]);
    }
  }
  std::size_t of(std::size_t i) const { return i / inner % count; }
};

double of_channel(const std::vector<double>& list, std::size_t channel) {
  return list.empty() ? 0 : list[list.size() == 1 ? 0 : channel];
}

void codes(std::string_view data, const StoredForm& form, const Channels& channels, std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::uint32_t code = code_at(data, static_cast<std::size_t>(form.bits), i);
    std::size_t c = channels.of(i);
    to[i] = static_cast<float>(
        form.table.empty() ? code * of_channel(form.scale, c) + of_channel(form.bias, c) : form.table[code]);
  }
}

void signed_bytes(std::string_view data, const StoredForm& form, const Channels& channels,
                  std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i] = static_cast<float>(static_cast<signed char>(data[i]) * of_channel(form.scale, channels.of(i)));
}

std::vector<Type> infer_stored(const InferCall& call) {
  return {Type(call.attrs.dtype("dtype"), call.attrs.integers("shape"))};
}

std::vector<Ex> decompose_stored(std::span<const Ex> in, const Attrs& attrs) {
  StoredForm form{attrs.integer("field"), attrs.integer("bits"), attrs.integer("axis"),
                  attrs.numbers("scale"), attrs.numbers("bias"), attrs.numbers("table")};
  const Tensor* bytes = in[0].constant();
  TL_ASSERT(bytes);
  std::string_view data(reinterpret_cast<const char*>(bytes->data()), bytes->bytes());
  return {
      constant(in[0].place(), converted(decoded(data, form, attrs.integers("shape")), attrs.dtype("dtype")))};
}

}  // namespace

Tensor decoded(std::string_view data, const StoredForm& form, Shape shape) {
  Channels channels(shape, form.axis);
  Tensor t(DType::f32, std::move(shape));
  std::span<float> to = t.writable<float>();
  switch (form.field) {
    case 1: floats(data, to); break;
    case 2: halves(data, to); break;
    case 30: codes(data, form, channels, to); break;
    default: signed_bytes(data, form, channels, to);
  }
  return t;
}

Attrs stored_attrs(const StoredForm& form, const Shape& shape) {
  return attrs_of({{"shape", shape},
                   {"field", form.field},
                   {"bits", form.bits},
                   {"axis", form.axis},
                   {"scale", form.scale},
                   {"bias", form.bias},
                   {"table", form.table}});
}

constinit const OpDef stored_weight{
    .name = "stored_weight",
    .doc = "Numbers as a neural network stores them: floats, halves, codes of a scale or a table.",
    .inputs = {"data"},
    .attrs = {{"shape", AttrKind::integers, required},
              {"dtype", AttrKind::word, "fp32"},
              {"field", AttrKind::integer, "1"},
              {"bits", AttrKind::integer, "32"},
              {"axis", AttrKind::integer, "0"},
              {"scale", AttrKind::numbers, "[]"},
              {"bias", AttrKind::numbers, "[]"},
              {"table", AttrKind::numbers, "[]"}},
    .infer = infer_stored,
    .decompose = decompose_stored,
    .traits = Traits::dequantize,
};

}  // namespace tl::coreml
