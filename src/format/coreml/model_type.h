// SPDX-License-Identifier: Apache-2.0
// The types of models and the layers of neural networks, by field number and as Core ML spells them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tl::coreml {

std::string_view model_type(std::uint32_t field);      // of Model; "" if it is none
std::uint32_t number_of(std::string_view model_type);  // the way back; 0 if it is none
std::string layer_type(std::uint32_t field);  // of NeuralNetworkLayer; "layer 123" if it is not known

// Why a model of this type is recognised only.
std::string why_not_run(std::string_view type);

}  // namespace tl::coreml
