// SPDX-License-Identifier: Apache-2.0
// A file, or all files below a folder.
#include "model/model_source.h"

#include <sys/stat.h>

#include <cstdlib>
#include <ctime>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tl {
namespace {

constexpr int deepest = 16;
constexpr std::size_t longest_state = std::size_t{1} << 20;
constexpr std::time_t settles = 2;  // seconds: the coarsest times that file systems keep

std::int64_t nanoseconds(const struct timespec& t) { return std::int64_t{t.tv_sec} * 1000000000 + t.tv_nsec; }
#ifdef __APPLE__
const struct timespec& changed(const struct stat& facts) { return facts.st_mtimespec; }
const struct timespec& touched(const struct stat& facts) { return facts.st_ctimespec; }
#else
const struct timespec& changed(const struct stat& facts) { return facts.st_mtim; }
const struct timespec& touched(const struct stat& facts) { return facts.st_ctim; }
#endif

bool add(const std::string& path, int depth, ModelSource& source) {
  struct stat facts {};
  if (depth > deepest || source.state.size() > longest_state || stat(path.c_str(), &facts) != 0) return false;
  if (S_ISDIR(facts.st_mode)) {
    for (const std::string& name : list_folder(path))
      if (!add(join_path(path, name), depth + 1, source)) return false;
    return true;
  }
  source.state += text("{} {} {} {} {} {}\n", path, facts.st_size, nanoseconds(changed(facts)),
                       nanoseconds(touched(facts)), facts.st_ino, facts.st_dev);
  source.settled = source.settled && changed(facts).tv_sec + settles < std::time(nullptr);
  return true;
}

}  // namespace

std::optional<ModelSource> source_of(const std::string& path) {
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> real(realpath(path.c_str(), nullptr));
  if (!real) return std::nullopt;
  ModelSource source{real.get(), {}, true, {}};
  try {
    if (!add(source.path, 0, source)) return std::nullopt;
  } catch (const Error&) {  // a folder that cannot be listed: reading the model says why
    return std::nullopt;
  }
  return source;
}

}  // namespace tl
