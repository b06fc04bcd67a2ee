// SPDX-License-Identifier: Apache-2.0
// Reads what follows a kernel as clips, one row of a single input, and one addition.
#include "op/fuse.h"

#include <algorithm>

namespace tl {
namespace {

std::optional<Clip> clip_of(const PostOp& post) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::string_view name = post.op->name;
  if (name == "relu") return Clip{0, infinity};
  if (name == "relu6") return Clip{0, 6};
  if (name == "clip" && post.attrs->has("alpha") && post.attrs->has("beta"))
    return Clip{static_cast<float>(post.attrs->number("alpha")),
                static_cast<float>(post.attrs->number("beta"))};
  return std::nullopt;
}

void then(Clip& clip, Clip next) {
  clip.low = std::min(std::max(clip.low, next.low), next.high);
  clip.high = std::min(std::max(clip.high, next.low), next.high);
}

}  // namespace

std::optional<Fused> fused(const KernelRequest& request) {
  Fused result;
  bool late = false;  // whether clips belong to the end
  for (const PostOp& post : request.post) {
    if (std::optional<Clip> clip = clip_of(post)) {
      bool first = !late && !result.block;
      then(first ? result.before : result.after, *clip);
      late = late || !first;
      continue;
    }
    if (post.op->name == "add" && post.operand >= 0) {
      bool fits = result.residual < 0 && (!late || result.after.is_none());
      if (!fits || request.in[static_cast<std::size_t>(post.operand)] != request.out[0]) return std::nullopt;
      result.residual = post.operand;
      late = true;
      continue;
    }
    if (late || result.block || post.operand >= 0) return std::nullopt;
    result.block = post_block(request.machine.isa, post);
    if (!result.block || result.block.takes_operand()) return std::nullopt;
  }
  return result;
}

}  // namespace tl
