// SPDX-License-Identifier: Apache-2.0
// Features of all kinds, flexible shapes, several functions, metadata.
#include "format/coreml/description.h"

#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr std::int64_t longest = std::int64_t{1} << 48;

std::int64_t checked_length(std::int64_t n, std::string_view what) {
  if (n < 0 || n > longest) throw Error(Code::bad_input, text("{} of {} is not possible", what, n));
  return n;
}

DimRange read_range(std::string_view message) {
  DimRange out{0, 0};
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): out.lowest = static_cast<std::int64_t>(field.get_uint64()); break;
      case varint(2): out.highest = field.get_int64(); break;
      default: field.skip();
    }
  });
  checked_length(out.lowest, "a lower bound");
  if (out.highest >= 0 && out.highest < out.lowest)
    throw Error(Code::bad_input, text("the range {} to {} is empty", out.lowest, out.highest));
  return out;
}

Shape read_shape(std::string_view message) {  // a message whose field 1 is the dimensions
  Shape out;
  each_field(message, [&](Field& field) {
    if (field.tag() == 1) append_varints(field, out);
    else field.skip();
  });
  return out;
}

std::pair<std::int64_t, std::int64_t> read_size(std::string_view message) {  // width, height
  std::pair<std::int64_t, std::int64_t> out;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): out.first = field.get_int64(); break;
      case varint(2): out.second = field.get_int64(); break;
      default: field.skip();
    }
  });
  return out;
}

ColorSpace color_of(std::int64_t number) {
  switch (number) {
    case 10: return ColorSpace::gray;
    case 20: return ColorSpace::rgb;
    case 30: return ColorSpace::bgr;
    case 40: return ColorSpace::gray_f16;
    default: throw Error(Code::bad_input, text("{} is not the number of a color space", number));
  }
}

void read_image(std::string_view message, Feature& out) {
  out.kind = FeatureKind::image;
  out.dtype = DType::u8;
  out.shape = {0, 0};
  DimRange width{0, -2}, height{0, -2};
  bool ranged = false;
  std::int64_t color = 0;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1): out.shape[1] = checked_length(field.get_int64(), "a width"); break;
      case varint(2): out.shape[0] = checked_length(field.get_int64(), "a height"); break;
      case varint(3): color = field.get_int64(); break;
      case bytes(21):
        each_field(view(field), [&](Field& inner) {
          if (inner.tag_and_type() != bytes(1)) return inner.skip();
          auto [w, h] = read_size(view(inner));
          out.enumerated.push_back({checked_length(h, "a height"), checked_length(w, "a width")});
        });
        break;
      case bytes(31):
        ranged = true;
        each_field(view(field), [&](Field& inner) {
          if (inner.tag_and_type() == bytes(1)) width = read_range(view(inner));
          else if (inner.tag_and_type() == bytes(2)) height = read_range(view(inner));
          else inner.skip();
        });
        break;
      default: field.skip();
    }
  });
  out.color = color_of(color);
  if (out.color == ColorSpace::gray_f16) out.dtype = DType::f16;
  if (ranged) out.ranges = {height, width};
}

DType array_dtype(std::int64_t number) {
  switch (number) {
    case 0x10010: return DType::f16;
    case 0x10020: return DType::f32;
    case 0x10040: return DType::f64;
    case 0x20008: return DType::i8;
    case 0x20020: return DType::i32;
    case 0: return DType::f64;  // not said: old converters meant doubles
    default: throw Error(Code::unsupported, text("arrays of element type {:#x} are not known", number));
  }
}

void read_array(std::string_view message, Feature& out) {
  out.kind = FeatureKind::tensor;
  std::int64_t dtype = 0;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case varint(1):
      case bytes(1): append_varints(field, out.shape); break;
      case varint(2): dtype = field.get_int64(); break;
      case bytes(21):
        each_field(view(field), [&](Field& inner) {
          if (inner.tag_and_type() == bytes(1)) out.enumerated.push_back(read_shape(view(inner)));
          else inner.skip();
        });
        break;
      case bytes(31):
        each_field(view(field), [&](Field& inner) {
          if (inner.tag_and_type() == bytes(1)) out.ranges.push_back(read_range(view(inner)));
          else inner.skip();
        });
        break;
      case varint(41): out.fallback = field.get_int32(); break;
      case fixed32(51): out.fallback = static_cast<double>(field.get_float()); break;
      case fixed64(61): out.fallback = field.get_double(); break;
      default: field.skip();
    }
  });
  out.dtype = array_dtype(dtype);
}

