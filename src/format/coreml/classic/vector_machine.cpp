// SPDX-License-Identifier: Apache-2.0
// Support vector machines: kernel values of a row with all vectors, then one sum, or a decision for each two
// classes, as LIBSVM computes them.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

constexpr std::int64_t most_elements = std::int64_t{1} << 26;  // of sparse vectors written out

struct Vectors {
  Dim count = 0, width = 0;
  std::vector<double> values = {};
};

void add_dense(const Message& vector, Vectors& to) {
  std::vector<double> values = vector.doubles(1);
  if (static_cast<Dim>(values.size()) != to.width)
    throw Error(Code::bad_input,
                text("support vector {} has {} elements, the input {}", to.count, values.size(), to.width));
  to.values.insert(to.values.end(), values.begin(), values.end());
}

void add_sparse(const Message& vector, Vectors& to) {
  std::size_t start = to.values.size();
  must(to.width <= most_elements - static_cast<std::int64_t>(start), "the support vectors are too many");
  to.values.resize(start + static_cast<std::size_t>(to.width), 0);
  for (const Message& node : vector.messages(1)) {
    std::int64_t place = node.integer(1);  // counted from 1
    if (place < 1 || place > to.width)
      throw Error(Code::bad_input,
                  text("support vector {} has an element {}, the input has {}", to.count, place, to.width));
    to.values[start + static_cast<std::size_t>(place) - 1] = node.number(2);
  }
}

Vectors read_vectors(const Message& message, std::uint32_t sparse, Dim width) {
  Vectors out;
  out.width = width;
  bool is_sparse = message.has(sparse);
  for (const Message& vector : message.message(is_sparse ? sparse : sparse + 1).messages(1)) {
    is_sparse ? add_sparse(vector, out) : add_dense(vector, out);
    ++out.count;
  }
  must(out.count > 0, "has no support vectors");
  return out;
}

// K(x, v) for every row and vector.
Ex kernel_values(const Message& kernel, const Ex& x, const Ex& vectors) {
  auto product = [&] { return emit(ops::matmul, {x, vectors}, {{"transpose_y", true}}); };
  std::uint32_t kind = kernel.choice(1, 4);
  Message p = kernel.message(kind);
  switch (kind) {
    case 0:
    case 1: return product();
    case 2: return exp(emit(ops::squared_distance, {x, vectors}) * -p.number(1));
    case 3: return pow(product() * p.number(3) + p.number(2), static_cast<double>(p.integer(1)));
    default: return tanh(product() * p.number(1) + p.number(2));
  }
}

Ex kernel_of(Sketch& sketch, const Message& message, std::uint32_t sparse) {
  Ex x = sketch.rows();
  Vectors v = read_vectors(message, sparse, Sketch::width_of(x));
  return kernel_values(message.message(1), x, sketch.doubles(std::move(v.values), {v.count, v.width}));
}

std::vector<double> coefficients(const Message& message, Dim vectors) {
  std::vector<double> alpha = message.doubles(1);
  if (static_cast<Dim>(alpha.size()) != vectors)
    throw Error(Code::bad_input, text("has {} coefficients for {} support vectors", alpha.size(), vectors));
  return alpha;
}

Ex decisions(Sketch& sketch, const Message& message, Dim classes) {
  Ex kernel = kernel_of(sketch, message, 3);
  Dim vectors = kernel.shape()[1], pairs = classes * (classes - 1) / 2;
  std::vector<std::int64_t> counts = message.integers(2);
  std::int64_t left = vectors;
  for (std::int64_t n : counts) {
    must(n >= 0 && n <= left, "the classes have more support vectors than there are");
    left -= n;
  }
  if (static_cast<Dim>(counts.size()) != classes || left != 0)
    throw Error(Code::bad_input, text("the numbers of support vectors per class do not fit {} classes and {} "
                                      "support vectors",
                                      classes, vectors));
  std::vector<double> all;
  std::vector<Message> rows = message.messages(5);
  if (static_cast<Dim>(rows.size()) != classes - 1)
    throw Error(Code::bad_input,
                text("has {} rows of coefficients, {} classes need {}", rows.size(), classes, classes - 1));
  for (const Message& row : rows) {
    std::vector<double> one = coefficients(row, vectors);
    all.insert(all.end(), one.begin(), one.end());
  }
  std::vector<double> rho = message.doubles(6);
  if (static_cast<Dim>(rho.size()) != pairs)
    throw Error(Code::bad_input, text("has {} values rho, {} classes need {}", rho.size(), classes, pairs));
  return emit(ops::pair_decision, {kernel, sketch.doubles(std::move(all), {classes - 1, vectors}),
                                   sketch.whole(counts), sketch.doubles(std::move(rho), {pairs})});
}

}  // namespace

void lower_vector_regressor(const Message& message, Function& function) {
  Sketch sketch(function);
  Ex kernel = kernel_of(sketch, message, 2);
  Dim vectors = kernel.shape()[1];
  Ex alpha = sketch.doubles(coefficients(message.message(4), vectors), {1, vectors});
  sketch.give_only(emit(ops::linear, {kernel, alpha, sketch.doubles({-message.number(5)}, {1})}));
  sketch.finish();
}

void lower_vector_classifier(const Message& message, Function& function) {
  Sketch sketch(function);
  Tensor labels = read_labels(message);
  must(static_cast<bool>(labels) && labels.size() > 1, "has fewer than two class labels");
  must(labels.size() <= 4096, "has too many class labels");
  Dim classes = labels.size(), pairs = classes * (classes - 1) / 2;
  Ex decision = decisions(sketch, message, classes);
  Ex votes = emit(ops::pair_vote, {decision});
  Ex winner = emit(ops::reduce_argmax, {votes}, {{"axis", std::int64_t{1}}});  // also beside probabilities
  std::vector<double> a = message.doubles(7), b = message.doubles(8);
  if (!(a.empty() && b.empty()) &&
      (static_cast<Dim>(a.size()) != pairs || static_cast<Dim>(b.size()) != pairs))
    throw Error(Code::bad_input, text("has {} and {} values for probabilities, {} classes need {}", a.size(),
                                      b.size(), classes, pairs));
  Ex scores = votes / static_cast<double>(pairs);
  if (!a.empty())
    scores = emit(ops::pair_probability,
                  {decision, sketch.doubles(std::move(a), {pairs}), sketch.doubles(std::move(b), {pairs})});
  sketch.give_classes(scores, std::move(labels), winner);
  sketch.finish();
}

}  // namespace tl::coreml
