// SPDX-License-Identifier: Apache-2.0
// JSON to feature values and back.
#include "model/feature_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

using data::Json;

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

Shape shape_of(const Json& list) {
  Shape shape;
  for (const Json* level = &list; level->is_array(); level = &level->front()) {
    shape.push_back(static_cast<Dim>(level->size()));
    if (level->empty()) break;
  }
  return shape;
}

// Calls visit for every innermost value, after checking that all lists of a level have the same length.
template <class Visit> void for_each_leaf(const Json& list, std::span<const Dim> shape, const Visit& visit) {
  if (shape.empty()) {
    if (list.is_structured()) fail("a list holds lists and values side by side");
    visit(list);
    return;
  }
  if (!list.is_array() || static_cast<Dim>(list.size()) != shape[0])
    fail("a list is not rectangular: its rows have different lengths");
  for (const Json& inner : list) for_each_leaf(inner, shape.subspan(1), visit);
}

Tensor tensor_of(const Json& list) {
  Shape shape = shape_of(list);
  std::vector<std::string> strings;
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
  bool fractional = false, truth = true;
  for_each_leaf(list, shape, [&](const Json& leaf) {
    if (leaf.is_string()) strings.push_back(leaf.get<std::string>());
    else if (leaf.is_number() || leaf.is_boolean()) {
      fractional = fractional || leaf.is_number_float();
      truth = truth && leaf.is_boolean();
      reals.push_back(leaf.is_boolean() ? leaf.get<bool>() : leaf.get<double>());
      integers.push_back(leaf.is_boolean()        ? leaf.get<bool>()
                         : leaf.is_number_float() ? 0
                                                  : leaf.get<std::int64_t>());
    } else fail("a list holds a value that is neither a number nor text");
  });
  if (!strings.empty() && !reals.empty()) fail("a list mixes numbers and text");
  if (!strings.empty()) return from_strings(std::move(strings), shape);
  if (fractional || reals.empty()) return from_doubles(reals, DType::f64, shape);
  return from_integers(integers, truth ? DType::boolean : DType::i64, shape);
}

Dictionary dictionary_of_json(const Json& object) {
  std::vector<std::string> keys;
  std::vector<double> values;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_number()) fail(text("the value of '{}' is not a number", printable(key)));
    keys.push_back(key);
    values.push_back(value.get<double>());
  }
  auto n = static_cast<Dim>(keys.size());
  return {from_strings(std::move(keys), {n}), from_doubles(values, DType::f64, {n})};
}

Features row_of_json(const Json& object) {
  if (!object.is_object()) fail("is not {feature: value} or a list of such");
  Features features;
  for (const auto& [name, value] : object.items())
    features.emplace_back(name, with_note([&name = name] { return text("'{}'", printable(name)); },
                                          [&value = value] { return value_of_json(value); }));
  return features;
}

// Writes element k of a tensor.
class ElementWriter {
 public:
  explicit ElementWriter(const Tensor& t) : dtype_(t.dtype()) {
    if (dtype_ == DType::string) strings_ = t.as<std::string>();
    else if (is_float(dtype_)) reals_ = to_doubles(t);
    else integers_ = to_integers(t);
  }
  std::string operator()(std::size_t k) const {
    if (dtype_ == DType::string) return data::quoted(strings_[k]);
    if (dtype_ == DType::f64) return data::number_text(reals_[k]);
    if (is_float(dtype_)) return data::number_text(static_cast<float>(reals_[k]));
    if (dtype_ == DType::boolean) return integers_[k] ? "true" : "false";
    return text("{}", integers_[k]);
  }

 private:
  DType dtype_;
  std::span<const std::string> strings_ = {};
  std::vector<double> reals_ = {};
  std::vector<std::int64_t> integers_ = {};
};

void append_nested(std::string& out, const ElementWriter& element, std::span<const Dim> shape,
                   std::size_t& at) {
  if (shape.empty()) {
    out += element(at++);
    return;
  }
  out += '[';
  for (Dim i = 0; i < shape[0]; ++i) {
    if (i) out += ", ";
    append_nested(out, element, shape.subspan(1), at);
  }
  out += ']';
}

std::string json_of_tensor(const Tensor& t) {
  std::string out;
  std::size_t at = 0;
  append_nested(out, ElementWriter(t), t.shape(), at);
  return out;
}

struct Writer {
  std::string operator()(const Tensor& t) const { return json_of_tensor(t); }
  std::string operator()(const Image& image) const { return json_of_tensor(image.pixels); }
  std::string operator()(std::int64_t n) const { return text("{}", n); }
  std::string operator()(double x) const { return data::number_text(x); }
  std::string operator()(const std::string& s) const { return data::quoted(s); }
  std::string operator()(const Dictionary& dictionary) const {
    std::string out = "{";
    for (const DictionaryEntry& entry : sorted_entries(dictionary))
      out += text("{}{}: {}", out.size() > 1 ? ", " : "", data::quoted(entry.key),
                  data::number_text(entry.value));
    return out + "}";
  }
};

}  // namespace

FeatureValue value_of_json(const Json& value) {
  if (value.is_array()) return tensor_of(value);
  if (value.is_object()) return dictionary_of_json(value);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return static_cast<std::int64_t>(value.get<bool>());
  if (value.is_number_float()) return value.get<double>();
  if (value.is_number()) return value.get<std::int64_t>();
  fail("null is no value of a feature: leave it out");
}

Rows features_of_json(const Json& whole) {
  if (!whole.is_array()) return {{row_of_json(whole)}, false};
  Rows all{{}, true};
  for (std::size_t i = 0; i < whole.size(); ++i)
    all.rows.push_back(with_note([&] { return text("row {}", i); }, [&] { return row_of_json(whole[i]); }));
  return all;
}

std::vector<DictionaryEntry> sorted_entries(const Dictionary& dictionary) {
  std::vector<DictionaryEntry> entries;
  std::vector<double> values = to_doubles(dictionary.values);
  std::vector<std::int64_t> numbers;
  bool words = dictionary.keys.dtype() == DType::string;
  if (!words) numbers = to_integers(dictionary.keys);
  for (std::size_t i = 0; i < values.size(); ++i)
    entries.push_back({words ? dictionary.keys.as<std::string>()[i] : text("{}", numbers[i]), values[i]});
  auto height = [](const DictionaryEntry& e) {
    return e.value == e.value ? e.value : -std::numeric_limits<double>::infinity();
  };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const auto& a, const auto& b) { return height(a) > height(b); });
  return entries;
}

std::string json_of(const FeatureValue& value) { return std::visit(Writer{}, value); }

std::string json_of(const Features& features) {
  std::string out = "{";
  for (const auto& [name, value] : features)
    out += text("{}{}: {}", out.size() > 1 ? ", " : "", data::quoted(name), json_of(value));
  return out + "}";
}

std::string json_of(std::span<const Features> rows) {
  std::string out = "[";
  for (const Features& row : rows) out += (out.size() > 1 ? ",\n " : "") + json_of(row);
  return out + "]\n";
}

}  // namespace tl
