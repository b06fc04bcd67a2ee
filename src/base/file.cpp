// SPDX-License-Identifier: Apache-2.0
// Files as a whole, over POSIX.
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"

namespace tl {
namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error(Code::bad_input, text("{}: {}: {}", path, what, std::strerror(errno)));
}

void write_all(const std::string& path, Bytes content) {
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(path, "cannot be written");
  while (!content.empty()) {
    ssize_t n = write(file, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int why = errno;
      close(file);
      errno = why;
      fail(path, "cannot be written");
    }
    content = content.subspan(static_cast<std::size_t>(n));
  }
  if (close(file) != 0) fail(path, "cannot be written");
}

bool is_kind(const std::string& path, mode_t kind) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 && (facts.st_mode & S_IFMT) == kind;
}

}  // namespace

bool is_file(const std::string& path) { return is_kind(path, S_IFREG); }
bool is_folder(const std::string& path) { return is_kind(path, S_IFDIR); }

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return folder.back() == '/' ? text("{}{}", folder, name) : text("{}/{}", folder, name);
}

std::string file_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path.substr(path.find_last_of('/') + 1));
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? "." : slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::vector<std::string> list_folder(const std::string& path) {
  struct Close {
    void operator()(DIR* folder) const { closedir(folder); }
  };
  std::unique_ptr<DIR, Close> folder(opendir(path.c_str()));
  if (!folder) fail(path, "cannot be listed");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get()))
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

void write_through(const std::string& path, const std::function<void(const std::string&)>& write) {
  std::string temporary = text("{}.{}.part", path, getpid());
  try {
    write(temporary);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot be written");
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
}

void write_file(const std::string& path, Bytes content) {
  write_through(path, [&](const std::string& temporary) {
    with_note([&] { return path; }, [&] { write_all(temporary, content); });
  });
}

}  // namespace tl
