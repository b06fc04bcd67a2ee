// SPDX-License-Identifier: Apache-2.0
// JSON files of features: JSON and, as Python's json module reads and writes them, NaN, Infinity and
// -Infinity.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/reader.h"

namespace tl::data {

using Json = nlohmann::ordered_json;

// Throws Error that says where. Nesting is bounded.
Json parse_json(std::string_view text);
Json read_json(const std::string& path);

std::string quoted(std::string_view text);  // with the quotes; broken UTF-8 is replaced
std::string number_text(double);  // shortest that reads back the same: 1.0, 0.1, 1e-05, NaN, -Infinity
std::string number_text(float);

}  // namespace tl::data
