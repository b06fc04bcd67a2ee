// SPDX-License-Identifier: Apache-2.0
// The way back of mil_value.cpp.
#include "format/coreml/value_write.h"

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/mil_value.h"

namespace tl::coreml {
namespace {

constexpr std::string_view weights_path = "@model_path/weights/weight.bin";

void write_dimension(Writer& to, Dim d) {
  add_message(to, 3, [&](Writer& dimension) {
    if (is_known(d))
      add_message(dimension, 1,
                  [&](Writer& constant) { constant.add_uint64(1, static_cast<std::uint64_t>(d)); });
    else add_message(dimension, 2, [](Writer&) {});
  });
}

void write_tensor_type(Writer& to, DType dtype, bool ranked, const Shape& shape) {
  add_message(to, 1, [&](Writer& tensor) {
    tensor.add_int64(1, mil_number(dtype));
    if (!ranked) return tensor.add_int64(2, -1);
    tensor.add_int64(2, static_cast<std::int64_t>(shape.size()));
    for (Dim d : shape) write_dimension(tensor, d);
  });
}

void write_list_type(Writer& to, const Type& type) {
  add_message(to, 2, [&](Writer& list) {
    add_message(list, 1, [&](Writer& item) { write_tensor_type(item, type.dtype, type.ranked, type.shape); });
    add_message(list, 2, [&](Writer& length) {
      if (is_known(type.length))
        add_message(length, 1, [&](Writer& n) { n.add_uint64(1, static_cast<std::uint64_t>(type.length)); });
      else add_message(length, 2, [](Writer&) {});
    });
  });
}

// The typed field that elements of this type stand in, as the tools of Core ML expect it.
void write_elements(Writer& to, const Tensor& t) {
  auto field = [&](std::uint32_t number, const auto& add) { add_message(to, number, add); };
  auto whole = [&](std::uint32_t number) {
    std::vector<std::int64_t> values = to_integers(t);
    field(number, [&](Writer& run) {
      if (!values.empty()) run.add_packed_int64(1, values.begin(), values.end());
    });
  };
  switch (t.dtype()) {
    case DType::f32:
      return field(1, [&](Writer& run) {
        if (t.size()) run.add_packed_float(1, t.as<float>().begin(), t.as<float>().end());
      });
    case DType::f64:
      return field(6, [&](Writer& run) {
        if (t.size()) run.add_packed_double(1, t.as<double>().begin(), t.as<double>().end());
      });
    case DType::i32:
    case DType::i16:
    case DType::u16: return whole(2);
    case DType::i64:
    case DType::u64: return whole(5);
    case DType::boolean: return whole(3);
    case DType::string:
      return field(4, [&](Writer& run) {
        for (const std::string& s : t.as<std::string>()) run.add_string(1, s);
      });
    default:
      field(7, [&](Writer& run) { run.add_bytes(1, reinterpret_cast<const char*>(t.data()), t.bytes()); });
  }
}

}  // namespace

void write_type(Writer& to, const Type& type) {
  switch (type.kind) {
    case Type::Kind::tensor: return write_tensor_type(to, type.dtype, type.ranked, type.shape);
    case Type::Kind::list: return write_list_type(to, type);
    case Type::Kind::state:
      return add_message(to, 5, [&](Writer& state) {
        add_message(state, 1, [&](Writer& inner) { write_tensor_type(inner, type.dtype, true, type.shape); });
      });
    case Type::Kind::dictionary:
      return add_message(to, 4, [&](Writer& dictionary) {
        add_message(dictionary, 1, [&](Writer& key) { write_tensor_type(key, type.key, true, {}); });
        add_message(dictionary, 2, [&](Writer& value) { write_tensor_type(value, type.dtype, true, {}); });
      });
  }
}

void write_named_type(Writer& to, std::uint32_t number, std::string_view name, const Type& type) {
  add_message(to, number, [&](Writer& named) {
    add_text(named, 1, name);
    add_message(named, 2, [&](Writer& t) { write_type(t, type); });
  });
}

void write_tensor_value(Writer& to, const Tensor& t) {
  add_message(to, 2, [&](Writer& type) { write_type(type, t.type()); });
  add_message(to, 3, [&](Writer& immediate) {
    add_message(immediate, 1, [&](Writer& tensor) { write_elements(tensor, t); });
  });
}

void write_constant(Writer& to, const Tensor& t, int opset, BlobWriter& blobs) {
  if (!BlobWriter::takes(t, opset)) return write_tensor_value(to, t);
  add_message(to, 2, [&](Writer& type) { write_type(type, t.type()); });
  add_message(to, 5, [&](Writer& blob) {
    add_text(blob, 1, weights_path);
    blob.add_uint64(2, blobs.add(t));
  });
}

void write_list_value(Writer& to, std::span<const Tensor> items) {
  DType dtype = items.empty() ? DType::string : items.front().dtype();
  add_message(to, 2,
              [&](Writer& type) { write_type(type, list_of(dtype, {}, static_cast<Dim>(items.size()))); });
  add_message(to, 3, [&](Writer& immediate) {
    add_message(immediate, 3, [&](Writer& list) {
      for (const Tensor& item : items)
        add_message(list, 1, [&](Writer& value) { write_tensor_value(value, item); });
    });
  });
}

}  // namespace tl::coreml
