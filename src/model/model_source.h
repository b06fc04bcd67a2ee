// SPDX-License-Identifier: Apache-2.0
// Which files a model was read from, and in which state they were.
#pragma once
#include <optional>
#include <string>

namespace tl {

struct ModelSource {
  std::string path = {};   // without links
  std::string state = {};  // a line a file: name, size, times, inode
  bool settled = false;    // none was changed so recently that another change could look the same
  std::string part = {};   // of a pipeline, "" for the whole
};

// To be asked before anything is read. Nothing where the files cannot be listed or are very many.
std::optional<ModelSource> source_of(const std::string& path);

}  // namespace tl
