// SPDX-License-Identifier: Apache-2.0
// Rows of numbers from features.
#include "format/coreml/classic/sketch.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

Dim declared_width(const Feature& feature) {
  switch (feature.kind) {
    case FeatureKind::int64:
    case FeatureKind::double_: return 1;
    case FeatureKind::tensor:
      return feature.shape.empty() || feature.flexible() ? unknown : volume(feature.shape);
    default:
      throw Error(Code::bad_input, text("input '{}' is {}; the model takes numbers", printable(feature.name),
                                        name_of(feature.kind)));
  }
}

bool names_class(const Feature& feature) {
  return feature.kind == FeatureKind::string || feature.kind == FeatureKind::int64;
}

}  // namespace

void must(bool holds, std::string_view sentence) {
  if (!holds) throw Error(Code::bad_input, std::string(sentence));
}

Ex Sketch::row(Feature& feature, Dim width) {
  if (width == unknown) width = declared_width(feature);
  if (!is_known(width)) width = graph_.new_symbol();
  return {place(), graph_.add_input(Type(DType::f64, {symbol(0), width}), feature.name)};
}

Ex Sketch::rows() {
  must(!function_.interface.inputs.empty(), "has no inputs");
  graph_.new_symbol();  // the number of rows
  std::vector<Ex> parts;
  for (Feature& feature : function_.interface.inputs) {
    if (feature.optional && !feature.fallback) feature.fallback = std::numeric_limits<double>::quiet_NaN();
    parts.push_back(row(feature));
  }
  return parts.size() == 1 ? parts[0] : emit(ops::concat, parts, attrs_of({{"axis", std::int64_t{1}}}));
}

Ex Sketch::only() {
  if (function_.interface.inputs.size() != 1)
    throw Error(Code::bad_input,
                text("takes one input, {} are described", function_.interface.inputs.size()));
  return rows();
}

Dim Sketch::width_of(const Ex& x) {
  must(is_known(x.shape()[1]), "the length of its input is not known");
  return x.shape()[1];
}

Ex Sketch::doubles(std::vector<double> values, Shape shape) {
  return constant(place(), from_doubles(values, DType::f64, std::move(shape)));
}

Ex Sketch::whole(std::vector<std::int64_t> values) { return integers(place(), std::move(values)); }

void Sketch::give(const Ex& value, const std::string& feature) { graph_.add_output(value.id(), feature); }

void Sketch::give_only(const Ex& value) {
  const std::vector<Feature>& outputs = function_.interface.outputs;
  if (outputs.size() != 1)
    throw Error(Code::bad_input, text("gives one output, {} are described", outputs.size()));
  give(value, outputs.front().name);
}

void Sketch::give_classes(const Ex& scores, Tensor labels, Ex winner) {
  Dim classes = scores.shape()[1];
  must(static_cast<bool>(labels) && labels.size() > 0, "has no class labels");
  if (labels.size() != classes)
    throw Error(Code::bad_input, text("has {} class labels for {} classes", labels.size(), classes));
  if (!winner) winner = emit(ops::reduce_argmax, {scores}, {{"axis", std::int64_t{1}}});
  const Interface& i = function_.interface;
  for (const Feature& feature : i.outputs) {
    bool label = i.predicted_feature.empty() ? names_class(feature) : feature.name == i.predicted_feature;
    if (label && feature.kind != FeatureKind::string && feature.kind != FeatureKind::int64)
      throw Error(Code::bad_input, text("the predicted feature '{}' is {}, not a label",
                                        printable(feature.name), name_of(feature.kind)));
    give(label ? winner : scores, feature.name);
  }
  function_.labels = std::move(labels);
}

void Sketch::finish(bool by_rows) {
  function_.graph = std::move(graph_);
  function_.by_rows = by_rows;
}

Tensor words_of(std::vector<std::string_view> words) {
  auto n = static_cast<Dim>(words.size());
  return from_strings({words.begin(), words.end()}, {n});
}

Tensor read_labels(const Message& message) {
  if (message.has(100)) return words_of(message.message(100).texts(1));
  if (!message.has(101)) return {};
  std::vector<std::int64_t> numbers = message.message(101).integers(1);
  auto n = static_cast<Dim>(numbers.size());
  return from_integers(numbers, DType::i64, {n});
}

Ex logistic(const Ex& x) { return sigmoid(x); }
Ex normal(const Ex& x) { return (erf(x * std::sqrt(0.5)) + 1) * 0.5; }

}  // namespace tl::coreml
