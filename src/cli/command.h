// SPDX-License-Identifier: Apache-2.0
// What the commands of `tl` share: options as data, the global options, and how a command is added to the
// program.
#pragma once
#include <functional>
#include <limits>

#include "model/runtime.h"

namespace tl::cli {

struct Given {
  std::string option = {}, value = {};
};

// Where the value of an option goes: a flag is set, a number is read, a text replaced or appended. Given
// keeps several options in the order of the line.
using Target = std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*,
                            std::vector<std::string>*, std::vector<Given>*>;

struct Option {
  std::string name = {};   // "--top", "--quiet,-q"; without dashes a positional argument: "MODEL"
  std::string value = {};  // what the help calls its value: "FILE"
  std::string help = {};   // empty: hidden
  Target target = {};
  std::vector<std::string> choices = {};  // the values it may have, if not empty
  double lowest = -std::numeric_limits<double>::infinity(), highest = std::numeric_limits<double>::infinity();
  bool required = false;           // of positional arguments
  std::string hidden_choice = {};  // one more that no help names
};

inline Option argument(std::string name, Target target, bool required = true) {
  Option option{std::move(name)};
  option.target = target, option.required = required;
  return option;
}

inline Option within(double lowest, double highest, Option option) {
  option.lowest = lowest, option.highest = highest;
  return option;
}

inline Option one_of(std::vector<std::string> choices, Option option) {
  option.choices = std::move(choices);
  return option;
}

struct Global {
  Settings settings = {};
  std::string isa = {}, device = "auto";
  bool quiet = false, no_cache = false;
  std::string max_memory = {};
  std::unique_ptr<Runtime> runtime();          // of the settings; throws Error for a device that is not here
  void notice(const std::string& line) const;  // one line on standard error, unless --quiet
};

struct Command {
  std::string about = {};            // a sentence or a few, under the usage line of the help
  std::string example = {};          // lines as one would type them
  std::vector<Option> options = {};  // positional ones in order
  std::vector<std::string>* rest =
      nullptr;                           // what follows the first positional argument goes here as it stands
  std::string rest_name = {};            // what the help calls it
  std::function<int(Global&)> run = {};  // after the whole line is read; gives the exit status
};

// Each describes its command; only the chosen one is made. The list of them is commands.def.
#define COMMAND(name, summary) Command name##_command();
#include "cli/commands.def"
#undef COMMAND

}  // namespace tl::cli
