// SPDX-License-Identifier: Apache-2.0
// The immediate values of a MIL program: element types by number, tensors out of the typed fields of a
// message.
#pragma once
#include "format/coreml/mil_ast.h"

namespace tl::coreml {

std::optional<DType> mil_dtype(std::int64_t number);  // MILSpec.DataType
int mil_number(DType);

Type read_type(std::string_view message, int depth = 0);       // ValueType
MilValue read_value(std::string_view message, int depth = 0);  // Value

// The tensor of these numbers, which must be as many as the shape has. Null: a run of zeros is not implied.
Tensor tensor_of_bytes(std::string_view raw, DType, const Shape&);
Tensor tensor_of_numbers(std::span<const double>, DType, const Shape&);
Tensor tensor_of_integers(std::span<const std::int64_t>, DType, const Shape&);
Tensor tensor_of_strings(std::vector<std::string>, const Shape&);

}  // namespace tl::coreml
