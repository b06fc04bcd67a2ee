// SPDX-License-Identifier: Apache-2.0
// The JSON files of compiled models: metadata.json, and the net of an older neural network.
#pragma once
#include "base/reader.h"
#include "format/coreml/description.h"

namespace tl::coreml {

// Fills in what coremldata.bin did not say; an interface only if `description` has none.
void read_metadata_json(Bytes, Description& description, ModelFile& file);

// Counts the layers of model.espresso.net.
void read_espresso_layers(Bytes, ModelFile& file);

}  // namespace tl::coreml
