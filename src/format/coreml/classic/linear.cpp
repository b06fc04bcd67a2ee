// SPDX-License-Identifier: Apache-2.0
// Generalised linear models: a matrix product, an offset, a link function; as classifiers of two classes, of
// several against a reference, or of each against the rest.
#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

enum Link : std::int64_t { identity_link, logit, probit };

// The scores [rows, weights of the message].
Ex scores(Sketch& sketch, const Message& message) {
  Ex x = sketch.rows();
  Dim width = Sketch::width_of(x), outputs = 0;
  std::vector<double> weights;
  for (const Message& row : message.messages(1)) {
    std::vector<double> values = row.doubles(1);
    if (static_cast<Dim>(values.size()) != width)
      throw Error(Code::bad_input,
                  text("row {} has {} weights for {} features", outputs, values.size(), width));
    weights.insert(weights.end(), values.begin(), values.end());
    ++outputs;
  }
  must(outputs > 0, "has no weights");
  std::vector<double> offset = message.doubles(2);
  if (offset.empty()) offset.resize(static_cast<std::size_t>(outputs), 0);
  if (static_cast<Dim>(offset.size()) != outputs)
    throw Error(Code::bad_input, text("has {} offsets for {} rows of weights", offset.size(), outputs));
  return emit(ops::linear, {x, sketch.doubles(std::move(weights), {outputs, width}),
                            sketch.doubles(std::move(offset), {outputs})});
}

Ex linked(const Ex& s, std::int64_t link) {
  switch (link) {
    case identity_link: return s;
    case logit: return logistic(s);
    case probit: return normal(s);
    default: throw Error(Code::unsupported, text("the link function {} is not known", link));
  }
}

Ex beside(const Ex& a, const Ex& b) {
  Ex both[] = {a, b};
  return emit(ops::concat, both, attrs_of({{"axis", std::int64_t{1}}}));
}

Ex against_reference(const Ex& s, std::int64_t link) {
  if (link != logit)
    throw Error(Code::unsupported,
                "a linear classifier of several classes against a reference has the link Logit only");
  Ex zero = emit(ops::reduce_sum, {s}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}}) * 0;
  return emit(ops::softmax, {beside(zero, s)}, {{"axis", std::int64_t{1}}});
}

Ex against_rest(const Ex& s, std::int64_t link) {
  Ex p = linked(s, link);
  return p / emit(ops::reduce_sum, {p}, {{"axes", std::vector<std::int64_t>{1}}, {"keep_dims", true}});
}

}  // namespace

void lower_linear_regressor(const Message& message, Function& function) {
  Sketch sketch(function);
  sketch.give_only(linked(scores(sketch, message), message.integer(3)));
  sketch.finish();
}

void lower_linear_classifier(const Message& message, Function& function) {
  Sketch sketch(function);
  Tensor labels = read_labels(message);
  must(static_cast<bool>(labels) && labels.size() > 1, "has fewer than two class labels");
  Ex s = scores(sketch, message);
  std::int64_t transform = message.integer(3), encoding = message.integer(4);
  std::int64_t link = transform == 0 || transform == 1 ? transform + logit : -1;
  if (labels.size() == 2 && s.shape()[1] == 1) {
    Ex p = linked(s, link), second = cast(s > 0, DType::i32);
    sketch.give_classes(beside(1 - p, p), std::move(labels),
                        emit(ops::reduce_max, {second}, {{"axes", std::vector<std::int64_t>{1}}}));
  } else if (encoding == 0) {
    sketch.give_classes(against_reference(s, link), std::move(labels));
  } else if (encoding == 1) {
    sketch.give_classes(against_rest(s, link), std::move(labels),
                        emit(ops::reduce_argmax, {s}, {{"axis", std::int64_t{1}}}));
  } else {
    throw Error(Code::unsupported, text("the class encoding {} is not known", encoding));
  }
  sketch.finish();
}

}  // namespace tl::coreml
