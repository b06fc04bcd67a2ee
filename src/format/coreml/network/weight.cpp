// SPDX-License-Identifier: Apache-2.0
// WeightParams (coreml.md 6.5): checked, then decoded; what is large stays in the file until a plan needs it.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/network.h"
#include "format/coreml/network/stored.h"

namespace tl::coreml {
namespace {

constexpr std::int64_t largest_decoded = 16384;  // elements of a weight that is a constant at once

struct Stored {
  std::uint32_t field = 0;  // 1 floats, 2 halves, 30 codes, 31 int8; 0: nothing
  std::string_view data = {};
  std::int64_t bits = 8, size = 0, padding = 0;  // elements; of codes up to 7 more may be the end's zeros
};

Stored stored_in(const Message& params) {
  for (std::uint32_t field : {1u, 2u, 30u, 31u}) {
    std::string_view data = params.text(field);
    if (data.empty()) continue;
    std::int64_t bits = field == 1    ? 32
                        : field == 2  ? 16
                        : field == 31 ? 8
                                      : params.message(40).integer(1, 8);
    if (bits < 1 || (field == 30 && bits > 16))
      throw Error(Code::bad_input, text("weights are quantised to {} bits; 1 to 16 are possible", bits));
    auto size = static_cast<std::int64_t>(data.size()) * 8 / bits;
    return {field, data, bits, size, field == 30 ? 7 / bits : 0};
  }
  return {};
}

void check_scales(const StoredForm& form, const Shape& shape) {
  auto axis = static_cast<std::size_t>(form.axis);
  Dim channels = axis < shape.size() ? shape[axis] : 1;
  if (form.scale.empty()) throw Error(Code::bad_input, "quantised weights have no scale");
  for (const auto* list : {&form.scale, &form.bias})
    if (list->size() > 1 && static_cast<Dim>(list->size()) != channels)
      throw Error(Code::bad_input,
                  text("{} scales or biases are given for {} channels", list->size(), channels));
}

StoredForm form_of(const Stored& stored, const Message& quantization, const Shape& shape, int axis) {
  StoredForm form{stored.field, stored.bits, axis, {}, {}, {}};
  if (stored.field < 30) return form;
  if (stored.field == 30 && quantization.has(102)) {
    form.table = quantization.message(102).numbers(1);
    if (form.table.size() != std::size_t{1} << form.bits)
      throw Error(Code::bad_input,
                  text("a table has {} entries for codes of {} bits", form.table.size(), form.bits));
    return form;
  }
  if (!quantization.has(101))
    throw Error(Code::bad_input, "quantised weights have neither scales nor a table");
  form.scale = quantization.message(101).numbers(1);
  if (stored.field == 30) form.bias = quantization.message(101).numbers(2);
  check_scales(form, shape);
  return form;
}

Stored checked(const Message& params, const Shape& shape) {
  Stored stored = stored_in(params);
  for (Dim d : shape)
    if (d < 0) throw Error(Code::bad_input, text("weights have the shape {}", text_of(shape)));
  std::int64_t needed = volume(shape);
  if (!stored.field && needed) throw Error(Code::bad_input, "weights are missing");
  if (stored.size < needed || stored.size > needed + stored.padding)
    throw Error(Code::bad_input,
                text("there are {} weights, the shape {} needs {}", stored.size, text_of(shape), needed));
  return stored;
}

// Where the bytes are in the mapped file; nothing if they are not in it.
std::optional<std::size_t> place_in(const StoragePtr& file, std::string_view data) {
  if (!file) return std::nullopt;
  auto* begin = reinterpret_cast<const std::byte*>(data.data());
  if (begin < file->data() || begin >= file->data() + file->size()) return std::nullopt;
  return static_cast<std::size_t>(begin - file->data());
}

}  // namespace

bool has_weight(const Message& params) { return stored_in(params).field != 0; }
std::int64_t weight_size(const Message& params) { return stored_in(params).size; }

Tensor weight_values(const Message& params, Shape shape, int channel_axis) {
  Stored stored = checked(params, shape);
  StoredForm form = form_of(stored, params.message(40), shape, channel_axis);
  return decoded(stored.data, form, std::move(shape));
}

Ex weight(Layer& layer, const Message& params, Shape shape, int channel_axis) {
  return constant(layer.place, weight_values(params, std::move(shape), channel_axis));
}

Ex large_weight(Layer& layer, const Message& params, Shape shape, int channel_axis) {
  Stored stored = checked(params, shape);
  std::optional<std::size_t> at = place_in(layer.net.file(), stored.data);
  if (!at || volume(shape) <= largest_decoded) return weight(layer, params, std::move(shape), channel_axis);
  StoredForm form = form_of(stored, params.message(40), shape, channel_axis);
  Tensor bytes(DType::u8, {static_cast<Dim>(stored.data.size())}, layer.net.file(), *at);
  Ex data = constant(layer.place, std::move(bytes));
  return emit_all_at(layer.place, stored_weight, std::span(&data, 1), stored_attrs(form, shape)).front();
}

}  // namespace tl::coreml
