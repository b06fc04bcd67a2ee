// SPDX-License-Identifier: Apache-2.0
// What the commands of `tl` share: the global options, and how a command is added to the program.
#pragma once
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>

#include "model/runtime.h"

namespace tl::cli {

struct Global {
  Settings settings = {};
  std::string isa = {}, device = "auto";
  bool quiet = false, no_cache = false;
  std::string max_memory = {};
  std::function<int()> action = {};      // the chosen command, run after the whole line is parsed
  std::unique_ptr<Runtime> runtime();    // of the settings; throws Error for a device that is not here
  void notice(const std::string& line) const;  // one line on standard error, unless --quiet
};

// Each adds its sub-command: options, an example in the help, and an action. The list of them is commands.def.
#define COMMAND(name) void add_##name(CLI::App& app, Global& global);
#include "cli/commands.def"
#undef COMMAND

}  // namespace tl::cli
