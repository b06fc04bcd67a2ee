// SPDX-License-Identifier: Apache-2.0
// From a path to what it holds, whatever the format.
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/coreml/model.h"
#include "format/detect.h"
#include "format/gguf/gguf.h"
#include "format/safetensors/safetensors.h"
#include "model/model.h"

namespace tl {
namespace {

ModelFile read_as(Format format, const std::string& path) {
  switch (format) {
    case Format::gguf: return gguf::read_gguf(path);
    case Format::safetensors: return safetensors::read_safetensors(path);
    case Format::safetensors_index: return safetensors::read_index(path);
    default: return read_coreml(path);
  }
}

}  // namespace

ModelFile read_model(const std::string& path) {
  if (!is_file(path) && !is_folder(path))
    throw Error(Code::bad_input, text("{}: there is no such file or folder", path));
  ModelFile file = read_as(detect_format(path), path);
  file.path = path;
  return file;
}

}  // namespace tl
