// SPDX-License-Identifier: Apache-2.0
// `tl run`, `tl check` and `tl test`: programs in files.
#include <cstdio>

#include "base/text.h"
#include "cli/script.h"

namespace tl::cli {

namespace {

struct RunLine {
  std::string file = {};
  lang::Options options = {};
};

struct Files {
  std::string first = {};
  std::vector<std::string> more = {};
  std::vector<std::string> all() const {
    std::vector<std::string> paths = {first};
    paths.insert(paths.end(), more.begin(), more.end());
    return paths;
  }
};

int test_file(Global& global, const std::string& path, int& passed) {
  Script script(global, {});
  int failed = 0;
  auto results = with_report([&] { return script.interpreter().test_file(path, lang::BlockRole::test); });
  for (const lang::TestResult& result : results) {
    std::printf("%s %s\n", result.failure.empty() ? "ok  " : "FAIL", result.name.c_str());
    ++(result.failure.empty() ? passed : failed);
    std::fflush(stdout);
    if (!result.failure.empty()) std::fprintf(stderr, "tl: %s\n", result.failure.c_str());
  }
  return failed;
}

int test_files(Global& global, const Files& files) {
  catch_interrupt();
  int passed = 0, failed = 0;
  for (const std::string& path : files.all()) failed += test_file(global, path, passed);
  int all = passed + failed;
  std::printf("%d test%s, %d failed\n", all, all == 1 ? "" : "s", failed);
  return failed > 0;
}

// All errors of all files, not only those of the first.
int check_files(Global& global, const Files& files) {
  int wrong = 0;
  for (const std::string& path : files.all()) {
    try {
      Script(global, {}).interpreter().check_file(path);
    } catch (const Error& e) {
      std::fprintf(stderr, "tl: %s\n", e.what());
      ++wrong;
    }
  }
  return wrong > 0;
}

}  // namespace

Command run_command() {
  auto line = std::make_shared<RunLine>();
  Command command;
  command.about =
      "Runs a program in the TensorLogic language. What follows FILE is the list `args` of the program.";
  command.example = "  tl run examples/digits/predict.tl\n";
  command.options = {argument("FILE", &line->file),
                     {"--check-numerics", "", "an operation that gives inf or nan is an error",
                      &line->options.check_numerics}};
  command.rest = &line->options.arguments;
  command.rest_name = "[ARGS…]";
  command.run = [line](Global& global) {
    catch_interrupt();
    Script script(global, line->options);  // lives until its error is reported: places point into its texts
    with_report([&] { script.interpreter().run_file(line->file); });
    return 0;
  };
  return command;
}

Command test_command() {
  auto files = std::make_shared<Files>();
  Command command;
  command.about = "Runs the test blocks of programs; each begins with the variables as the file leaves them.";
  command.example = "  tl test layers.tl\n";
  command.options = {argument("FILE…", &files->first)};
  command.rest = &files->more;
  command.run = [files](Global& global) { return test_files(global, *files); };
  return command;
}

Command check_command() {
  auto files = std::make_shared<Files>();
  Command command;
  command.about = "Shows all errors of programs that can be found without running them.";
  command.example = "  tl check layers.tl\n";
  command.options = {argument("FILE…", &files->first)};
  command.rest = &files->more;
  command.run = [files](Global& global) { return check_files(global, *files); };
  return command;
}

}  // namespace tl::cli
