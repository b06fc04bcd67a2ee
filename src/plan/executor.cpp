// SPDX-License-Identifier: Apache-2.0
// What both kinds of plan share.
#include "plan/executor.h"

#include "base/error.h"

namespace tl::plan {
namespace {

class Borrowed final : public Storage {
 public:
  Borrowed(const std::byte* data, std::size_t size) {
    data_ = const_cast<std::byte*>(data);
    size_ = size;
    writable_ = false;
  }
};

}  // namespace

Tensor borrowed(const Type& type, const std::byte* data) {
  return Tensor(type.dtype, type.shape, std::make_shared<Borrowed>(data, bytes_of(type.dtype, volume(type.shape))));
}

std::uint64_t mixed(std::uint64_t seed, std::uint64_t counter) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15u * (counter + 1);
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

void check_stop(const RunOptions& options) {
  if (options.stop && (*options.stop)()) throw Error(Code::interrupted, "stopped: the time is up");
}

}  // namespace tl::plan
