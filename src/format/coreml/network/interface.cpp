// SPDX-License-Identifier: Apache-2.0
// From a network's interface to its graph's: which regime its shapes follow (coreml.md 6.2), preprocessing of
// images, labels of a classifier.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/control.h"
#include "format/coreml/network/network.h"
#include "op/formulas.h"
#include "pass/simplify.h"

namespace tl::coreml {
namespace {

constexpr std::uint32_t first_newer = 600;  // layers from this number on came with the exact regime

bool is_newer(std::uint32_t type, const Message& params, std::size_t inputs) {
  switch (type) {
    case 100: return inputs > 1;
    case 140: return params.flag(22);
    case 210: return params.integer(6) != 0 || params.has(7);
    case 345: return params.integer(1) == 2;
    default: return type >= first_newer;
  }
}

// Layers that see Seq as something else than a part of the batch.
bool sees_sequence(std::uint32_t type, const Message& params, std::size_t) {
  switch (type) {
    case 340:
    case 400:
    case 410:
    case 420:
    case 430:
    case 212: return true;
    case 300: return params.integers(1).size() == 4;
    case 310: {
      std::vector<std::int64_t> axes = params.integers(1);
      return !axes.empty() && axes.front() != 0;
    }
    case 320: return params.flag(100);
    default: return false;
  }
}

class Reading {
 public:
  Reading(const Message& network, std::uint32_t model_type, const StoragePtr& file, Function& function)
      : message_(network),
        model_type_(model_type),
        function_(function),
        exact_arrays_(network.integer(5) == 1),
        exact_images_(network.integer(6) == 1),
        net_(graph_, file, exact_arrays_ || exact_images_ || Network::any_layer(network, is_newer)),
        sequences_(!net_.nd() && Network::any_layer(network, sees_sequence)) {}

  Graph run() {
    graph_.name = "main";
    for (Feature& feature : function_.interface.inputs)
      with_note([&] { return text("input '{}'", printable(feature.name)); }, [&] { input(feature); });
    count_reads(message_, net_.reads());
    for (const Feature& feature : function_.interface.outputs) ++net_.reads()[feature.name];
    ++net_.reads()[std::string(message_.text(200))];
    net_.layers(message_, place());
    if (model_type_ == 403) classes_ = classified();
    for (Feature& feature : function_.interface.outputs)
      with_note([&] { return text("output '{}'", printable(feature.name)); }, [&] { output(feature); });
    pass::drop_unused(graph_);
    return std::move(graph_);
  }

 private:
  Place place() { return {&graph_, &graph_.body}; }

  // ---- inputs

  // The lengths of a feature: a symbol where other lengths are allowed.
  Shape lengths(const Feature& feature) {
    Shape out = feature.shape;
    for (std::size_t d = 0; d < out.size(); ++d) {
      bool free = d < feature.ranges.size() && !(feature.ranges[d].lowest == feature.ranges[d].highest &&
                                                 feature.ranges[d].lowest == out[d]);
      for (const Shape& other : feature.enumerated) free = free || d >= other.size() || other[d] != out[d];
      if (free) out[d] = graph_.new_symbol();
    }
    return out;
  }

  void input(Feature& feature) {
    if (feature.kind == FeatureKind::image) return image(feature);
    if (feature.kind != FeatureKind::tensor)
      throw Error(Code::bad_input,
                  text("is {}; a neural network takes arrays and images", name_of(feature.kind)));
    if (exact_arrays_) return net_.define(feature.name, value(feature, lengths(feature)));
    if (feature.shape.size() > 5)
      throw Error(Code::bad_input,
                  text("has the shape {} of more than 5 dimensions", text_of(feature.shape)));
    feature.five = true;
    Shape five = five_dims(lengths(feature));
    if (net_.nd()) return net_.define(feature.name, value(feature, five));
    bool fixed = model_type_ == 403 && !sequences_;  // its labels are as many as one example has numbers
    if (feature.shape.size() < 4 && !fixed) five[0] = graph_.new_symbol(), five[1] = graph_.new_symbol();
    Ex x = value(feature, five);
    if (!leading_) leading_ = x;
    net_.define(feature.name, sequences_ ? x : planes(x));
  }

  Ex value(const Feature& feature, Shape shape) {
    return {place(), graph_.add_input(Type(DType::f32, std::move(shape)), feature.name)};
  }

