// SPDX-License-Identifier: Apache-2.0
// Feature engineering on numbers: vectors put together and taken apart, shifted, scaled, filled in.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

constexpr std::int64_t longest_vector = std::int64_t{1} << 26;

const std::vector<std::int64_t> along_row = {1};

Ex per_row(const OpDef& reduction, const Ex& x) {
  return emit(reduction, {x}, {{"axes", along_row}, {"keep_dims", true}});
}

// Nothing, one number, or one for each element of x, as a row.
Ex parameter(Sketch& sketch, std::vector<double> values, const Ex& x, std::string_view what) {
  auto n = static_cast<Dim>(values.size());
  if (n > 1 && is_known(x.shape()[1]) && n != x.shape()[1])
    throw Error(Code::bad_input, text("has {} {} for {} elements", n, what, x.shape()[1]));
  return sketch.doubles(std::move(values), {1, n});
}

Ex is_missing(const Message& message, const Ex& x) {
  Ex nan = not_equal(x, x);
  switch (message.choice(11, 13)) {
    case 13: throw Error(Code::bad_input, "replaces words among numbers");
    default: break;
  }
  if (message.has(11) && message.number(11) == message.number(11)) return equal(x, message.number(11));
  if (message.has(12)) return equal(x, static_cast<double>(message.integer(12)));
  return nan;
}

std::vector<double> imputed_numbers(const Message& message) {
  if (message.has(1)) return {message.number(1)};
  if (message.has(2)) return {static_cast<double>(message.integer(2))};
  if (message.has(4)) return message.message(4).doubles(1);
  std::vector<std::int64_t> whole = message.message(5).integers(1);
  return {whole.begin(), whole.end()};
}

void impute_numbers(const Message& message, Function& function) {
  Sketch sketch(function);
  Ex x = sketch.only();
  std::vector<double> values = imputed_numbers(message);
  must(!values.empty(), "has nothing to impute");
  sketch.give_only(
      select(is_missing(message, x), parameter(sketch, std::move(values), x, "imputed values"), x));
  sketch.finish();
}

Dictionary read_map(const Message& map, bool words) {
  std::vector<std::string_view> keys;
  std::vector<std::int64_t> numbers;
  std::vector<double> values;
  for (const Message& entry : map.messages(1)) {
    words ? keys.push_back(entry.text(1)) : numbers.push_back(entry.integer(1));
    values.push_back(entry.number(2));
  }
  auto n = static_cast<Dim>(values.size());
  return {words ? words_of(keys) : from_integers(numbers, DType::i64, {n}),
          from_doubles(values, DType::f64, {n})};
}

}  // namespace

void lower_feature_vectorizer(const Message& message, Function& function) {
  Sketch sketch(function);
  std::vector<Ex> parts;
  for (const Message& column : message.messages(1)) {
    std::string_view name = column.text(1);
    Feature* feature = nullptr;
    for (Feature& f : function.interface.inputs)
      if (f.name == name) feature = &f;
    if (!feature)
      throw Error(Code::bad_input, text("there is no input '{}' to make a part of", printable(name)));
    std::int64_t width = column.integer(2);
    bool dictionary = feature->kind == FeatureKind::dictionary;
    if (dictionary && (width < 1 || width > longest_vector || feature->key != DType::i64))
      throw Error(Code::bad_input,
                  text("the dictionary '{}' cannot be a vector of {}", printable(name), width));
    parts.push_back(sketch.row(*feature, dictionary ? width : unknown));
    if (Dim known = parts.back().shape()[1]; !dictionary && is_known(known) && width != known)
      throw Error(Code::bad_input,
                  text("'{}' has {} elements, {} are declared", printable(name), known, width));
  }
  must(!parts.empty(), "has no columns");
  sketch.give_only(parts.size() == 1 ? parts[0] + 0
                                     : emit(ops::concat, parts, attrs_of({{"axis", std::int64_t{1}}})));
  sketch.finish();
}

void lower_array_extractor(const Message& message, Function& function) {
  Sketch sketch(function);
  Ex x = sketch.only();
  std::vector<std::int64_t> places = message.integers(1);
  must(!places.empty(), "extracts nothing");
  for (std::int64_t i : places)
    if (i < 0 || i >= (is_known(x.shape()[1]) ? x.shape()[1] : INT32_MAX))
      throw Error(Code::bad_input, text("extracts element {} of {}", i, x.shape()[1]));
  sketch.give_only(emit(ops::gather, {x, sketch.whole(std::move(places))}, {{"axis", std::int64_t{1}}}));
  sketch.finish();
}

void lower_scaler(const Message& message, Function& function) {
  Sketch sketch(function);
  Ex x = sketch.only(), y = x;
  if (std::vector<double> shift = message.doubles(1); !shift.empty())
    y = y + parameter(sketch, std::move(shift), x, "shifts");
  if (std::vector<double> scale = message.doubles(2); !scale.empty())
    y = y * parameter(sketch, std::move(scale), x, "scales");
  sketch.give_only(y.id() == x.id() ? x + 0 : y);
  sketch.finish();
}

void lower_normalizer(const Message& message, Function& function) {
  Sketch sketch(function);
  Ex x = sketch.only(), norm;
  switch (message.integer(1)) {
    case 0: norm = per_row(ops::reduce_max, abs(x)); break;
    case 1: norm = per_row(ops::reduce_sum, abs(x)); break;
    case 2: norm = sqrt(per_row(ops::reduce_sum, square(x))); break;
    default: throw Error(Code::unsupported, text("the norm {} is not known", message.integer(1)));
  }
  Ex one = norm * 0 + 1;
  sketch.give_only(x / select(equal(norm, 0), one, norm));
  sketch.finish();
}

void lower_imputer(const Message& message, Function& function) {
  std::uint32_t kind = message.choice(3, 7);
  if (kind != 3 && kind != 6 && kind != 7) return impute_numbers(message, function);
  FillIn fill;
  fill.word = message.text(3);
  fill.missing_word = message.text(13);
  if (kind != 3) fill.dictionary = read_map(message.message(kind), kind == 6);
  if (message.has(11)) fill.missing_number = message.number(11);
  if (message.has(12)) fill.missing_number = static_cast<double>(message.integer(12));
  function.conversion = std::move(fill);
}

void lower_thresholding(const Message&, Function& function) {
  Sketch sketch(function);
  Ex x = sketch.only(), ones = x * 0 + 1;
  Ex both[] = {x, ones};
  sketch.give_only(emit(ops::stack, both, attrs_of({{"axis", std::int64_t{1}}})));
  sketch.finish();
}

}  // namespace tl::coreml
