// SPDX-License-Identifier: Apache-2.0
// Types and constants as messages of a MIL program.
#pragma once
#include "format/coreml/blob_write.h"
#include "format/coreml/proto_write.h"

namespace tl::coreml {

void write_type(Writer&, const Type&);                                                     // a ValueType
void write_named_type(Writer&, std::uint32_t number, std::string_view name, const Type&);  // a NamedValueType

void write_tensor_value(Writer&, const Tensor&);  // a Value, within the program
// The same, or a reference to the weights file where such constants belong there.
void write_constant(Writer&, const Tensor&, int opset, BlobWriter&);
// A Value: a list of single values.
void write_list_value(Writer&, std::span<const Tensor> items);

}  // namespace tl::coreml
