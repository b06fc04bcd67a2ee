// SPDX-License-Identifier: Apache-2.0
// The graph of a classic model in the making: its features as rows of numbers, its results as features.
#pragma once
#include "format/coreml/network/message.h"
#include "ir/ex.h"
#include "ir/model_file.h"

namespace tl::coreml {

class Sketch {
 public:
  explicit Sketch(Function& function) : function_(function) { graph_.name = function.name; }

  Place place() { return {&graph_, &graph_.body}; }
  const Interface& interface() const { return function_.interface; }

  // An input as fp64 [rows, width]; a width of `unknown` is the declared one. Throws Error for words.
  Ex row(Feature& feature, Dim width = unknown);
  // All inputs side by side, in their order (coreml.md 7.1). Optional ones are missing if not given: NaN.
  Ex rows();
  // The only input.
  Ex only();
  // How many numbers each row of x has. Throws Error if that is not known.
  static Dim width_of(const Ex& x);

  Ex doubles(std::vector<double> values, Shape shape);
  Ex whole(std::vector<std::int64_t> values);  // int32, rank 1

  void give(const Ex& value, const std::string& feature);
  // As the only output. Throws Error if there are several.
  void give_only(const Ex& value);
  // Of a classifier: scores [rows, classes], and the place of the winner [rows], by default the highest.
  void give_classes(const Ex& scores, Tensor labels, Ex winner = {});

  // Makes the graph the function's.
  void finish(bool by_rows = true);

 private:
  Function& function_;
  Graph graph_ = {};
};

// The labels of fields 100 (words) or 101 (int64); an empty tensor if there are none.
Tensor read_labels(const Message&);
Tensor words_of(std::vector<std::string_view>);
// Throws Error with this sentence unless it holds.
void must(bool holds, std::string_view sentence);
// 1 / (1 + e^-x), and the normal distribution.
Ex logistic(const Ex& x);
Ex normal(const Ex& x);

}  // namespace tl::coreml
