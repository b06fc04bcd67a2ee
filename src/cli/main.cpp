// SPDX-License-Identifier: Apache-2.0
// The program `tl`: global options, the choice of a command, and the one place where errors end.
#include <csignal>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/version.h"

namespace tl::cli {
namespace {

constexpr int fine = 0, failed = 1, wrong_use = 2, interrupted = 130;

int status_of(Code code) { return code == Code::bad_use ? wrong_use : code == Code::interrupted ? interrupted : failed; }

void complain(const std::string& line) { std::fprintf(stderr, "tl: %s\n", line.c_str()); }

void add_global_options(CLI::App& app, Global& global) {
  app.set_version_flag("--version", [] { return version_text(); }, "commit, compiler and instruction set");
  app.add_flag("--quiet,-q", global.quiet, "no notices on standard error");
  app.add_option("--threads", global.settings.threads, "threads to compute with (default: the physical cores there are)")
      ->type_name("N")->check(CLI::Range(1, 1024));
  app.add_option("--device", global.device, "auto or cpu")->type_name("D");
  app.add_option("--precision", global.settings.precision, "auto (ML Programs as typed, else fp32), fp16, fp32 or bf16")
      ->type_name("P")->check(CLI::IsMember({"auto", "fp16", "fp32", "bf16", "reference"}));
  app.add_option("--isa", global.isa, "at most this instruction set: base, avx2, avx512, avx512fp16, amx")
      ->type_name("I")->check(CLI::IsMember({"base", "avx2", "avx512", "avx512fp16", "amx"}));
  app.add_option("--seed", global.settings.seed, "of random numbers (default 0)")->type_name("N");
  app.add_option("--timeout", global.settings.timeout, "seconds that a run may take")->type_name("S")->check(CLI::PositiveNumber);
  app.add_option("--max-memory", global.max_memory, "bytes the process may use: 512M, 4G")->type_name("B");
  app.add_flag("--no-cache", global.no_cache, "neither read nor write the plan cache");
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return fine;
  } catch (const CLI::CallForVersion& e) {
    std::printf("%s\n", e.what());
    return fine;
  } catch (const CLI::ParseError& e) {
    complain(e.what());
    return wrong_use;
  }
  return -1;
}

int run(int argc, char** argv) {
  Global global;
  CLI::App app("Runs Core ML, GGUF and SafeTensors models, and programs in the TensorLogic language.", "tl");
  app.fallthrough();
  app.require_subcommand(0, 1);
  add_global_options(app, global);
#define COMMAND(name) add_##name(app, global);
#include "cli/commands.def"
#undef COMMAND
  int status = parse(app, argc, argv);
  if (status >= 0) return status;
  if (global.action) return global.action();
  std::fputs(app.help().c_str(), stdout);
  return wrong_use;
}

}  // namespace

// The only catch of everything.
int guarded(int argc, char** argv) noexcept {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    complain(e.what());
    return status_of(e.code());
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& e) {
    complain(e.what());
  }
  return failed;
}

}  // namespace tl::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  int status = tl::cli::guarded(argc, argv);
  std::fflush(stdout);
  return status;
}
