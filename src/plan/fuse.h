// SPDX-License-Identifier: Apache-2.0
// Which elementwise nodes run inside the kernel of the node before them.
#pragma once
#include <functional>

#include "ir/graph.h"
#include "op/kernel.h"
#include "plan/view.h"

namespace tl::plan {

struct Fused {  // one node, or a node and the elementwise ones that its kernel ends with
  const Node* node = nullptr;
  std::vector<const Node*> post = {};  // in order; the last one's output is the step's
  std::vector<ValueId> inputs = {};    // the node's, then the operands of post
  std::vector<PostOp> ops = {};
  const Node* moved =
      nullptr;  // what reorders the result: the kernel writes each element to its place at once
  std::vector<std::optional<View>> views = {};  // per input and of the output, where any is read in another's
                                                // memory: `inputs` has that other
  std::vector<ValueId> stands_for = {};         // then per input: the value that is read so
  const Node& last() const { return moved ? *moved : post.empty() ? *node : *post.back(); }
  const std::vector<ValueId>& outputs() const { return last().outputs; }
};

// `fits` says whether a kernel takes the node with these post operations; `views`, what only moves elements.
std::vector<Fused> fuse(const Graph&, const Views& views, const std::function<bool(const Fused&)>& fits);

}  // namespace tl::plan
