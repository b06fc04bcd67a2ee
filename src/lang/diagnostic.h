// SPDX-License-Identifier: Apache-2.0
// What is wrong with a script: all errors that can be found without running it, and the one that ends a run.
#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "lang/source.h"

namespace tl::lang {

struct Diagnostic {
  Place place = {};
  std::string message = {};
};

// Collects what scanner, parser and checker find, so that all of it is shown at once.
class Diagnostics {
 public:
  void error(Place place, std::string message);
  bool empty() const { return found_.empty(); }
  std::size_t size() const { return found_.size(); }
  const std::vector<Diagnostic>& all() const { return found_; }
  // In the order of the text, one block an error: "x.tl:3:5: message", the line, the caret.
  std::string report() const;

 private:
  std::vector<Diagnostic> found_;
};

// A step of the way by which a run-time error was reached.
struct Caller {
  std::string function = {};
  Place place = {};
};

// An Error of a running script: it knows its place and the calls that led there.
class ScriptError : public Error {
 public:
  ScriptError(Code code, Place place, const std::string& reason) : Error(code, reason), place(place) {}
  std::string report() const;

  Place place;
  std::vector<Caller> chain = {};  // innermost first
};

// The errors of a file that were found before it ran; what() is the whole report.
class CheckError : public Error {
 public:
  explicit CheckError(const Diagnostics& found) : Error(Code::bad_input, found.report()) {}
};

}  // namespace tl::lang
