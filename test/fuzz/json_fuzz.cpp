// SPDX-License-Identifier: Apache-2.0
// Fuzzes JSON files of features: what is read can be written and read again.
#include "base/error.h"
#include "model/feature_json.h"

#include <nlohmann/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tl::data::Json json = tl::data::parse_json({reinterpret_cast<const char*>(data), size});
    tl::Rows rows = tl::features_of_json(json);
    tl::Rows again = tl::features_of_json(tl::data::parse_json(tl::json_of(rows.rows)));
    TL_ASSERT(again.rows.size() == rows.rows.size());
  } catch (const tl::Error&) {}
  return 0;
}
