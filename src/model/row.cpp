// SPDX-License-Identifier: Apache-2.0
// Rows.
#include "model/row.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "model/convert.h"
#include "model/feature.h"

namespace tl {
namespace {

struct Row {
  Tensor values = {};  // [rows, n]
  bool batch = false;
};

[[noreturn]] void mismatch(const Feature& feature, std::string_view got) {
  throw Error(Code::bad_input, text("input '{}' takes {}, not {}", feature.name, describe(feature), got));
}

bool ends_with(const Shape& whole, const Shape& end) {
  return whole.size() == end.size() + 1 && std::equal(end.begin(), end.end(), whole.begin() + 1);
}

bool is_number(const Feature& feature) {
  return feature.kind == FeatureKind::int64 || feature.kind == FeatureKind::double_;
}

Row of_array(const Feature& feature, const Tensor& given, const Type& type) {
  if (given.dtype() == DType::string) mismatch(feature, "text");
  bool batch = false;
  if (is_number(feature)) batch = given.rank() == 1 && given.size() != 1;
  else batch = !feature.shape.empty() && !feature.flexible() && ends_with(given.shape(), feature.shape);
  if (!batch) {
    Tensor one = to_input(feature, given, type, {});
    if (is_known(type.shape[1]) && one.size() != type.shape[1]) mismatch(feature, text_of(given.type()));
    return {one.reshaped({1, one.size()}), false};
  }
  std::int64_t rows = given.shape()[0];
  if (rows == 0) throw Error(Code::bad_input, text("input '{}' has no rows", feature.name));
  Tensor t = is_number(feature) ? given : converted(given, feature.dtype);
  return {converted(t, type.dtype).reshaped({rows, given.size() / rows}), true};
}

// A dictionary from places to numbers, written out.
Row of_dictionary(const Feature& feature, const Dictionary& given, const Type& type) {
  Tensor row(DType::f64, {1, type.shape[1]});
  std::span<double> to = row.writable<double>();
  std::fill(to.begin(), to.end(), 0.0);
  std::vector<std::int64_t> places = whole_keys(given);
  std::vector<double> values = to_doubles(given.values);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i] < 0 || places[i] >= type.shape[1])
      throw Error(Code::bad_input,
                  text("input '{}': there is no place {} of {}", feature.name, places[i], type.shape[1]));
    to[static_cast<std::size_t>(places[i])] = values[i];
  }
  return {row, false};
}

Row of_value(const Feature& feature, const FeatureValue& value, const Type& type) {
  if (feature.kind == FeatureKind::dictionary) {
    const auto* dictionary = std::get_if<Dictionary>(&value);
    if (!dictionary) mismatch(feature, "a value of another kind");
    return of_dictionary(feature, *dictionary, type);
  }
  if (const auto* t = std::get_if<Tensor>(&value)) return of_array(feature, *t, type);
  return {to_input(feature, value, type, {}).reshaped({1, 1}), false};
}

Row default_row(const Feature& feature, const Type& type) {
  Dim width = is_known(type.shape[1]) ? type.shape[1] : std::max<Dim>(1, volume(feature.shape));
  std::vector<double> values(static_cast<std::size_t>(width), feature.fallback.value_or(0));
  return {from_doubles(values, DType::f64, {1, width}), false};
}

Tensor repeated(const Tensor& row, std::int64_t rows) {
  Tensor out(row.dtype(), {rows, row.shape()[1]});
  std::byte* to = out.writable_data();
  for (std::int64_t i = 0; i < rows && row.bytes(); ++i, to += row.bytes())
    std::memcpy(to, row.data(), row.bytes());
  return out;
}

// ---- back

Tensor labelled(const Tensor& labels, const Tensor& places) {
  std::vector<std::int64_t> at = to_integers(places);
  auto of = [&](std::int64_t i) {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(i, 0, labels.size() - 1));
  };
  if (labels.dtype() == DType::string) {
    std::vector<std::string> words;
    for (std::int64_t i : at) words.push_back(labels.as<std::string>()[of(i)]);
    return from_strings(std::move(words), places.shape());
  }
  std::vector<std::int64_t> numbers;
  for (std::int64_t i : at) numbers.push_back(labels.as<std::int64_t>()[of(i)]);
  return from_integers(numbers, DType::i64, places.shape());
}

Shape without_rows(const Tensor& t) { return {t.shape().begin() + 1, t.shape().end()}; }

// Numbers of one row as the dictionary that the feature declares: of labels, or of places that are not 0.
Dictionary dictionary_of(const Function& f, const Tensor& t) {
  Tensor row = t.reshaped({t.size()});
  if (f.labels) return {f.labels, row};
  std::vector<double> all = to_doubles(row), values;
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] != 0) places.push_back(static_cast<std::int64_t>(i)), values.push_back(all[i]);
  auto n = static_cast<Dim>(values.size());
  return {from_integers(places, DType::i64, {n}), from_doubles(values, DType::f64, {n})};
}

Tensor array_of_row(const Feature& feature, const Tensor& t) {
  Shape shape = without_rows(t);
  bool declared = is_known(feature.shape) && !feature.shape.empty() && !feature.flexible() &&
                  volume(feature.shape) == volume(shape);
  return t.reshaped(declared ? feature.shape : shape);
}

}  // namespace

RowInputs rows_of_inputs(const Function& f, const Features& inputs) {
  RowInputs out;
  for (ValueId v : f.graph->body.inputs) {
    const Type& type = f.graph->type(v);
    const std::string& name = f.graph->value(v).name;
    const Feature* feature = nullptr;
    for (const Feature& candidate : f.interface.inputs)
      if (candidate.name == name) feature = &candidate;
    TL_ASSERT(feature);
    const FeatureValue* value = find(inputs, name);
    if (!value && !feature->optional)
      throw Error(Code::bad_input, text("input '{}' is missing: it takes {}", name, describe(*feature)));
    Row row = value ? of_value(*feature, *value, type) : default_row(*feature, type);
    std::int64_t rows = row.values.shape()[0];
    if (row.batch && out.batch && rows != out.rows)
      throw Error(Code::bad_input, text("'{}' has {} rows, another input has {}", name, rows, out.rows));
    if (row.batch) out.rows = rows, out.batch = true;
    out.values.push_back(std::move(row.values));
  }
  for (Tensor& t : out.values)
    if (t.shape()[0] != out.rows) t = repeated(t, out.rows);
  return out;
}

FeatureValue from_rows(const Function& f, const Feature& feature, const Tensor& t, bool batch) {
  bool places = t.dtype() == DType::i32 && static_cast<bool>(f.labels);
  Tensor value = places && feature.kind != FeatureKind::dictionary ? labelled(f.labels, t) : t;
  if (batch) {
    bool one = value.rank() == 2 && value.shape()[1] == 1;
    if (is_number(feature) && one) value = value.reshaped({value.shape()[0]});
    if (feature.kind == FeatureKind::int64 && !places) value = converted(value, DType::i64);
    return value;
  }
  if (feature.kind == FeatureKind::dictionary) return dictionary_of(f, value);
  if (is_number(feature) || feature.kind == FeatureKind::string) return to_output(feature, value);
  Tensor row = array_of_row(feature, value);
  return row.dtype() == DType::string || feature.kind == FeatureKind::sequence
             ? row
             : converted(row, feature.dtype);
}

}  // namespace tl
