// SPDX-License-Identifier: Apache-2.0
// What an updatable network says of its training. It is shown; networks only predict here.
#pragma once
#include "format/coreml/network/message.h"
#include "ir/model_file.h"

namespace tl::coreml {

// Appends to the metadata of `file`: the layers that may change, loss, optimizer, epochs.
void read_training(const Message& network, ModelFile& file);

}  // namespace tl::coreml
