// SPDX-License-Identifier: Apache-2.0
// What a reader says of a file that is too short.
#include "base/reader.h"

#include "base/text.h"

namespace tl {

void Reader::ends_early() const {
  throw Error(Code::bad_input, text("ends early, at byte {}", bytes_.size()));
}

}  // namespace tl
