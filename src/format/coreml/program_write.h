// SPDX-License-Identifier: Apache-2.0
// Graphs as a MIL program: names, constants, blocks, operations of one opset.
#pragma once
#include "format/coreml/blob_write.h"
#include "ir/model_file.h"

namespace tl::coreml {

// The opset that all functions are written in: the newest of their own, or where that (or nothing) cannot say
// it the oldest that can. Throws Error that names the operation for which there is none.
int opset_of(const ModelFile&);

// A Program; its larger constants go to the blobs.
std::string program_message(const ModelFile&, int opset, BlobWriter&);

}  // namespace tl::coreml
