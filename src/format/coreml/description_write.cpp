// SPDX-License-Identifier: Apache-2.0
// The way back of description.cpp.
#include "format/coreml/description_write.h"

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/proto_write.h"

namespace tl::coreml {
namespace {

void write_range(Writer& to, std::uint32_t number, const DimRange& range) {
  add_message(to, number, [&](Writer& out) {
    out.add_uint64(1, static_cast<std::uint64_t>(range.lowest));
    out.add_int64(2, range.highest < 0 ? -1 : range.highest);
  });
}

void write_size(Writer& to, const Shape& height_width) {
  to.add_int64(1, height_width.at(1));
  to.add_int64(2, height_width.at(0));
}

void write_image(Writer& to, const Feature& f) {
  constexpr std::int32_t colors[] = {10, 20, 30, 40};
  write_size(to, f.shape);
  to.add_enum(3, colors[static_cast<std::size_t>(f.color)]);
  if (!f.enumerated.empty())
    add_message(to, 21, [&](Writer& sizes) {
      for (const Shape& s : f.enumerated) add_message(sizes, 1, [&](Writer& size) { write_size(size, s); });
    });
  else if (f.ranges.size() == 2)
    add_message(to, 31, [&](Writer& ranges) {
      write_range(ranges, 1, f.ranges[1]);
      write_range(ranges, 2, f.ranges[0]);
    });
}

std::int32_t array_number(DType d) {
  switch (d) {
    case DType::f16: return 0x10010;
    case DType::f32: return 0x10020;
    case DType::f64: return 0x10040;
    case DType::i8: return 0x20008;
    case DType::i32: return 0x20020;
    default: throw Error(Code::unsupported, text("Core ML has no arrays of {}", name_of(d)));
  }
}

void write_fallback(Writer& to, DType dtype, double x) {
  if (dtype == DType::f64) to.add_double(61, x);
  else if (is_float(dtype)) to.add_float(51, static_cast<float>(x));
  else to.add_int32(41, static_cast<std::int32_t>(x));
}

void write_array(Writer& to, const Feature& f) {
  if (!f.shape.empty()) to.add_packed_int64(1, f.shape.begin(), f.shape.end());
  to.add_enum(2, array_number(f.dtype));
  if (!f.enumerated.empty())
    add_message(to, 21, [&](Writer& shapes) {
      for (const Shape& s : f.enumerated)
        add_message(shapes, 1, [&](Writer& shape) { shape.add_packed_int64(1, s.begin(), s.end()); });
    });
  else if (!f.ranges.empty())
    add_message(to, 31, [&](Writer& ranges) {
      for (const DimRange& range : f.ranges) write_range(ranges, 1, range);
    });
  if (f.fallback) write_fallback(to, f.dtype, *f.fallback);
}

void write_feature_type(Writer& to, const Feature& f) {
  auto nothing = [](Writer&) {};
  switch (f.kind) {
    case FeatureKind::int64: add_message(to, 1, nothing); break;
    case FeatureKind::double_: add_message(to, 2, nothing); break;
    case FeatureKind::string: add_message(to, 3, nothing); break;
    case FeatureKind::image: add_message(to, 4, [&](Writer& image) { write_image(image, f); }); break;
    case FeatureKind::tensor: add_message(to, 5, [&](Writer& array) { write_array(array, f); }); break;
    case FeatureKind::dictionary:
      add_message(to, 6, [&](Writer& d) { add_message(d, f.key == DType::i64 ? 1 : 2, nothing); });
      break;
    case FeatureKind::sequence:
      add_message(to, 7, [&](Writer& s) {
        add_message(s, f.dtype == DType::i64 ? 1 : 3, nothing);
        if (!f.ranges.empty()) write_range(s, 101, f.ranges.front());
      });
      break;
    case FeatureKind::state:
      add_message(to, 8, [&](Writer& state) {
        add_message(state, 1, [&](Writer& array) { write_array(array, f); });
      });
      break;
  }
  if (f.optional) to.add_bool(1000, true);
}

void write_features(Writer& to, std::uint32_t number, std::span<const Feature> features) {
  for (const Feature& f : features)
    with_note([&] { return text("feature '{}'", printable(f.name)); },
              [&] {
                add_message(to, number, [&](Writer& feature) {
                  add_text(feature, 1, f.name);
                  add_if_any(feature, 2, f.description);
                  add_message(feature, 3, [&](Writer& type) { write_feature_type(type, f); });
                });
              });
}

void write_function(Writer& to, const Function& f) {
  add_text(to, 1, f.name);
  write_features(to, 2, f.interface.inputs);
  write_features(to, 3, f.interface.outputs);
  add_if_any(to, 4, f.interface.predicted_feature);
  add_if_any(to, 5, f.interface.predicted_probabilities);
  write_features(to, 6, f.interface.states);
}

void write_interface(Writer& to, const Interface& i) {
  write_features(to, 1, i.inputs);
  write_features(to, 10, i.outputs);
  add_if_any(to, 11, i.predicted_feature);
  add_if_any(to, 12, i.predicted_probabilities);
  write_features(to, 13, i.states);
}

void write_metadata(Writer& to, const ModelFile& file) {
  add_if_any(to, 1, file.description);
  add_if_any(to, 2, file.version);
  add_if_any(to, 3, file.author);
  add_if_any(to, 4, file.license);
  for (const auto& [key, value] : file.user)
    add_message(to, 100, [&, k = key, v = value](Writer& entry) {
      add_text(entry, 1, k);
      add_text(entry, 2, v);
    });
}

}  // namespace

std::string description_message(const ModelFile& file) {
  return message([&](Writer& to) {
    bool plain = file.functions.size() == 1 && file.functions.front().name == "main";
    if (plain) {
      write_interface(to, file.functions.front().interface);
    } else {
      for (const Function& f : file.functions)
        add_message(to, 20, [&](Writer& function) { write_function(function, f); });
      add_text(to, 21, file.default_function);
    }
    add_message(to, 100, [&](Writer& metadata) { write_metadata(metadata, file); });
  });
}

}  // namespace tl::coreml
