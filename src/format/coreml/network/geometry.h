// SPDX-License-Identifier: Apache-2.0
// Windows and borders as layers say them (coreml.md 6.4), as attributes of operations.
#pragma once
#include "format/coreml/network/layer.h"

namespace tl::coreml {

// A repeated field of `n` numbers, `each` where it is absent. Throws Error if there are other than n.
std::vector<std::int64_t> lengths_of(const Message&, std::uint32_t tag, std::size_t n, std::int64_t each);

// BorderAmounts: top, bottom, left, right.
std::vector<std::int64_t> border(const Message& amounts);

// Sets `pad_type` and `pad`: the fields `valid` and `valid + 1` are the options of a oneof.
void set_padding(const Message& params, std::uint32_t valid, Attrs&);

std::string sampling_mode(const Message& mode);  // SamplingMode, as resizing spells it

}  // namespace tl::coreml