  void image(const Feature& feature) {
    Shape size = lengths(feature);
    if (size.size() != 2) throw Error(Code::bad_input, "is an image without a size");
    bool gray = feature.color == ColorSpace::gray || feature.color == ColorSpace::gray_f16;
    Ex x = value(feature, {1, gray ? 1 : 3, size[0], size[1]});
    for (const Message& p : message_.messages(2)) {
      std::string_view name = p.text(1);
      if (name.empty() || name == feature.name)
        x = with_note([] { return "preprocessing"; }, [&] { return preprocessed(x, p, feature.color); });
    }
    net_.define(feature.name, net_.nd() && !exact_images_ ? ranked(x, 5) : x);
  }

  Ex preprocessed(Ex x, const Message& p, ColorSpace color) {
    if (p.has(11)) return x - mean_image(x, p.message(11));
    Message scaler = p.message(10);
    double scale = scaler.number(10);
    std::vector<double> bias{scaler.number(22), scaler.number(21), scaler.number(20)};
    if (color == ColorSpace::bgr) std::swap(bias[0], bias[2]);
    if (x.shape()[1] == 1) bias = {scaler.number(30)};
    if (scale != 1 && scale != 0) x = x * scale;
    if (std::all_of(bias.begin(), bias.end(), [](double b) { return b == 0; })) return x;
    auto channels = static_cast<Dim>(bias.size());
    return x + constant(place(), from_doubles(bias, DType::f32, {1, channels, 1, 1}));
  }

  Ex mean_image(Ex x, const Message& message) {
    Shape shape(x.shape().begin() + 1, x.shape().end());
    std::vector<double> mean = message.numbers(1);
    if (!is_known(shape) || static_cast<std::int64_t>(mean.size()) != volume(shape))
      throw Error(Code::bad_input, text("a mean image of {} numbers for {}", mean.size(), text_of(shape)));
    return constant(place(), from_doubles(mean, DType::f32, shape));
  }

  // ---- outputs

  void output(Feature& feature) {
    const Interface& all = function_.interface;
    if (!classes_.empty() && feature.name == all.predicted_feature)
      return graph_.add_output(classes_[0].id(), feature.name);
    if (!classes_.empty() && feature.name == all.predicted_probabilities)
      return graph_.add_output(classes_[1].id(), feature.name);
    bool regressed = model_type_ == 303 && !net_.blobs().contains(feature.name);
    Ex y = regressed ? net_.blob(net_.last_output()) : net_.blob(feature.name);
    if (feature.kind == FeatureKind::image) y = planes(y);
    if (feature.kind == FeatureKind::double_ || feature.kind == FeatureKind::int64) y = reshaped(y, {-1});
    if (feature.kind == FeatureKind::tensor && !net_.nd()) feature.five = true, y = with_sequence(y);
    graph_.add_output(fp32(y).id(), feature.name);
  }

  // Where sequences went through as a part of the batch: apart again, as the first input has them.
  Ex with_sequence(Ex y) {
    if (sequences_ || !leading_ || y.shape().size() != 4 || y.shape()[0] == 1) return y;
    Ex parts[] = {shape_of(leading_, 0, 1), integers(place(), {-1}), shape_of(y, 1, 4)};
    return emit(ops::reshape, {y, emit(ops::concat, parts, attrs_of({{"axis", std::int64_t{0}}}))});
  }

  // The label of the greatest probability, and the dictionary of all.
  std::vector<Ex> classified() {
    std::string wanted(message_.text(200));
    Ex flat = reshaped(net_.blob(wanted.empty() ? net_.last_output() : wanted), {-1});
    Attrs labels;
    if (message_.has(100)) {
      std::vector<std::string> words;
      for (std::string_view word : message_.message(100).texts(1)) words.emplace_back(word);
      labels.set("classes", words);
    } else {
      labels.set("class_ids", message_.message(101).integers(1));
    }
    return with_note([] { return "the labels of the classifier"; },
                     [&] { return emit_all(ops::classify, std::span(&flat, 1), labels); });
  }

  const Message& message_;
  std::uint32_t model_type_;
  Function& function_;
  Graph graph_ = {};
  bool exact_arrays_, exact_images_;
  Network net_;
  bool sequences_;
  Ex leading_ = {};               // an input that has Seq and Batch
  std::vector<Ex> classes_ = {};  // of a classifier
};

}  // namespace

void lower_network(const Message& network, std::uint32_t model_type, const StoragePtr& file,
                   Function& function) {
  try {
    function.graph = Reading(network, model_type, file, function).run();
  } catch (const Error& error) {
    if (error.code() != Code::unsupported) throw;
    function.why_not = error.what();
  }
}

}  // namespace tl::coreml
