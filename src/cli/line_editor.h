// SPDX-License-Identifier: Apache-2.0
// Lines from a person: with history and completion where a terminal and libedit are there, else plain.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tl::cli {

class LineEditor {
 public:
  virtual ~LineEditor() = default;
  // Nothing at the end of the input; an interrupted line is empty and sets was_interrupted().
  virtual std::optional<std::string> read(const std::string& prompt) = 0;
  virtual void remember(const std::string& entry) = 0;
};

using Complete = std::function<std::vector<std::string>(const std::string& prefix)>;

// libedit is loaded here and not before: other commands do not pay for it.
std::unique_ptr<LineEditor> make_line_editor(Complete complete);

}  // namespace tl::cli
