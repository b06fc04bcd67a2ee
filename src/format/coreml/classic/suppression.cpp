// SPDX-License-Identifier: Apache-2.0
// NonMaximumSuppression: which boxes of a detector are given out, and how many.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

class Suppression {
 public:
  Suppression(const Message& message, Function& function) : message_(message), function_(function) {}

  void run() {
    Ex scores = matrix(message_.text(200), "confidence"), boxes = matrix(message_.text(201), "coordinates");
    check(scores, boxes);
    Ex in[] = {scores, boxes, threshold(202, 110), threshold(203, 111)};
    Attrs attrs = attrs_of({{"per_class", message_.message(1).flag(1)}});
    limit(attrs);
    std::vector<Ex> out = emit_all(ops::pick_boxes, in, attrs);
    give(out[0], message_.text(210));
    give(out[1], message_.text(211));
    function_.graph = std::move(graph_);
  }

 private:
  Place place() { return {&graph_, &graph_.body}; }

  template <class Features> static auto* feature(Features& among, std::string_view name) {
    for (auto& f : among)
      if (f.name == name) return &f;
    throw Error(Code::bad_input, text("there is no feature '{}' in its description", printable(name)));
  }

  // [boxes, n], whatever leading dimensions of 1 the feature has.
  Ex matrix(std::string_view name, std::string_view what) {
    Feature& f = *feature(function_.interface.inputs, name);
    if (f.kind != FeatureKind::tensor) throw Error(Code::bad_input, text("the {} is not an array", what));
    std::size_t rank = f.shape.empty() ? 2 : f.shape.size();
    if (rank < 2) throw Error(Code::bad_input, text("the {} has the shape {}", what, text_of(f.shape)));
    Shape shape(rank);
    for (std::size_t d = 0; d < rank; ++d)
      shape[d] = f.shape.empty() || f.flexible() ? graph_.new_symbol() : f.shape[d];
    if (!f.shape.empty()) shape.back() = f.shape.back() > 0 ? f.shape.back() : graph_.new_symbol();
    Ex x(place(), graph_.add_input(Type(DType::f64, shape), f.name));
    if (rank == 2) return x;
    Dim width = shape.back();
    must(is_known(width), "the length of its arrays is not known");
    return emit(ops::reshape, {x, integers(place(), {-1, width})});
  }

  void check(const Ex& scores, const Ex& boxes) {
    Dim classes = scores.shape()[1], width = boxes.shape()[1];
    if (is_known(width) && width != 4)
      throw Error(Code::bad_input, text("boxes have 4 coordinates, not {}", width));
    if (Tensor labels = read_labels(message_); labels && is_known(classes) && labels.size() != classes)
      throw Error(Code::bad_input, text("has {} class labels for {} classes", labels.size(), classes));
  }

  // An input, which may be left out, or a constant.
  Ex threshold(std::uint32_t name_field, std::uint32_t value_field) {
    std::string_view name = message_.text(name_field);
    double value = message_.number(value_field);
    for (Feature& f : function_.interface.inputs) {
      if (name.empty() || f.name != name) continue;
      f.fallback = value;
      return {place(), graph_.add_input(Type(DType::f64, {}), f.name)};
    }
    return constant(place(), scalar(value, DType::f64));
  }

  // How many rows the outputs may have, by their declared shapes.
  void limit(Attrs& attrs) {
    const Feature& f = *feature(function_.interface.outputs, message_.text(210));
    if (!f.ranges.empty()) {
      attrs.set("least", f.ranges[0].lowest);
      attrs.set("most", f.ranges[0].highest);
    } else if (!f.flexible() && f.shape.size() == 2 && f.shape[0] > 0) {
      attrs.set("least", f.shape[0]);
      attrs.set("most", f.shape[0]);
    }
  }

  void give(const Ex& value, std::string_view name) {
    graph_.add_output(value.id(), feature(function_.interface.outputs, name)->name);
  }

  const Message& message_;
  Function& function_;
  Graph graph_ = {};
};

}  // namespace

void lower_suppression(const Message& message, Function& function) { Suppression(message, function).run(); }

}  // namespace tl::coreml
