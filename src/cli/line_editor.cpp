// SPDX-License-Identifier: Apache-2.0
// Lines from a person, through libedit's readline interface if it can be loaded.
#include "cli/line_editor.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tl::cli {

namespace {

class PlainLines : public LineEditor {
 public:
  std::optional<std::string> read(const std::string& prompt) override {
    if (isatty(STDIN_FILENO)) std::fputs(prompt.c_str(), stdout), std::fflush(stdout);
    std::string line;
    for (int c = std::getchar(); c != EOF; c = std::getchar()) {
      if (c == '\n') return line;
      line += static_cast<char>(c);
    }
    std::clearerr(stdin);
    if (line.empty()) return {};
    return line;
  }
  void remember(const std::string&) override {}
};

Complete current;  // libedit calls back without context
std::vector<std::string> offers;
std::size_t next_offer = 0;

char* offer(const char*, int) {
  return next_offer < offers.size() ? strdup(offers[next_offer++].c_str()) : nullptr;
}

using Matches = char**(const char*, char* (*)(const char*, int));
Matches* matches = nullptr;
int* over = nullptr;

char** complete_word(const char* word, int, int) {
  if (over) *over = 1;  // no file names
  offers = current(word);
  next_offer = 0;
  return offers.empty() ? nullptr : matches(word, offer);
}

// $XDG_STATE_HOME/tensorlogic/history, or ~/.local/state/…; "" where neither can be.
std::string history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::string folder = state && *state == '/' ? state
                       : home && *home == '/' ? std::string(home) + "/.local/state"
                                              : "";
  if (folder.empty()) return "";
  for (std::size_t at = folder.find('/', 1); at != std::string::npos; at = folder.find('/', at + 1))
    mkdir(folder.substr(0, at).c_str(), 0700);
  mkdir(folder.c_str(), 0700);
  folder += "/tensorlogic";
  mkdir(folder.c_str(), 0700);
  return folder + "/history";
}

class Editline : public LineEditor {
 public:
  static std::unique_ptr<LineEditor> open() {
    void* library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libedit.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return nullptr;
    auto editor = std::make_unique<Editline>();
    auto find = [&](auto& function, const char* name) {
      void* symbol = dlsym(library, name);
      std::memcpy(&function, &symbol, sizeof symbol);
      return symbol != nullptr;
    };
    bool complete = find(editor->readline_, "readline") && find(editor->add_, "add_history") &&
                    find(editor->load_, "read_history") && find(editor->store_, "write_history") &&
                    find(editor->limit_, "stifle_history") && find(matches, "rl_completion_matches");
    if (!complete) return nullptr;
    decltype(&complete_word)* attempt = nullptr;
    if (find(attempt, "rl_attempted_completion_function")) *attempt = complete_word;
    find(over, "rl_attempted_completion_over");
    editor->path_ = history_path();
    constexpr int entries = 1000;
    editor->limit_(entries);
    if (!editor->path_.empty()) editor->load_(editor->path_.c_str());
    return editor;
  }

  ~Editline() override {
    if (!path_.empty()) store_(path_.c_str());
  }

  std::optional<std::string> read(const std::string& prompt) override {
    char* line = readline_(prompt.c_str());
    if (!line) return {};
    std::string result = line;
    std::free(line);
    return result;
  }

  void remember(const std::string& entry) override { add_(entry.c_str()); }

 private:
  char* (*readline_)(const char*) = nullptr;
  int (*add_)(const char*) = nullptr;
  int (*load_)(const char*) = nullptr;
  int (*store_)(const char*) = nullptr;
  void (*limit_)(int) = nullptr;
  std::string path_;
};

}  // namespace

std::unique_ptr<LineEditor> make_line_editor(Complete complete) {
  current = std::move(complete);
  if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
    if (auto editor = Editline::open()) return editor;
  return std::make_unique<PlainLines>();
}

}  // namespace tl::cli
