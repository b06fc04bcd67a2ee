// SPDX-License-Identifier: Apache-2.0
// What the functions that put layers share.
#pragma once
#include "format/coreml/espresso/part.h"

namespace tl::coreml::espresso {

using Names = std::vector<std::string>;

[[noreturn]] void unknown(std::string what);  // Error(unsupported)
struct Wires {  // a layer's name, and those of the values that it takes and gives
  std::string name = {};
  Names in = {}, out = {};
};
Wires wires(const Part&);
void put(Out& network, const Wires&, std::uint32_t type, const Out& params);
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
