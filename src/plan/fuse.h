// SPDX-License-Identifier: Apache-2.0
// Which elementwise nodes run inside the kernel of the node before them.
#pragma once
#include <functional>

#include "ir/graph.h"
#include "op/kernel.h"

namespace tl::plan {

struct Fused {  // one node, or a node and the elementwise ones that its kernel ends with
  const Node* node = nullptr;
  std::vector<const Node*> post = {};  // in order; the last one's output is the step's
  std::vector<ValueId> inputs = {};    // the node's, then the operands of post
  std::vector<PostOp> ops = {};
  const std::vector<ValueId>& outputs() const { return post.empty() ? node->outputs : post.back()->outputs; }
};

// `fits` says whether a kernel takes the node with these post operations.
std::vector<Fused> fuse(const Graph&, const std::function<bool(const Fused&)>& fits);

}  // namespace tl::plan
