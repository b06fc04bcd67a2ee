// SPDX-License-Identifier: Apache-2.0
// What the functions that put layers share.
#pragma once
#include "format/coreml/espresso/part.h"

namespace tl::coreml::espresso {

using Names = std::vector<std::string>;

[[noreturn]] void unknown(std::string what);  // Error(unsupported)
void put(Out& network, const std::string& name, const Names& in, const Names& out, std::uint32_t type,
         const Out& params);
void need_bottoms(const Part&, std::size_t n);

// Puts a layer of one result, and after it the activation that was fused into it, if one was.
class Fused {
 public:
  Fused(const Part& part, Out& network);
  void operator()(std::uint32_t type, const Out& params);

 private:
  const Part& part_;
  Out& network_;
  std::uint32_t field_ = 0;
};

void put_activation(const Part&, Out& network);
void put_elementwise(const Part&, Out& network);

}  // namespace tl::coreml::espresso