void check_array(const Feature& f, bool input) {
  for (Dim d : f.shape)
    if (input || d >= 0) checked_length(d, "a length");
  for (const Shape& shape : f.enumerated) {
    for (Dim d : shape) checked_length(d, "a length");
    if (f.kind == FeatureKind::tensor && !f.shape.empty() && shape.size() != f.shape.size())
      throw Error(Code::bad_input,
                  text("the shape {} is listed for one of rank {}", text_of(shape), f.shape.size()));
  }
  if (!f.ranges.empty() && !f.shape.empty() && f.ranges.size() != f.shape.size())
    throw Error(Code::bad_input,
                text("{} ranges are given for {} dimensions", f.ranges.size(), f.shape.size()));
}

void read_feature_type(std::string_view message, Feature& out) {
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.kind = FeatureKind::int64, out.dtype = DType::i64, field.skip(); break;
      case bytes(2): out.kind = FeatureKind::double_, out.dtype = DType::f64, field.skip(); break;
      case bytes(3): out.kind = FeatureKind::string, out.dtype = DType::string, field.skip(); break;
      case bytes(4): read_image(view(field), out); break;
      case bytes(5): read_array(view(field), out); break;
      case bytes(6):
        out.kind = FeatureKind::dictionary, out.dtype = DType::f64;
        each_field(view(field), [&](Field& inner) {
          out.key = inner.tag() == 1 ? DType::i64 : DType::string;
          inner.skip();
        });
        break;
      case bytes(7):
        out.kind = FeatureKind::sequence;
        each_field(view(field), [&](Field& inner) {
          if (inner.tag() == 1) out.dtype = DType::i64;
          if (inner.tag() == 3) out.dtype = DType::string;
          if (inner.tag_and_type() == bytes(101)) out.ranges = {read_range(view(inner))};
          else inner.skip();
        });
        break;
      case bytes(8):
        each_field(view(field), [&](Field& inner) {
          if (inner.tag_and_type() == bytes(1)) read_array(view(inner), out);
          else inner.skip();
        });
        out.kind = FeatureKind::state;
        break;
      case varint(1000): out.optional = truth(field); break;
      default: field.skip();
    }
  });
}

Feature read_feature(std::string_view message, bool input) {
  Feature out;
  std::string_view type;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.name = view(field); break;
      case bytes(2): out.description = view(field); break;
      case bytes(3): type = view(field); break;
      default: field.skip();
    }
  });
  with_note([&] { return text("feature '{}'", printable(out.name)); },
            [&] {
              if (out.name.empty()) throw Error(Code::bad_input, "has no name");
              read_feature_type(type, out);
              check_array(out, input);
            });
  return out;
}

void add_feature(std::vector<Feature>& to, std::string_view message, bool input) {
  Feature feature = read_feature(message, input);
  for (const Feature& other : to)
    if (other.name == feature.name)
      throw Error(Code::bad_input, text("the feature '{}' is described twice", printable(feature.name)));
  to.push_back(std::move(feature));
}

std::pair<std::string, Interface> read_function(std::string_view message) {
  std::pair<std::string, Interface> out;
  Interface& i = out.second;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.first = view(field); break;
      case bytes(2): add_feature(i.inputs, view(field), true); break;
      case bytes(3): add_feature(i.outputs, view(field), false); break;
      case bytes(4): i.predicted_feature = view(field); break;
      case bytes(5): i.predicted_probabilities = view(field); break;
      case bytes(6): add_feature(i.states, view(field), true); break;
      default: field.skip();
    }
  });
  return out;
}

void read_metadata(std::string_view message, ModelFile& file) {
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): file.description = view(field); break;
      case bytes(2): file.version = view(field); break;
      case bytes(3): file.author = view(field); break;
      case bytes(4): file.license = view(field); break;
      case bytes(100): {
        std::pair<std::string, std::string> entry;
        each_field(view(field), [&](Field& inner) {
          switch (inner.tag_and_type()) {
            case bytes(1): entry.first = view(inner); break;
            case bytes(2): entry.second = view(inner); break;
            default: inner.skip();
          }
        });
        file.user.push_back(std::move(entry));
        break;
      }
      default: field.skip();
    }
  });
}

}  // namespace

const Interface* Description::of(std::string_view function) const {
  for (const auto& [name, interface] : functions)
    if (name == function || name.empty()) return &interface;
  return nullptr;
}

Description read_description(std::string_view message, ModelFile& file) {
  Description out;
  Interface whole;
  each_field(message, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): add_feature(whole.inputs, view(field), true); break;
      case bytes(10): add_feature(whole.outputs, view(field), false); break;
      case bytes(11): whole.predicted_feature = view(field); break;
      case bytes(12): whole.predicted_probabilities = view(field); break;
      case bytes(13): add_feature(whole.states, view(field), true); break;
      case bytes(20): out.functions.push_back(read_function(view(field))); break;
      case bytes(21): out.default_function = view(field); break;
      case bytes(100): read_metadata(view(field), file); break;
      default: field.skip();
    }
  });
  if (out.functions.empty()) out.functions.emplace_back("", std::move(whole));
  return out;
}

}  // namespace tl::coreml
