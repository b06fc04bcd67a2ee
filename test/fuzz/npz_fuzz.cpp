// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of .npz, through a file that is only in memory.
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "format/data/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  int file = memfd_create("npz", MFD_CLOEXEC);
  if (file < 0 || write(file, data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    tl::data::read_npz(tl::text("/proc/self/fd/{}", file));
  } catch (const tl::Error&) {}
  close(file);
  return 0;
}
