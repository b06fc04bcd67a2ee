// SPDX-License-Identifier: Apache-2.0
// `tl repl`: a prompt. An entry may take several lines; an error ends the entry and not the session.
#include <unistd.h>

#include <cstdio>

#include "cli/line_editor.h"
#include "cli/script.h"
#include "lang/scan.h"

namespace tl::cli {

namespace {

bool is_blank(const std::string& s) { return s.find_first_not_of(" \t\r\n") == std::string::npos; }

// An entry: lines until brackets are closed and the last one can end a statement. Nothing at the end of the
// input.
std::optional<std::string> read_entry(LineEditor& editor) {
  std::string entry;
  while (true) {
    forget_interrupt();
    std::optional<std::string> line = editor.read(entry.empty() ? "tl> " : "... ");
    if (was_interrupted()) {  // Ctrl-C leaves the entry
      std::fputs("\n", stdout);
      entry.clear();
      continue;
    }
    if (!line && !is_blank(entry)) return entry;  // the end, in the middle of an entry: let the parser say it
    if (!line) return {};
    entry += entry.empty() ? *line : "\n" + *line;
    if (is_blank(entry)) entry.clear();
    else if (!lang::is_incomplete({"", entry})) return entry;
  }
}

void run_entry(lang::Interpreter& interpreter, const std::string& entry) {
  try {
    interpreter.run_entry(entry);
  } catch (const lang::ScriptError& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", e.code() == Code::interrupted ? "interrupted" : e.report().c_str());
  } catch (const Error& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", e.what());
  }
  std::fflush(stdout);
}

int prompt(Global& global) {
  Script script(global, {});
  lang::Interpreter& interpreter = script.interpreter();
  auto editor = make_line_editor([&](const std::string& prefix) { return interpreter.completions(prefix); });
  bool person = isatty(STDIN_FILENO);
  if (person) std::puts("TensorLogic. help(conv2d) prints a page, Ctrl-D ends.");
  catch_interrupt();
  while (std::optional<std::string> entry = read_entry(*editor)) {
    if (*entry == "exit" || *entry == "quit") return 0;
    editor->remember(*entry);
    run_entry(interpreter, *entry);
  }
  if (person) std::puts("");
  return 0;
}

}  // namespace

Command repl_command() {
  Command command;
  command.about =
      "A prompt for the TensorLogic language, with history, completion of names (Tab) and entries of several "
      "lines.";
  command.example = "  tl repl\n";
  command.run = [](Global& global) { return prompt(global); };
  return command;
}

}  // namespace tl::cli
