// SPDX-License-Identifier: Apache-2.0
// What the recurrent layers share: their parameters stacked as the operations want them, the five dimensions
// of their blobs, and a loop over the steps for cells that no operation has.
#pragma once
#include <functional>
#include <optional>

#include "format/coreml/network/nd.h"

namespace tl::coreml {

struct RecurrentSize {
  std::int64_t input = 0, hidden = 0;  // lengths of vectors
};

// inputVectorSize and outputVectorSize; throws Error unless they are lengths.
RecurrentSize size_of(const Layer&);

// The word with which the operations name an activation (a message ActivationParams); none: they do not have
// it.
std::optional<std::string> activation_word(const Message& activation);
// The activation as nodes, whatever it is.
Ex activated(Layer&, const Message& activation, const Ex& x);

struct Part {  // of a stack: factor * WeightParams + plus; they need not be there if the factor is 0
  Message weight = {};
  double factor = 1, plus = 0;
};
// Parts of the same shape one after another, as one constant.
Ex stacked(Layer&, std::span<const Part>, const Shape& part);

// ---- blobs: x is [Seq, Batch, C, 1, 1], a state [1, Batch, C, 1, 1]

Ex steps_of(const Layer&, const Ex& x);                                             // [Seq, Batch, C]
Ex state_of(const Layer&, std::size_t input, const Ex& steps, std::int64_t width);  // [Batch, C]; else zeros
Ex blob_of_steps(const Ex& y);
Ex blob_of_state(const Ex& h);

// ---- a loop over the steps

struct Steps {
  Ex x = {};  // [Seq, Batch, …], what a step sees
  std::vector<Ex> states = {};
  bool reverse = false, sequence = false;
};
// What a step makes of x[t] and the states: the new states, the first of which is the output. It emits its
// nodes behind its arguments.
using Step = std::function<std::vector<Ex>(const Ex& x, std::span<const Ex> states)>;
// The output (all steps in the order they are taken, or the last) and the last states.
std::vector<Ex> stepped(const Layer&, const Steps&, const Step&);

}  // namespace tl::coreml
