// SPDX-License-Identifier: Apache-2.0
// The folder of a compiled model.
#include "format/coreml/compiled.h"

#include "base/error.h"
#include "base/file.h"

namespace tl::coreml {

bool looks_compiled(const std::string& path) {
  for (const char* name : {"coremldata.bin", "model.mil", "model.espresso.net"})
    if (is_file(join_path(path, name))) return true;
  return false;
}

ModelFile read_compiled(const std::string&) { throw Error(Code::unsupported, "compiled models are not supported yet"); }

}  // namespace tl::coreml
