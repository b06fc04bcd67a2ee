// SPDX-License-Identifier: Apache-2.0
// What both kinds of plan share.
#include "plan/executor.h"

#include <chrono>

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
  return Tensor(type.dtype, type.shape,
                std::make_shared<Borrowed>(data, bytes_of(type.dtype, volume(type.shape))));
}

void check_stop(const RunOptions& options) {
  if (options.stop && (*options.stop)()) throw Error(Code::interrupted, "stopped: the time is up");
}

double Stopwatch::now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace tl::plan
