// SPDX-License-Identifier: Apache-2.0
// Scripts under the command line.
#include "cli/script.h"

#include <chrono>
#include <csignal>
#include <cstdio>

namespace tl::cli {

namespace {

volatile std::sig_atomic_t interrupts = 0;

void note_interrupt(int) {
  interrupts = interrupts + 1;
  if (interrupts > 1) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

void write_to(std::FILE* stream, std::string_view content) {
  std::fwrite(content.data(), 1, content.size(), stream);
}

}  // namespace

void catch_interrupt() {
  struct sigaction action = {};
  action.sa_handler = note_interrupt;  // without SA_RESTART: a prompt that waits for a line comes back
  sigaction(SIGINT, &action, nullptr);
}

bool was_interrupted() { return interrupts > 0; }
void forget_interrupt() { interrupts = 0; }

Script::Script(Global& global, lang::Options options) : runtime_(global.runtime()) {
  bool quiet = global.quiet;
  host_ = std::make_unique<ScriptHost>(
      *runtime_, [](std::string_view content) { write_to(stdout, content); },
      [quiet](std::string_view content) {
        if (!quiet) write_to(stderr, "tl: "), write_to(stderr, content);
      });
  double limit = global.settings.timeout;
  auto start = std::chrono::steady_clock::now();
  host_->set_stop([limit, start] {
    if (was_interrupted()) return true;
    if (limit <= 0 || std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < limit)
      return false;
    throw Error(Code::bad_input, "the time limit is over");
  });
  options.seed = global.settings.seed;
  interpreter_ = std::make_unique<lang::Interpreter>(*host_, std::move(options));
}

Error report_of(const lang::ScriptError& e) {
  std::fflush(stdout);  // what was printed before stands before the error
  return {e.code() == Code::bad_use ? Code::bad_input : e.code(), e.report()};
}

}  // namespace tl::cli
