// SPDX-License-Identifier: Apache-2.0
// k nearest neighbours: the labels of the nearest samples, counted or weighted by how near they are. An index
// (linear, k-d tree) only says how to search; all give the same neighbours.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Samples {
  Dim count = 0, width = 0;
  std::vector<double> values = {};
};

Samples read_samples(const Message& index) {
  Samples out;
  out.width = index.integer(1);
  must(out.width > 0 && out.width <= INT32_MAX, "samples must have at least one dimension");
  if (std::uint32_t distance = index.choice(200, 299); distance && distance != 200)
    throw Error(Code::unsupported, text("the distance function {} is not known", distance));
  for (const Message& sample : index.messages(2)) {
    std::vector<double> values = sample.numbers(1);
    if (static_cast<Dim>(values.size()) != out.width)
      throw Error(Code::bad_input,
                  text("sample {} has {} elements, {} are declared", out.count, values.size(), out.width));
    out.values.insert(out.values.end(), values.begin(), values.end());
    ++out.count;
  }
  return out;
}

// The distinct labels in ascending order, and which of them each sample has.
struct Classes {
  Tensor labels = {};
  std::vector<std::int64_t> of_sample = {};
};

template <class T> std::vector<T> distinct(std::span<const T> all, std::vector<std::int64_t>& places) {
  std::map<T, std::int64_t> found;
  for (const T& label : all) found.emplace(label, 0);
  std::vector<T> out;
  for (auto& [label, place] : found) place = static_cast<std::int64_t>(out.size()), out.push_back(label);
  for (const T& label : all) places.push_back(found[label]);
  return out;
}

Classes classes_of(const Tensor& labels) {
  Classes out;
  if (labels.dtype() == DType::string) {
    std::vector<std::string> words = distinct(labels.as<std::string>(), out.of_sample);
    auto n = static_cast<Dim>(words.size());
    out.labels = from_strings(std::move(words), {n});
  } else {
    std::vector<std::int64_t> numbers = distinct(labels.as<std::int64_t>(), out.of_sample);
    out.labels = from_integers(numbers, DType::i64, {static_cast<Dim>(numbers.size())});
  }
  return out;
}

Tensor default_label(const Message& message) {
  if (message.has(110)) return words_of({message.text(110)});
  std::int64_t number = message.integer(111);
  return from_integers({&number, 1}, DType::i64, {1});
}

// 1 / distance; a sample that is the row itself takes all the weight.
Ex nearness(const Ex& squared) {
  Ex same = cast(equal(squared, 0), DType::f64);
  Ex any = emit(ops::reduce_max, {same}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}});
  return select(greater(any, 0), same, 1 / sqrt(maximum(squared, 1e-300)));
}

// Scores per class, [rows, classes], that sum to one.
Ex scores_of(Sketch& sketch, const Ex& classes, const Ex& weights, Dim count) {
  Ex zero =
      emit(ops::reduce_sum, {weights}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}}) * 0;
  Ex none = zero + sketch.doubles(std::vector<double>(static_cast<std::size_t>(count), 0), {1, count});
  Ex sums = emit(ops::scatter_along_axis, {none, classes, weights},
                 {{"axis", std::int64_t{1}}, {"mode", std::string("add")}});
  return sums / emit(ops::reduce_sum, {sums}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}});
}

// Without samples there is one class, the default.
void only_default(Sketch& sketch, const Message& message) {
  Ex x = sketch.only();
  Ex one = emit(ops::reduce_sum, {x}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}}) * 0 + 1;
  sketch.give_classes(one, default_label(message));
}

bool is_list(const Feature& f) { return f.kind == FeatureKind::sequence || f.kind == FeatureKind::tensor; }

void give_neighbours(Sketch& sketch, const Message& message, const Samples& samples, Function& function) {
  Ex x = sketch.only();
  if (is_known(x.shape()[1]) && x.shape()[1] != samples.width)
    throw Error(Code::bad_input,
                text("samples have {} dimensions, the input has {}", samples.width, x.shape()[1]));
  Tensor labels = read_labels(message);
  Dim labelled = labels ? labels.size() : 0;
  if (labelled != samples.count)
    throw Error(Code::bad_input, text("has {} labels for {} samples", labelled, samples.count));
  Classes classes = classes_of(labels);
  std::int64_t k = message.message(3).integer(1);
  must(k >= 1, "the number of neighbours must be at least 1");
  Ex known = sketch.doubles(samples.values, {samples.count, samples.width});
  Ex both[] = {x, known};
  std::vector<Ex> found =
      emit_all(ops::nearest, both, attrs_of({{"k", std::min<std::int64_t>(k, samples.count)}}));
  Ex places = emit(ops::gather, {sketch.whole(classes.of_sample), found[0]}, {{"axis", std::int64_t{0}}});
  Ex weights = message.has(210) ? nearness(found[1]) : found[1] * 0 + 1;
  Ex scores = scores_of(sketch, places, weights, classes.labels.size());
  Ex winner = emit(ops::reduce_argmax, {scores}, {{"axis", std::int64_t{1}}});
  const Interface& i = function.interface;
  for (const Feature& f : i.outputs)
    sketch.give(f.kind == FeatureKind::dictionary             ? scores
                : is_list(f) && f.name != i.predicted_feature ? places
                                                              : winner,
                f.name);
  function.labels = classes.labels;
}

}  // namespace

void lower_neighbours(const Message& message, Function& function) {
  Sketch sketch(function);
  Samples samples = read_samples(message.message(1));
  if (samples.count == 0) only_default(sketch, message);
  else give_neighbours(sketch, message, samples, function);
  sketch.finish();
}

}  // namespace tl::coreml
