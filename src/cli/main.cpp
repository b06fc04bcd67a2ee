// SPDX-License-Identifier: Apache-2.0
// The program `tl`: global options, the choice of a command, and the one place where errors end.
#include <csignal>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/text.h"
#include "cli/line.h"
#include "cli/version.h"

namespace tl::cli {
namespace {

constexpr int fine = 0, failed = 1, wrong_use = 2, interrupted = 130;

struct Row {
  std::string_view name, summary;
  Command (*make)();
};
constexpr Row rows[] = {
#define COMMAND(name, summary) {#name, summary, name##_command},
#include "cli/commands.def"
#undef COMMAND
};

int status_of(Code code) {
  return code == Code::bad_use ? wrong_use : code == Code::interrupted ? interrupted : failed;
}

void complain(const std::string& line) { std::fprintf(stderr, "tl: %s\n", line.c_str()); }

struct Asked {  // instead of running anything
  bool help = false, version = false;
};

std::vector<Option> global_options(Global& global, Asked& asked) {
  Settings& settings = global.settings;
  Option precision{"--precision", "P",
                   "auto (ML Programs as typed, everything else fp32), fp16, fp32 or bf16",
                   &settings.precision};
  precision.hidden_choice = "reference";  // everything through the float64 references: to judge the rest
  Option threads{"--threads", "N", "threads to compute with (default: the physical cores there are)",
                 &settings.threads};
  Option isa{"--isa", "I", "this instruction set: base, avx2, avx512, avx512fp16 or amx", &global.isa};
  return {
      {"--help,-h", "", "this page, or that of the command", &asked.help},
      {"--version", "", "commit, compiler and instruction set", &asked.version},
      {"--quiet,-q", "", "no notices on standard error", &global.quiet},
      within(1, 1024, threads),
      {"--device", "D", "auto or cpu", &global.device},
      one_of({"auto", "fp16", "fp32", "bf16"}, precision),
      one_of({"base", "avx2", "avx512", "avx512fp16", "amx"}, isa),
      {"--seed", "N", "of random numbers (default 0)", &settings.seed},
      within(1e-9, 1e9, {"--timeout", "S", "seconds that a run may take", &settings.timeout}),
      {"--max-memory", "B", "bytes the process may use: 512M, 4G", &global.max_memory},
      {"--no-cache", "", "neither read nor write the plan cache", &global.no_cache},
  };
}

std::string program_help(std::span<const Option> globals) {
  std::string page =
      "Usage: tl COMMAND [ARGUMENTS] [OPTIONS]\n\nRuns Core ML, GGUF and SafeTensors models, and programs in "
      "the TensorLogic language.\n\nCommands:\n";
  for (const Row& row : rows) page += text("  {:<10} {}\n", row.name, row.summary);
  return page + "\nOptions of every command, before or after it:\n" + options_text(globals) +
         "\nExample:\n  tl predict model.mlpackage --input image=cat.jpg --top 3\n\n'tl COMMAND --help' says "
         "more about each.\n";
}

std::string command_help(const Row& row, const Command& command) {
  std::string own = options_text(command.options);
  return text("Usage: {}\n\n{}\n", usage_text(row.name, command), command.about) +
         (own.empty() ? "" : "\nOptions:\n" + own) + "\nExample:\n" + command.example +
         "\n'tl --help' lists the options of every command.\n";
}

const Row& find_row(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) {
    if (row.name == name) return row;
    names.push_back(row.name);
  }
  throw Error(Code::bad_use, text("unknown command '{}'{}", printable(name), did_you_mean(name, names)));
}

int answer(const Asked& asked, const std::string& help) {
  std::fputs(asked.version ? (version_text() + "\n").c_str() : help.c_str(), stdout);
  return fine;
}

int run_command(const Row& row, std::vector<std::string> words, std::vector<Option> globals, Global& global,
                Asked& asked) {
  Command command = row.make();
  std::vector<Option> options = std::move(globals);
  options.insert(options.end(), command.options.begin(), command.options.end());
  if (command.rest) {
    std::size_t bare = first_bare(words, options), after = std::min(bare + 1, words.size());
    command.rest->assign(words.begin() + static_cast<std::ptrdiff_t>(after), words.end());
    words.resize(after);
  }
  for (const std::string& word : words) {  // before anything that may be missing is complained about
    asked.help = asked.help || word == "--help" || word == "-h";
    asked.version = asked.version || word == "--version";
  }
  if (asked.help || asked.version) return answer(asked, command_help(row, command));
  with_note([&] { return std::string(row.name); }, [&] { read_line(words, options); });
  return command.run(global);
}

int run(std::vector<std::string> words) {
  Global global;
  Asked asked;
  std::vector<Option> globals = global_options(global, asked);
  std::size_t at = first_bare(words, globals);
  if (at < words.size() && words[at] == "help") {
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    words.push_back("--help");
    at = first_bare(words, globals);
  }
  if (at < words.size()) {
    const Row& row = find_row(words[at]);
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    return run_command(row, std::move(words), std::move(globals), global, asked);
  }
  read_line(words, globals);
  if (asked.help || asked.version) return answer(asked, program_help(globals));
  std::fputs(program_help(globals).c_str(), stderr);
  return wrong_use;
}

}  // namespace

// The only catch of everything.
int guarded(int argc, char** argv) noexcept {
  try {
    return run({argv + (argc > 0), argv + argc});
  } catch (const Error& e) {
    complain(e.what());
    return status_of(e.code());
  } catch (const std::bad_alloc&) { complain("out of memory"); } catch (const std::exception& e) {
    complain(e.what());
  }
  return failed;
}

}  // namespace tl::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  int status = tl::cli::guarded(argc, argv);
  bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (lost && status == 0) std::fputs("tl: standard output cannot be written\n", stderr);
  return lost && status == 0 ? 1 : status;
}
