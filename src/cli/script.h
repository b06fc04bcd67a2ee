// SPDX-License-Identifier: Apache-2.0
// What the commands that run scripts share: the host with the line's options, Ctrl-C, and errors as one
// report.
#pragma once
#include <memory>

#include "cli/command.h"
#include "lang/interpreter.h"
#include "model/script.h"

namespace tl::cli {

class Script {
 public:
  Script(Global& global, lang::Options options);
  lang::Interpreter& interpreter() { return *interpreter_; }

 private:
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<ScriptHost> host_;
  std::unique_ptr<lang::Interpreter> interpreter_;
};

// From now on Ctrl-C ends what the script does at its next step; a second one ends the program.
void catch_interrupt();
bool was_interrupted();
void forget_interrupt();

// The Error that main reports: place, reason, line and caret, and the calls that led there.
Error report_of(const lang::ScriptError&);

// Runs body; a ScriptError leaves it as the Error of its report.
template <class Body> decltype(auto) with_report(const Body& body) {
  try {
    return body();
  } catch (const lang::ScriptError& e) { throw report_of(e); } catch (const Error& e) {
    throw Error(e.code() == Code::bad_use ? Code::bad_input : e.code(), e.what());
  }
}

}  // namespace tl::cli
