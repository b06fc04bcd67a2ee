// SPDX-License-Identifier: Apache-2.0
// BorderAmounts, ValidPadding, SamePadding, SamplingMode.
#include "format/coreml/network/geometry.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl::coreml {

std::vector<std::int64_t> lengths_of(const Message& m, std::uint32_t tag, std::size_t n, std::int64_t each) {
  std::vector<std::int64_t> values = m.integers(tag);
  if (values.empty()) values.assign(n, each);
  if (values.size() != n)
    throw Error(Code::bad_input, text("field {} has {} lengths, {} are needed", tag, values.size(), n));
  return values;
}

std::vector<std::int64_t> border(const Message& amounts) {
  std::vector<Message> edges = amounts.messages(10);
  if (edges.empty()) return {0, 0, 0, 0};
  require(edges.size() == 2, "the border is not given for height and width");
  return {edges[0].integer(1), edges[0].integer(2), edges[1].integer(1), edges[1].integer(2)};
}

void set_padding(const Message& params, std::uint32_t valid, Attrs& attrs) {
  if (params.has(valid + 1)) {
    bool top_left = params.message(valid + 1).integer(1) == 1;
    return attrs.set("pad_type", std::string(top_left ? "same_lower" : "same"));
  }
  std::vector<std::int64_t> pad = border(params.message(valid).message(1));
  bool none = std::all_of(pad.begin(), pad.end(), [](std::int64_t n) { return n == 0; });
  attrs.set("pad_type", std::string(none ? "valid" : "custom"));
  if (!none) attrs.set("pad", pad);
}

std::string sampling_mode(const Message& mode) {
  constexpr const char* names[] = {"STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS"};
  std::int64_t method = mode.integer(1);
  require(method >= 0 && method <= 3, "there is no such sampling method");
  return names[method];
}

}  // namespace tl::coreml
