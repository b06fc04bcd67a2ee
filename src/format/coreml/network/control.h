// SPDX-License-Identifier: Apache-2.0
// Networks within layers: branches and loops become blocks, what they define becomes outputs of the node.
#pragma once
#include <functional>

#include "format/coreml/network/network.h"

namespace tl::coreml {

// Adds what the layers of a network read, also those of networks within.
void count_reads(const Message& network, Reads& to, int depth = 0);

// After this layer the loop that it stands in may be left, or go on with its next round.
bool may_leave(const Message& layer);

using Body = std::function<void(Place)>;
// Lowers `rest` so that it runs only if the loop has not been left.
void unless_left(Network&, Place, const Body& rest);

}  // namespace tl::coreml
