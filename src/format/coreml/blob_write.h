// SPDX-License-Identifier: Apache-2.0
// The weights file of a package that is written: where each constant will lie, then the file itself.
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "ir/tensor.h"

namespace tl::coreml {

class BlobWriter {
 public:
  // Whether such constants lie in the weights file of a program of this opset, and not in the program.
  static bool takes(const Tensor&, int opset);

  // Where the record of this constant will be. The same bytes are kept once.
  std::uint64_t add(const Tensor&);
  bool empty() const { return blobs_.empty(); }

  void write(const std::string& path) const;

 private:
  struct Placed {
    Tensor tensor = {};
    std::uint64_t record = 0;
  };
  std::vector<Placed> blobs_;
  std::map<std::tuple<const Storage*, std::size_t, std::size_t, DType>, std::uint64_t> known_;
  std::uint64_t end_ = 64;
};

}  // namespace tl::coreml
